//! `TableSet`: one version of all tables, loaded from files or built-in text.
//!
//! Law: a set is refused whole if a source has no value or more than one bad row in a thousand; fewer bad rows
//! are kept out and reported.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::error::{BadRow, LoadReport, TableError, TableReport};
use crate::parse::{Kind, Row, parse_line};
use crate::ranges::Ranges;
use crate::table::PrefixTable;

/// A table is read whole; a full one has some 60 MB.
const LIMIT_BYTES: u64 = 512 << 20;
/// Bad rows that are named in the report.
const NAMED_BAD_ROWS: usize = 10;

/// All tables of a job: one version.
#[derive(Clone, Debug, Default)]
pub struct TableSet {
    /// Addresses to AS numbers.
    pub asn: Option<Arc<PrefixTable>>,
    /// Addresses to countries, `a << 8 | b` for the letters `ab`.
    pub country: Option<Arc<PrefixTable>>,
}

/// Where rows come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A file.
    File(&'a Path),
    /// Text at hand, with a name for messages.
    Text(&'a str, &'a [u8]),
}

impl TableSet {
    /// Loads tables from files; several of one kind are one table (publishers have a file for each family).
    ///
    /// # Errors
    /// One line that names the file, and for bad rows the first one's line and what is wrong with it.
    pub fn load(sources: &[(Kind, &Path)]) -> Result<(TableSet, LoadReport), TableError> {
        let sources: Vec<_> = sources
            .iter()
            .map(|&(kind, path)| (kind, Source::File(path)))
            .collect();
        TableSet::load_sources(&sources)
    }

    /// As `load`, from built-in text too.
    ///
    /// # Errors
    /// As `load`.
    pub fn load_sources(
        sources: &[(Kind, Source<'_>)],
    ) -> Result<(TableSet, LoadReport), TableError> {
        let (mut set, mut report) = (TableSet::default(), LoadReport::default());
        let mut rows = Kind::ALL.map(|_| Vec::new());
        for &(kind, source) in sources {
            let name = match source {
                Source::File(path) => path.display().to_string(),
                Source::Text(name, _) => name.to_owned(),
            };
            let table = match source {
                Source::File(path) => {
                    parse_text(kind, name, &read(path)?, &mut rows[kind as usize])
                }
                Source::Text(_, text) => parse_text(kind, name, text, &mut rows[kind as usize]),
            }?;
            report.tables.push(table);
        }
        for (kind, rows) in Kind::ALL
            .into_iter()
            .zip(rows)
            .filter(|(_, rows)| !rows.is_empty())
        {
            let (ranges, contradictions) = Ranges::new(rows);
            report.contradictions += contradictions;
            *set.table_mut(kind) = Some(Arc::new(PrefixTable::new(ranges)));
        }
        Ok((set, report))
    }

    /// The table of a kind.
    pub fn table(&self, kind: Kind) -> Option<&Arc<PrefixTable>> {
        match kind {
            Kind::Asn => self.asn.as_ref(),
            Kind::Country => self.country.as_ref(),
        }
    }

    pub(crate) fn table_mut(&mut self, kind: Kind) -> &mut Option<Arc<PrefixTable>> {
        match kind {
            Kind::Asn => &mut self.asn,
            Kind::Country => &mut self.country,
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TableError> {
    let name = path.display().to_string();
    let mut text = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(LIMIT_BYTES + 1).read_to_end(&mut text));
    match read {
        Err(source) => Err(TableError::Read { path: name, source }),
        Ok(_) if u64::try_from(text.len()).is_ok_and(|n| n <= LIMIT_BYTES) => Ok(text),
        Ok(_) => Err(TableError::TooLarge {
            name,
            limit_bytes: LIMIT_BYTES,
        }),
    }
}

/// Appends the rows of one source.
fn parse_text(
    kind: Kind,
    name: String,
    text: &[u8],
    rows: &mut Vec<Row>,
) -> Result<TableReport, TableError> {
    let mut report = TableReport {
        kind,
        name,
        rows: 0,
        bad_rows: 0,
        bad: Vec::new(),
    };
    let mut with_value = false;
    for (line, number) in text.split(|&byte| byte == b'\n').zip(1..) {
        match parse_line(kind, number, line) {
            Ok(None) => {}
            Ok(Some(row)) => {
                report.rows += 1;
                with_value |= row.value != 0;
                rows.push(row);
            }
            Err(reason) => {
                report.bad_rows += 1;
                if report.bad.len() < NAMED_BAD_ROWS {
                    report.bad.push(BadRow {
                        line: number,
                        reason,
                    });
                }
            }
        }
    }
    let all = report.rows + report.bad_rows;
    match report.bad.first() {
        Some(first) if report.bad_rows * 1000 > all => Err(TableError::BadRows {
            first: first.clone(),
            name: report.name,
            bad_rows: report.bad_rows,
            rows: all,
        }),
        _ if !with_value => Err(TableError::Empty {
            name: report.name,
            kind,
        }),
        _ => Ok(report),
    }
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
            "t.csv: 1 of 1 rows are bad (at most 1 in 1000 may be); line 2: \"AU\" is not an AS number"
        );
        assert_eq!(
            refusal(Kind::Asn, ""),
            "t.csv: no row with an AS number in it"
        );
        assert_eq!(
            refusal(Kind::Country, "1.0.0.0/8,\n"),
            "t.csv: no row with a country in it"
        );
        let missing = TableSet::load(&[(Kind::Asn, Path::new("/nowhere/t.csv"))]);
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
        assert_eq!(report.contradictions, 0);
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
