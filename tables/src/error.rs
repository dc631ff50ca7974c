//! What loading tells: a report for tables that were taken, one line for those refused.
//!
//! Law: no row is left out silently; every bad one is counted, and the first ten are named by line and reason.

use std::fmt;

use crate::parse::Kind;

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
    /// Rows that were kept out.
    pub bad_rows: u64,
    /// The first ten of those.
    pub bad: Vec<BadRow>,
}

/// What was found in all sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// One for each source, in the order given.
    pub tables: Vec<TableReport>,
    /// Pairs of rows that give one range two values; the later row won.
    pub contradictions: u64,
}

/// Why tables were refused. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file system.
    #[error("{path}: cannot read the table: {source}")]
    Read {
        /// The file.
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
    #[error("{name}: no row with {kind} in it")]
    Empty {
        /// File or built-in table.
        name: String,
        /// What was looked for.
        kind: Kind,
    },
    /// Bytes that are no archive of tables, or a damaged one.
    #[error("table archive: {what}")]
    Archive {
        /// What is wrong.
        what: &'static str,
    },
}
