//! The tables in ClickHouse, generated from the one column definition: types, codecs, engines, keys.
//!
//! What the job writes is in tables named `…_rows`, several revisions of a row until they are merged; what people read
//! is in the views of `views`. Law: these are the columns that `encode` writes, in this order.

use flow_proto::{Rollup, Rollups};

use super::server::qualified;
use crate::columns::{self, Column, Kind, Table};
use crate::raw_columns::{self, ADDED, RAW_FLOWS};

/// Blocks of raw flows that ClickHouse remembers, so that one that comes twice is stored once. At one block a partition
/// every 10 s and 64 partitions this is four hours, at 4 partitions three days.
pub(super) const DEDUPLICATION_WINDOW: u32 = 100_000;
/// Name of the table of applied migrations.
pub(super) const VERSIONS: &str = "flow_pipeline_schema";

/// One table.
pub(super) struct Stored {
    pub(super) name: String,
    /// Name, type, and what follows the type.
    pub(super) columns: Vec<(String, String, String)>,
    pub(super) engine: &'static str,
    /// Arguments of the engine.
    pub(super) arguments: &'static str,
    pub(super) partition: String,
    pub(super) order: String,
    settings: String,
}

impl Stored {
    /// From a table of the column definition.
    fn of(table: &Table, name: String) -> Stored {
        let order: Vec<&str> = table.key().map(|c| c.name).collect();
        Stored {
            name,
            columns: table
                .columns
                .iter()
                .map(|c| (c.name.to_owned(), column_type(c), codec(c)))
                .collect(),
            engine: "MergeTree",
            arguments: "",
            partition: String::new(),
            order: order.join(", "),
            settings: String::new(),
        }
    }

    fn replacing(mut self, arguments: &'static str) -> Stored {
        (self.engine, self.arguments) = ("ReplacingMergeTree", arguments);
        self
    }

    fn column(mut self, name: &str, kind: &str, rest: &str) -> Stored {
        self.columns.push((name.into(), kind.into(), rest.into()));
        self
    }

    /// The statement that makes it.
    pub(super) fn create(&self, database: &str) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, kind, rest)| format!("    `{name}` {kind}{rest}"))
            .collect();
        let mut sql = format!(
            "CREATE TABLE IF NOT EXISTS {} (\n{}\n) ENGINE = {}",
            qualified(database, &self.name),
            columns.join(",\n"),
            self.engine_full()
        );
        if !self.partition.is_empty() {
            sql += &format!("\nPARTITION BY {}", self.partition);
        }
        let order = if self.order.contains(',') {
            format!("({})", self.order)
        } else {
            self.order.clone()
        };
        sql += &format!("\nORDER BY {order}");
        if !self.settings.is_empty() {
            sql += &format!("\nSETTINGS {}", self.settings);
        }
        sql
    }

    /// Columns that a table of an earlier release lacks.
    pub(super) fn added(&self) -> impl Iterator<Item = &(String, String, String)> {
        let is_raw = self.name == RAW_FLOWS;
        let columns = self.columns.iter();
        columns.filter(move |(name, _, _)| is_raw && ADDED.contains(&name.as_str()))
    }

    /// The statements that add them, where they are not there.
    pub(super) fn add(&self, database: &str) -> Vec<String> {
        let table = qualified(database, &self.name);
        let add = |(name, kind, rest): &(String, String, String)| {
            format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS `{name}` {kind}{rest}")
        };
        self.added().map(add).collect()
    }

    /// The engine with its arguments.
    pub(super) fn engine_full(&self) -> String {
        format!("{}({})", self.engine, self.arguments)
    }

    /// What the server's `engine_full` must contain beside the engine.
    pub(super) fn settings(&self) -> &str {
        &self.settings
    }
}

/// The table that holds the rows of the view `name`.
pub(super) fn rows_table(name: &str) -> String {
    format!("{name}_rows")
}

/// All tables.
pub(super) fn tables(rollups: Rollups) -> Vec<Stored> {
    let mut tables: Vec<Stored> = rollups.iter().map(rollup).collect();
    tables.push(slots());
    tables.push(raw_flows());
    let cursors = [
        (columns::cursors(), "shard, job"),
        (raw_columns::raw_cursors(), "topic_partition, job"),
    ];
    for (table, order) in cursors {
        let mut stored = Stored::of(&table, table.name.to_owned()).replacing("checkpoint");
        order.clone_into(&mut stored.order);
        tables.push(stored);
    }
    tables.push(Stored {
        name: VERSIONS.to_owned(),
        columns: vec![
            ("version".into(), "UInt32".into(), String::new()),
            (
                "applied_at".into(),
                "DateTime('UTC')".into(),
                " DEFAULT now()".into(),
            ),
        ],
        engine: "MergeTree",
        arguments: "",
        partition: String::new(),
        order: "version".into(),
        settings: String::new(),
    });
    tables
}

fn rollup(rollup: Rollup) -> Stored {
    let table = columns::rollup(rollup);
    let stored = Stored::of(&table, rows_table(table.name))
        .replacing("revision, is_deleted")
        .column("is_deleted", "UInt8", " DEFAULT 0");
    Stored {
        partition: "toYYYYMMDD(slot)".into(),
        ..stored
    }
}

fn slots() -> Stored {
    let table = columns::slots();
    let stored = Stored::of(&table, rows_table(table.name))
        .replacing("revision, is_deleted")
        .column("revision", "UInt64", "")
        .column("is_deleted", "UInt8", " DEFAULT 0");
    Stored {
        partition: "toYYYYMMDD(slot)".into(),
        ..stored
    }
}

fn raw_flows() -> Stored {
    let table = raw_columns::raw_flows();
    Stored {
        partition: "toYYYYMMDD(time_received)".into(),
        order: "slot, src_as, dst_as, etype, time_received".into(),
        settings: format!("non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"),
        ..Stored::of(&table, table.name.to_owned())
    }
}

/// Type of a column. Words that repeat are kept once.
pub(super) fn column_type(column: &Column) -> String {
    let kind = match column.kind {
        Kind::Seconds => "DateTime('UTC')",
        Kind::U32 => "UInt32",
        Kind::U64 | Kind::Counter => "UInt64",
        Kind::Country | Kind::Text => "LowCardinality(String)",
        Kind::Boolean => "Bool",
        Kind::NumberList => "String",
        Kind::Nanoseconds => "DateTime64(9, 'UTC')",
        Kind::Address => "IPv6",
    };
    if column.nullable {
        format!("Nullable({kind})")
    } else {
        kind.to_owned()
    }
}

fn codec(column: &Column) -> String {
    let codec = match (column.kind, column.name) {
        (Kind::Nanoseconds | Kind::Seconds, _) | (_, "topic_offset") => " CODEC(Delta, ZSTD)",
        (Kind::U64 | Kind::Counter, _) if !column.nullable => " CODEC(T64, ZSTD)",
        (Kind::Address, _) => " CODEC(ZSTD)",
        _ => "",
    };
    codec.to_owned()
}

/// Names of a table's columns, for an insert.
pub(super) fn names(table: &Table) -> String {
    let names: Vec<String> = table
        .columns
        .iter()
        .map(|c| format!("`{}`", c.name))
        .collect();
    names.join(", ")
}
