//! `tables lookup`: what addresses map to, and which row of which source says so.
//!
//! Law: of files the row is found by a scan of them, of a job's archive the merged range; both say what the job would.

use std::io::{self, Write};
use std::net::IpAddr;

use flow_tables::{Origins, TableSet, prefixes};
use serde_json::{Value, json};

use crate::cli;
use crate::failure::Failure;

/// Prefixes of a range that are shown; of more, the range.
const SHOWN_PREFIXES: usize = 3;

/// What is known of an address in one table.
struct Said {
    address: IpAddr,
    table: String,
    value: String,
    /// Name of the AS, where there is one.
    name: Option<String>,
    first: IpAddr,
    last: IpAddr,
    origin: Origin,
}

/// Where the value comes from.
enum Origin {
    Line(String, u32),
    Version(u32),
}

/// Prints it.
pub(super) fn run(options: &cli::TablesLookup, out: &mut impl Write) -> Result<(), Failure> {
    let found = match &options.state {
        Some(state) => of_version(
            options,
            super::version(&super::versions(state)?, options.tables)?,
        ),
        None => of_sources(options)?,
    };
    for (address, said) in options.address.iter().zip(found) {
        if said.is_empty() {
            match options.json {
                true => writeln!(
                    out,
                    "{}",
                    json!({ "address": address, "table": Value::Null })
                )?,
                false => writeln!(out, "{address}  no value")?,
            }
        }
        for said in said {
            match options.json {
                true => writeln!(out, "{}", said.json())?,
                false => said.line(out)?,
            }
        }
    }
    Ok(())
}

fn of_sources(options: &cli::TablesLookup) -> Result<Vec<Vec<Said>>, Failure> {
    let (set, _) = TableSet::load(&options.table, &super::fetch)?;
    let origins = Origins::load(&options.table, &super::fetch)?;
    let of = |address: &IpAddr| {
        let found = origins.at(*address).into_iter().map(|matched| Said {
            address: *address,
            table: matched.kind.to_string(),
            name: as_name(&set, matched.kind, &matched.value),
            value: matched.value,
            first: matched.first,
            last: matched.last,
            origin: Origin::Line(matched.source.to_owned(), matched.line),
        });
        found.collect()
    };
    Ok(options.address.iter().map(of).collect())
}

fn of_version(options: &cli::TablesLookup, (number, set): (u32, TableSet)) -> Vec<Vec<Said>> {
    let of = |address: &IpAddr| {
        let octets = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let in_table = |kind| {
            let range = set.table(&kind)?.range_at(&octets)?;
            let value = set.text(&kind, range.value);
            Some(Said {
                address: *address,
                table: kind.to_string(),
                name: as_name(&set, &kind, &value),
                value,
                first: range.first,
                last: range.last,
                origin: Origin::Version(number),
            })
        };
        set.kinds().into_iter().filter_map(in_table).collect()
    };
    options.address.iter().map(of).collect()
}

fn as_name(set: &TableSet, kind: &flow_tables::Kind, value: &str) -> Option<String> {
    let names = set
        .as_names
        .as_ref()
        .filter(|_| *kind == flow_tables::Kind::Asn)?;
    names.get(&value.parse().ok()?).map(str::to_owned)
}

impl Said {
    fn range(&self) -> String {
        let prefixes = prefixes(self.first, self.last);
        match prefixes.len() {
            1..=SHOWN_PREFIXES => prefixes.join(" "),
            _ => format!("{}-{}", self.first, self.last),
        }
    }

    fn line(&self, out: &mut impl Write) -> io::Result<()> {
        let name = self
            .name
            .as_ref()
            .map_or_else(String::new, |name| format!(" ({name})"));
        let origin = match &self.origin {
            Origin::Line(source, line) => format!("{source} line {line}"),
            Origin::Version(number) => format!("version {number}"),
        };
        let (address, table, value) = (self.address, &self.table, &self.value);
        writeln!(
            out,
            "{address}  {table} {value}{name}  {}  {origin}",
            self.range()
        )
    }

    fn json(&self) -> Value {
        let mut line = json!({
            "address": self.address, "table": self.table, "value": self.value,
            "first": self.first, "last": self.last, "prefixes": prefixes(self.first, self.last),
        });
        if let Some(name) = &self.name {
            line["name"] = name.as_str().into();
        }
        match &self.origin {
            Origin::Line(source, number) => {
                line["source"] = source.as_str().into();
                line["line"] = (*number).into();
            }
            Origin::Version(number) => line["version"] = (*number).into(),
        }
        line
    }
}
