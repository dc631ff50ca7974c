//! The tables as they should be, generated from the one column definition.
//!
//! Law: what `schema print` shows is what `schema apply` runs and what a database is compared with.

use flow_proto::Rollups;

use super::binary::Wire;
use super::flows;
use crate::columns::{self, Column, Kind, SLOTS, Table};
use crate::raw_columns;

/// Version of the schema: how many migrations have made it. The first one makes every table.
pub(super) const VERSION: i32 = 2;
/// The table of the migrations that were applied.
pub(super) const MIGRATIONS: &str = "flow_pipeline_schema";

/// A column as it should be.
pub(super) struct WantedColumn {
    pub(super) name: &'static str,
    /// Types as `format_type` names them, that of a new table first. Any of them serves.
    pub(super) types: Vec<&'static str>,
    pub(super) nullable: bool,
}

/// A table as it should be.
pub(super) struct WantedTable {
    pub(super) name: &'static str,
    pub(super) columns: Vec<WantedColumn>,
    /// Primary key; empty: none is asked for.
    pub(super) key: Vec<&'static str>,
    /// Name of the index that is made with it, beside that of its key.
    pub(super) index: Option<String>,
    /// The statements that make it.
    pub(super) create: Vec<String>,
}

/// All tables; those of raw flows only if there are to be any.
pub(super) fn wanted(raw: bool, rollups: Rollups) -> Vec<WantedTable> {
    let mut tables: Vec<WantedTable> = columns::tables(rollups).iter().map(plain).collect();
    tables.push(migrations());
    if raw {
        tables.push(plain(&raw_columns::raw_cursors()));
        tables.extend([flows::FLOWS, flows::IMPLAUSIBLE].map(flows::table));
    }
    tables
}

/// What notes that the newest schema is there.
pub(super) fn note_version() -> String {
    format!("INSERT INTO {MIGRATIONS} (version) VALUES ({VERSION}) ON CONFLICT DO NOTHING")
}

fn plain(table: &Table) -> WantedTable {
    let mut create = vec![create(table)];
    // Retirement looks for slots by their state; the table itself grows with time.
    let index = (table.name == SLOTS).then(|| format!("{SLOTS}_by_state"));
    if let Some(index) = &index {
        create.push(format!("CREATE INDEX {index} ON {SLOTS} (state, slot)"));
    }
    WantedTable {
        name: table.name,
        columns: table.columns.iter().map(column).collect(),
        key: table.key().map(|column| column.name).collect(),
        index,
        create,
    }
}

fn column(column: &Column) -> WantedColumn {
    WantedColumn {
        name: column.name,
        types: vec![type_name(column.kind)],
        nullable: column.nullable,
    }
}

fn type_name(kind: Kind) -> &'static str {
    Wire::of(kind).name()
}

fn create(table: &Table) -> String {
    let line = |column: &Column| {
        let needed = if column.nullable { "" } else { " NOT NULL" };
        format!("  {} {}{needed}", column.name, type_name(column.kind))
    };
    let lines: Vec<String> = table.columns.iter().map(line).collect();
    let key: Vec<&str> = table.key().map(|column| column.name).collect();
    format!(
        "CREATE TABLE {} (\n{},\n  PRIMARY KEY ({})\n)",
        table.name,
        lines.join(",\n"),
        key.join(", ")
    )
}

fn migrations() -> WantedTable {
    let wanted = |name, wire: Wire| WantedColumn {
        name,
        types: vec![wire.name()],
        nullable: false,
    };
    WantedTable {
        name: MIGRATIONS,
        columns: vec![
            wanted("version", Wire::Int4),
            wanted("applied", Wire::Timestamp),
        ],
        key: vec!["version"],
        index: None,
        create: vec![format!(
            "CREATE TABLE {MIGRATIONS} (\n  version integer NOT NULL,\n  \
             applied timestamp with time zone NOT NULL DEFAULT now(),\n  PRIMARY KEY (version)\n)"
        )],
    }
}
