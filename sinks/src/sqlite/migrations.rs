//! From each version of the schema in SQLite to the next.
//!
//! Law: a migration makes of the version before what an empty database would get.

use super::ddl::{create, declared, readable, view};
use crate::columns::Column;
use crate::raw_columns::{ADDED, RAW_CURSORS, RAW_FLOWS, raw_cursors, raw_flows};

/// From one version to the next.
pub(super) struct Migration {
    /// The version that it makes.
    pub(super) to: u32,
    /// In words.
    pub(super) what: &'static str,
    /// Names of what it makes.
    pub(super) makes: Vec<String>,
    /// Columns that it adds to a table.
    pub(super) adds: Vec<(&'static str, &'static str)>,
    pub(super) statements: Vec<String>,
}

/// All of them, ascending.
pub(super) fn migrations() -> Vec<Migration> {
    let mut before = raw_flows();
    before.columns.retain(|column| !is_added(column));
    let raw = Migration {
        to: 2,
        what: "tables for raw flows and their cursors",
        makes: vec![
            RAW_FLOWS.to_owned(),
            RAW_CURSORS.to_owned(),
            readable(RAW_FLOWS),
        ],
        adds: Vec::new(),
        statements: vec![
            create(&before),
            create(&raw_cursors()),
            view(&before),
            "PRAGMA user_version = 2".to_owned(),
        ],
    };
    let now = raw_flows();
    let added = now.columns.iter().filter(|column| is_added(column));
    let add = added.clone().map(|column| {
        let (name, declared) = (column.name, declared(column));
        format!("ALTER TABLE {RAW_FLOWS} ADD COLUMN {name} {declared} DEFAULT ''")
    });
    let view = [
        format!("DROP VIEW IF EXISTS {}", readable(RAW_FLOWS)),
        view(&now),
        "PRAGMA user_version = 3".to_owned(),
    ];
    let customers = Migration {
        to: 3,
        what: "customers and names of raw flows",
        makes: Vec::new(),
        adds: added
            .clone()
            .map(|column| (RAW_FLOWS, column.name))
            .collect(),
        statements: add.chain(view).collect(),
    };
    vec![raw, customers]
}

fn is_added(column: &Column) -> bool {
    ADDED.contains(&column.name)
}
