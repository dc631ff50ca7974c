//! The tables and views in SQLite, generated from the one column definition.
//!
//! Times are whole seconds since 1970 (small, exact, sorted as numbers), of raw flows nanoseconds; for people there is a
//! view `…_readable` of each table with times as text in UTC. Law: a change of a table is a new version, with a
//! migration that makes of the version before what an empty database would get.

use flow_proto::Rollups;

use crate::columns::{self, Column, Kind, Table};
use crate::raw_columns::{ADDED, RAW_CURSORS, RAW_FLOWS, raw_cursors, raw_flows};

/// Version of this schema (`PRAGMA user_version`).
pub(super) const VERSION: u32 = 3;

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

/// All tables.
pub(super) fn tables(rollups: Rollups) -> Vec<Table> {
    let mut tables = columns::tables(rollups);
    tables.extend([raw_flows(), raw_cursors()]);
    tables
}

/// The statements that make the schema.
pub(super) fn statements(rollups: Rollups) -> Vec<String> {
    let tables = tables(rollups);
    let mut statements: Vec<String> = tables.iter().map(create).collect();
    // Retirement looks for slots by their state; the table itself grows with time.
    statements.push(format!(
        "CREATE INDEX slots_by_state ON {} (state, slot)",
        columns::SLOTS
    ));
    let cursors = [columns::CURSORS, RAW_CURSORS];
    let shown = tables.iter().filter(|t| !cursors.contains(&t.name));
    statements.extend(shown.map(view));
    statements.push(format!("PRAGMA user_version = {VERSION}"));
    statements
}

pub(super) fn declared(column: &Column) -> String {
    let kind = match column.kind {
        Kind::Seconds
        | Kind::Nanoseconds
        | Kind::U32
        | Kind::U64
        | Kind::Counter
        | Kind::Boolean => "INTEGER",
        Kind::Country | Kind::Text | Kind::NumberList | Kind::Address => "TEXT",
    };
    if column.nullable {
        kind.into()
    } else {
        format!("{kind} NOT NULL")
    }
}

fn create(table: &Table) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|c| format!("  {} {}", c.name, declared(c)))
        .collect();
    let key: Vec<&str> = table.key().map(|c| c.name).collect();
    format!(
        "CREATE TABLE {} (\n{},\n  PRIMARY KEY ({})\n) WITHOUT ROWID",
        table.name,
        columns.join(",\n"),
        key.join(", ")
    )
}

/// Name of a table's view for people.
fn readable(table: &str) -> String {
    format!("{table}_readable")
}

fn view(table: &Table) -> String {
    let shown: Vec<String> = table
        .columns
        .iter()
        .map(|c| match c.kind {
            Kind::Seconds => format!("datetime({0}, 'unixepoch') AS {0}", c.name),
            Kind::Nanoseconds => format!(
                "strftime('%Y-%m-%d %H:%M:%f', {0} / 1000000000.0, 'unixepoch') AS {0}",
                c.name
            ),
            _ => c.name.into(),
        })
        .collect();
    format!(
        "CREATE VIEW {} AS SELECT {} FROM {}",
        readable(table.name),
        shown.join(", "),
        table.name
    )
}
