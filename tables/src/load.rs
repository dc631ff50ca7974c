//! Sources to a `TableSet`: read, unpacked, taken by the rules of their kind, laid over each other in order of preference.
//!
//! Law: a set is refused whole if a source has no value or more than one bad row in a thousand; fewer bad rows
//! are kept out and reported.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::attribute::AttributeTable;
use crate::error::{LoadReport, TableError, TableReport};
use crate::kind::Kind;
use crate::names::{NameKey, NameTable, mended};
use crate::overlay::overlay;
use crate::place::{self, Fetch};
use crate::ranges::Ranges;
use crate::set::TableSet;
use crate::source::Input;
use crate::spec::{SourceOptions, SourceSpec};
use crate::table::PrefixTable;
use crate::value::Values;

/// Where rows come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A file.
    File(&'a Path),
    /// Text at hand, with a name for messages.
    Text(&'a str, &'a [u8]),
}

impl TableSet {
    /// Loads tables. Several sources of one kind are in order of preference: an address, or a key, has the value of the first
    /// that has one.
    ///
    /// # Errors
    /// One line that names the source, and for bad rows the first one's line and what is wrong with it.
    pub fn load(
        sources: &[SourceSpec],
        fetch: &Fetch<'_>,
    ) -> Result<(TableSet, LoadReport), TableError> {
        let mut building = Building::default();
        for spec in sources {
            let fetched = place::read(&spec.place, fetch)?;
            building.add(Input {
                kind: &spec.kind,
                options: &spec.options,
                name: fetched.name,
                bytes: Cow::Owned(fetched.bytes),
            })?;
        }
        Ok(building.end())
    }

    /// As `load`, from built-in text and files whose options are found out.
    ///
    /// # Errors
    /// As `load`.
    pub fn load_sources(
        sources: &[(Kind, Source<'_>)],
    ) -> Result<(TableSet, LoadReport), TableError> {
        let mut building = Building::default();
        for (kind, source) in sources {
            let (name, bytes) = match *source {
                Source::Text(name, text) => (name.to_owned(), Cow::Borrowed(text)),
                Source::File(path) => {
                    let place = crate::spec::Place::Path(path.to_owned());
                    let fetched = place::read(&place, &place::no_remote)?;
                    (fetched.name, Cow::Owned(fetched.bytes))
                }
            };
            building.add(Input {
                kind,
                options: &SourceOptions::default(),
                name,
                bytes,
            })?;
        }
        Ok(building.end())
    }
}

/// What the sources so far have given.
#[derive(Default)]
struct Building {
    ranges: BTreeMap<Kind, (Values, Ranges)>,
    as_names: BTreeMap<u32, String>,
    exporter_names: BTreeMap<[u8; 16], String>,
    interface_names: BTreeMap<([u8; 16], u32), String>,
    report: LoadReport,
}

impl Building {
    fn add(&mut self, input: Input<'_>) -> Result<(), TableError> {
        let report = match input.kind {
            Kind::AsNames => add_names(input, &mut self.as_names),
            Kind::ExporterNames => add_names(input, &mut self.exporter_names),
            Kind::InterfaceNames => add_names(input, &mut self.interface_names),
            Kind::Asn | Kind::Country | Kind::Attribute(_) => self.add_ranges(input),
        }?;
        self.report.tables.push(report);
        Ok(())
    }

    fn add_ranges(&mut self, input: Input<'_>) -> Result<TableReport, TableError> {
        let kind = input.kind;
        let before = self.ranges.remove(kind);
        let (mut values, before) = match before {
            Some((values, ranges)) => (values, Some(ranges)),
            None => (
                Values::of(kind, input.options.value.unwrap_or_default()),
                None,
            ),
        };
        input.has_type_of(&values)?;
        let (rows, mut report) = input.rows(&mut values)?;
        let (ranges, lie) = Ranges::new(rows);
        report.contradictions = lie.contradictions;
        report.nested = lie.nested;
        report.overlaps = lie.overlaps;
        report.distinct_values = u64::try_from(ranges.distinct_values()).unwrap_or(u64::MAX);
        (report.v4_addresses, report.v6_addresses) = ranges.covered();
        let ranges = match before {
            Some(before) => overlay(&before, &ranges),
            None => ranges,
        };
        self.ranges.insert(kind.clone(), (values, ranges));
        Ok(report)
    }

    fn end(self) -> (TableSet, LoadReport) {
        let mut set = TableSet {
            as_names: named(&self.as_names),
            exporter_names: named(&self.exporter_names),
            interface_names: named(&self.interface_names),
            ..TableSet::default()
        };
        for (kind, (values, ranges)) in self.ranges {
            match (kind, values) {
                (Kind::Attribute(name), Values::Texts(texts)) => {
                    let table = AttributeTable::new(ranges, &texts);
                    set.attributes.insert(name, Arc::new(table));
                }
                (Kind::Asn, _) => set.asn = Some(Arc::new(PrefixTable::new(ranges))),
                _ => set.country = Some(Arc::new(PrefixTable::new(ranges))),
            }
        }
        (set, self.report)
    }
}

/// Adds the names of one source, for keys that have none yet.
fn add_names<K: NameKey>(
    input: Input<'_>,
    names: &mut BTreeMap<K, String>,
) -> Result<TableReport, TableError> {
    let mut report = TableReport::new(input.kind.clone(), input.name.clone());
    let mut own: BTreeMap<K, String> = BTreeMap::new();
    input.records(&mut |line, record| match record
        .clone()
        .and_then(|r| Ok((K::read(&r)?, r.value)))
    {
        // Of a table of networks: one of no AS.
        Err(_) if record.is_ok_and(|r| r.key.is_empty() && r.value.is_empty()) => {
            report.rows += 1;
        }
        Err(reason) => report.add_bad(line, reason),
        Ok((key, value)) => {
            report.rows += 1;
            let (name, odd) = mended(value);
            if let Some(reason) = odd {
                report.add_odd(line, reason);
            }
            if !name.is_empty() {
                let is_other = own.get(&key).is_some_and(|before| *before != name);
                report.contradictions += u64::from(is_other);
                own.insert(key, name);
            }
        }
    })?;
    report.judge(!own.is_empty())?;
    let mut distinct: Vec<&String> = own.values().collect();
    distinct.sort_unstable();
    distinct.dedup();
    report.distinct_values = u64::try_from(distinct.len()).unwrap_or(u64::MAX);
    for (key, name) in own {
        names.entry(key).or_insert(name);
    }
    Ok(report)
}

fn named<K: NameKey>(names: &BTreeMap<K, String>) -> Option<Arc<NameTable<K>>> {
    let names = names.iter().map(|(key, name)| (*key, name.as_str()));
    let table = NameTable::from_sorted(names);
    (!table.is_empty()).then(|| Arc::new(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(kind: Kind, text: &str) -> Result<(TableSet, LoadReport), TableError> {
        TableSet::load_sources(&[(kind, Source::Text("t.csv", text.as_bytes()))])
    }

    fn refusal(kind: Kind, text: &str) -> String {
        load(kind, text)
            .map(|_| ())
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn a_wrong_or_empty_file_is_refused_in_one_line() {
        assert_eq!(
            refusal(Kind::Asn, "first,last,country\n1.0.0.0,1.0.0.255,AU\n"),
            "t.csv: no column with an AS number in the header, name it by field=; there are: \"first\", \"last\", \"country\""
        );
        assert_eq!(
            refusal(Kind::Asn, ""),
            "t.csv: no row with an AS number in it"
        );
        assert_eq!(
            refusal(Kind::Country, "1.0.0.0/8,\n"),
            "t.csv: no row with a country in it"
        );
        let source = Source::File(Path::new("/nowhere/t.csv"));
        let missing = TableSet::load_sources(&[(Kind::Asn, source)]);
        let message = missing
            .map(|_| ())
            .expect_err("must be refused")
            .to_string();
        assert!(
            message.starts_with("/nowhere/t.csv: cannot read the table: "),
            "{message}"
        );
    }

    #[test]
    fn one_bad_row_in_a_thousand_is_kept_out_and_reported() {
        let good: String = (0..1998)
            .map(|i| format!("10.{}.{}.0/24,{}\n", i / 256, i % 256, i + 1))
            .collect();
        let (set, report) =
            load(Kind::Asn, &format!("oops\n{good}10.0.0.1/8,7\n")).expect("two in 2000");
        assert_eq!(
            (report.tables[0].rows, report.tables[0].bad_rows),
            (1998, 2)
        );
        let lines: Vec<u64> = report.tables[0].bad.iter().map(|bad| bad.line).collect();
        // A lone word in line 1 is no header: a header names two columns at least.
        assert_eq!(lines, [1, 2000]);
        assert_eq!(set.asn.map(|t| t.range_count()), Some(1998));
        assert!(
            load(Kind::Asn, &format!("oops\nbad\n{good}10.0.0.1/8,7\n")).is_err(),
            "three in 2001"
        );
    }

    #[test]
    fn the_demo_tables_are_clean() {
        let (set, report) = TableSet::load_sources(&[
            (
                Kind::Asn,
                Source::Text("demo asn", crate::DEMO_ASN_CSV.as_bytes()),
            ),
            (
                Kind::Country,
                Source::Text("demo country", crate::DEMO_COUNTRY_CSV.as_bytes()),
            ),
        ])
        .expect("they load");
        assert_eq!(
            report
                .tables
                .iter()
                .map(|t| (t.rows, t.bad_rows))
                .collect::<Vec<_>>(),
            [(232, 0), (216, 0)]
        );
        assert!(report.tables.iter().all(|table| table.contradictions == 0));
        let at = |a: [u8; 4]| std::net::Ipv4Addr::from(a).to_ipv6_mapped().octets();
        let (asn, country) = (set.asn.expect("asn"), set.country.expect("country"));
        assert_eq!(asn.lookup(&at([10, 112, 1, 1])), 64503);
        assert_eq!(
            asn.lookup(&at([10, 112, 200, 1])),
            65007,
            "a customer inside"
        );
        assert_eq!(asn.lookup(&at([100, 64, 200, 0])), 0);
        assert_eq!(asn.lookup(&at([100, 64, 199, 255])), 4_200_000_000);
        assert_eq!(country.lookup(&at([10, 112, 1, 1])), 0x4e4c);
    }
}
