//! What loading tells: a report for tables that were taken, one line for those refused.
//!
//! Law: no row is left out silently; every bad one is counted, and the first ten are named by line and reason.

use std::fmt;

use crate::kind::Kind;

/// Rows that are named in a report, of each sort.
const NAMED_ROWS: usize = 10;

/// A row that was kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Line in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// What was found in one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReport {
    /// What its values are.
    pub kind: Kind,
    /// File or built-in table.
    pub name: String,
    /// Rows that were taken, those without a value included.
    pub rows: u64,
    /// Rows that were kept out, since they are wrong.
    pub bad_rows: u64,
    /// The first ten of those.
    pub bad: Vec<BadRow>,
    /// It is text, and its last line does not end: it may have been cut.
    pub is_cut: bool,
    /// Rows that are right and say more than a table can hold (a set of ASes), or names that were mended.
    pub odd_rows: u64,
    /// The first ten of those.
    pub odd: Vec<BadRow>,
    /// Pairs of rows that give one range, or one key, two values; the later row won.
    pub contradictions: u64,
    /// Rows inside another one, as prefixes are.
    pub nested: u64,
    /// Rows that begin inside another one and end after it; the one that begins later won.
    pub overlaps: u64,
    /// Distinct values.
    pub distinct_values: u64,
    /// IPv4 addresses with a value.
    pub v4_addresses: u64,
    /// IPv6 addresses with a value.
    pub v6_addresses: u128,
}

impl TableReport {
    pub(crate) fn new(kind: Kind, name: String) -> TableReport {
        TableReport {
            kind,
            name,
            rows: 0,
            bad_rows: 0,
            bad: Vec::new(),
            is_cut: false,
            odd_rows: 0,
            odd: Vec::new(),
            contradictions: 0,
            nested: 0,
            overlaps: 0,
            distinct_values: 0,
            v4_addresses: 0,
            v6_addresses: 0,
        }
    }

    pub(crate) fn add_bad(&mut self, line: u64, reason: String) {
        self.bad_rows += 1;
        if self.bad.len() < NAMED_ROWS {
            self.bad.push(BadRow { line, reason });
        }
    }

    pub(crate) fn add_odd(&mut self, line: u64, reason: String) {
        self.odd_rows += 1;
        if self.odd.len() < NAMED_ROWS {
            self.odd.push(BadRow { line, reason });
        }
    }

    /// Whether the source may be taken.
    pub(crate) fn judge(&self, has_value: bool) -> Result<(), TableError> {
        let rows = self.rows + self.bad_rows + self.odd_rows;
        match self.bad.first() {
            Some(first) if self.bad_rows * 1000 > rows => Err(TableError::BadRows {
                first: first.clone(),
                name: self.name.clone(),
                bad_rows: self.bad_rows,
                rows,
            }),
            _ if !has_value => Err(TableError::Empty {
                name: self.name.clone(),
                noun: self.kind.noun().to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// What was found in all sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// One for each source, in the order given.
    pub tables: Vec<TableReport>,
}

/// Why tables were refused. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file system, or whoever fetches what is no file.
    #[error("{path}: cannot read the table: {source}")]
    Read {
        /// The file, folder or URL.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// Above the size that is read into memory.
    #[error("{name}: the table is larger than {limit_bytes} bytes")]
    TooLarge {
        /// File or built-in table.
        name: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// Too many bad rows: another kind of file, or a damaged one.
    #[error("{name}: {bad_rows} of {rows} rows are bad (at most 1 in 1000 may be); {first}")]
    BadRows {
        /// File or built-in table.
        name: String,
        /// Rows that are bad.
        bad_rows: u64,
        /// All rows.
        rows: u64,
        /// The first bad one.
        first: BadRow,
    },
    /// No row with a value.
    #[error("{name}: no row with {noun} in it")]
    Empty {
        /// File or built-in table.
        name: String,
        /// What was looked for.
        noun: String,
    },
    /// None of the formats, damaged, or without what is needed.
    #[error("{name}: {what}")]
    Format {
        /// File or built-in table.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// Two sources of one attribute that say differently what its values are.
    #[error("{name}: value= of attribute {attribute} must be the same for all its sources")]
    Types {
        /// File or built-in table.
        name: String,
        /// The attribute.
        attribute: String,
    },
    /// Bytes that are no archive of tables, or a damaged one.
    #[error("table archive: {what}")]
    Archive {
        /// What is wrong.
        what: &'static str,
    },
}
