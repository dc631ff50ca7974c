//! The tables and views in SQLite, generated from the one column definition.
//!
//! Times are whole seconds since 1970 (small, exact, sorted as numbers), of raw flows nanoseconds; for people there is a
//! view `…_readable` of each table with times as text in UTC. Law: a change of a table is a new version, with a
//! migration that makes of the version before what an empty database would get.

use flow_proto::Rollups;

use crate::columns::{self, Column, Kind, Table};
use crate::raw_columns::{RAW_CURSORS, raw_cursors, raw_flows};

/// Version of this schema (`PRAGMA user_version`).
pub(super) const VERSION: u32 = 3;

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

pub(super) fn create(table: &Table) -> String {
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
pub(super) fn readable(table: &str) -> String {
    format!("{table}_readable")
}

pub(super) fn view(table: &Table) -> String {
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
