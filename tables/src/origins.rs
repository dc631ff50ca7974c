//! `Origins`: which row of which source an address's value comes from. Kept by commands alone; a job has no use for it.
//!
//! Law: a plain scan over the rows by the rule of `ranges`, so that it also checks what the compiled tables say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::TableError;
use crate::kind::Kind;
use crate::parse::Family;
use crate::place::{self, Fetch};
use crate::ranges::Row;
use crate::source::Input;
use crate::spec::SourceSpec;
use crate::value::Values;

/// The rows of all sources whose keys are addresses.
#[derive(Debug)]
pub struct Origins(Vec<Origin>);

#[derive(Debug)]
struct Origin {
    kind: Kind,
    source: String,
    rows: Vec<Row>,
    values: Values,
}

/// The row that an address's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched<'a> {
    /// What the value is.
    pub kind: &'a Kind,
    /// The value as text.
    pub value: String,
    /// The row's first address.
    pub first: IpAddr,
    /// The row's last address.
    pub last: IpAddr,
    /// Where the row stands.
    pub source: &'a str,
    /// Its line, or the number of its record.
    pub line: u32,
}

impl Origins {
    /// Reads the sources of addresses; those of names are passed over.
    ///
    /// # Errors
    /// As `TableSet::load`.
    pub fn load(sources: &[SourceSpec], fetch: &Fetch<'_>) -> Result<Origins, TableError> {
        let has_addresses = |spec: &&SourceSpec| {
            matches!(spec.kind, Kind::Asn | Kind::Country | Kind::Attribute(_))
        };
        let mut origins = Vec::new();
        for spec in sources.iter().filter(has_addresses) {
            let fetched = place::read(&spec.place, fetch)?;
            let mut values = Values::of(&spec.kind, spec.options.value.unwrap_or_default());
            let input = Input {
                kind: &spec.kind,
                options: &spec.options,
                name: fetched.name,
                bytes: fetched.bytes.into(),
            };
            let (rows, report) = input.rows(&mut values)?;
            origins.push(Origin {
                kind: spec.kind.clone(),
                source: report.name,
                rows,
                values,
            });
        }
        Ok(Origins(origins))
    }

    /// The row for each kind that has a value at an address, by kind.
    pub fn at(&self, address: IpAddr) -> Vec<Matched<'_>> {
        let mut kinds: Vec<&Kind> = self.0.iter().map(|origin| &origin.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let of_kind = |kind: &Kind| {
            let mut sources = self.0.iter().filter(move |origin| origin.kind == *kind);
            sources.find_map(|origin| origin.at(address))
        };
        kinds.into_iter().filter_map(of_kind).collect()
    }
}

impl Origin {
    fn at(&self, address: IpAddr) -> Option<Matched<'_>> {
        let (family, number) = match address.to_canonical() {
            IpAddr::V4(address) => (Family::V4, u128::from(u32::from(address))),
            // It stands for an absent address, and has no value.
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => return None,
            IpAddr::V6(address) => (Family::V6, u128::from(address)),
        };
        let covers = |row: &&Row| row.family == family && (row.first..=row.last).contains(&number);
        let rank = |row: &&Row| (row.first, std::cmp::Reverse(row.last));
        // Of equals the last one.
        let row = self.rows.iter().filter(covers).max_by_key(rank)?;
        let shown = |number: u128| match family {
            Family::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
            Family::V6 => Ipv6Addr::from(number).into(),
        };
        (row.value != 0).then(|| Matched {
            kind: &self.kind,
            value: self.values.text(row.value),
            first: shown(row.first),
            last: shown(row.last),
            source: &self.source,
            line: row.line,
        })
    }
}
