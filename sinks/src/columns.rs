//! The columns of every table, once: each store's DDL and inserts are generated from here.
//!
//! Law: a table's columns, their order and their meaning are the same in all stores, and `rollup_values` and
//! `slot_values` give one value for each of them.

use flow_proto::{
    Addr, Dimension, DimensionKind, Rollup, Rollups, Sums, address_of, country_code, text_shown,
    words_of,
};

use crate::{Row, SlotRow};

/// Name of the table of slots.
pub const SLOTS: &str = "slots";
/// Name of the table of cursors.
pub const CURSORS: &str = "flow_pipeline_cursors";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Seconds since 1970, UTC.
    Seconds,
    /// An unsigned number below 2^32.
    U32,
    /// An unsigned number below 2^63 (`Sums` stay far below: law 2 refuses flows above 2^50).
    U64,
    /// Two letters (ISO 3166-1), empty for none.
    Country,
    /// Text.
    Text,
    /// True or false.
    Boolean,
    /// A JSON list of numbers.
    NumberList,
    /// Nanoseconds since 1970, UTC. What a store's calendar does not reach stands at its last moment.
    Nanoseconds,
    /// An IP address; a store that has a type for it unwraps IPv4.
    Address,
    /// A number as sent, up to 2^64 - 1: a store whose numbers end below keeps its largest in place of larger ones.
    Counter,
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Part of the primary key.
    pub key: bool,
    /// May be absent.
    pub nullable: bool,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns, those of the key first.
    pub columns: Vec<Column>,
}

impl Table {
    /// The columns of the primary key.
    pub fn key(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.key)
    }

    /// The other columns.
    pub fn rest(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| !c.key)
    }
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `Seconds`, `Nanoseconds`, `U32`, `U64` or `Counter`.
    Number(u64),
    /// `Country`, `Text` or `NumberList`.
    Text(String),
    /// `Boolean`.
    Boolean(bool),
    /// `Address`.
    Address(Addr),
    /// Absent.
    Null,
}

impl From<Option<u64>> for Value {
    fn from(number: Option<u64>) -> Value {
        number.map_or(Value::Null, Value::Number)
    }
}

const fn key(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        key: true,
        nullable: false,
    }
}

const fn value(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        key: false,
        nullable: false,
    }
}

const fn optional(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        key: false,
        nullable: true,
    }
}

/// The table of a rollup.
pub fn rollup(rollup: Rollup) -> Table {
    let mut columns = vec![key("slot", Kind::Seconds)];
    columns.extend(
        rollup
            .dimensions()
            .iter()
            .map(|one| key(one.name(), key_kind(*one))),
    );
    columns.extend(Sums::COLUMNS.map(|name| value(name, Kind::U64)));
    columns.push(value("table_version", Kind::U32));
    columns.push(value("revision", Kind::U64));
    Table {
        name: rollup.table(),
        columns,
    }
}

/// The table `slots`.
pub fn slots() -> Table {
    let columns = vec![
        key("rollup", Kind::Text),
        key("slot", Kind::Seconds),
        value("state", Kind::Text),
        value("partial", Kind::Boolean),
        value("generation", Kind::U64),
        optional("first_written", Kind::Seconds),
        optional("last_written", Kind::Seconds),
        value("flows", Kind::U64),
        value("too_early", Kind::U64),
        value("too_late", Kind::U64),
        value("implausible", Kind::U64),
        value("missing_partitions", Kind::NumberList),
        optional("complete_through", Kind::Seconds),
    ];
    Table {
        name: SLOTS,
        columns,
    }
}

/// The table of cursors: which checkpoint of which job each shard stands at.
pub fn cursors() -> Table {
    let columns = vec![
        key("shard", Kind::U32),
        value("checkpoint", Kind::U64),
        value("job", Kind::Text),
    ];
    Table {
        name: CURSORS,
        columns,
    }
}

/// All tables.
pub fn tables(rollups: Rollups) -> Vec<Table> {
    rollups
        .iter()
        .map(rollup)
        .chain([slots(), cursors()])
        .collect()
}

/// A row's values, in the order of `rollup`'s columns.
pub fn rollup_values(row: &Row<'_>) -> Vec<Value> {
    let record = &row.record;
    let key = row.rollup.values(record.key);
    let ends = [u64::from(row.table_version), row.revision];
    [Value::Number(record.slot_secs)]
        .into_iter()
        .chain(key.map(|(dimension, words)| key_value(dimension, words)))
        .chain(record.sums.values().map(Value::Number))
        .chain(ends.map(Value::Number))
        .collect()
}

/// A slot's values, in the order of `slots`' columns. `first_written` is this delta's time, as `last_written` is: the
/// store keeps the older one if it has one.
pub fn slot_values(slot: &SlotRow) -> [Value; 13] {
    let counts = slot.counts.unwrap_or_default();
    let missing: Vec<String> = slot.missing_partitions.iter().map(u32::to_string).collect();
    [
        Value::Text(slot.rollup.table().into()),
        Value::Number(slot.slot_secs),
        Value::Text(slot.state.name().into()),
        Value::Boolean(slot.partial),
        Value::Number(slot.generation),
        slot.written_secs.into(),
        slot.written_secs.into(),
        Value::Number(counts.flows),
        Value::Number(counts.too_early),
        Value::Number(counts.too_late),
        Value::Number(counts.implausible),
        Value::Text(format!("[{}]", missing.join(","))),
        slot.complete_through_secs.into(),
    ]
}

fn key_kind(dimension: Dimension) -> Kind {
    match dimension.kind() {
        DimensionKind::Number => Kind::U32,
        DimensionKind::Country => Kind::Country,
        DimensionKind::Address => Kind::Address,
        DimensionKind::Text => Kind::Text,
    }
}

/// An address as text, in a column that cannot lack one.
pub fn address_text(address: Addr) -> String {
    match address.to_ip() {
        Some(ip) => ip.to_string(),
        None => "::".to_owned(),
    }
}

/// A dimension of a key as its column's value.
pub fn key_value(dimension: Dimension, words: &[u32]) -> Value {
    let number = words.first().copied().unwrap_or(0);
    match dimension.kind() {
        DimensionKind::Number => Value::Number(number.into()),
        DimensionKind::Country => Value::Text(country_code(number)),
        DimensionKind::Address => Value::Address(address_of(words)),
        DimensionKind::Text => Value::Text(text_shown(words_of(words)).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SlotState;
    use flow_proto::{Record, RowRecord, country_number};

    fn fits(column: &Column, value: &Value) -> bool {
        match (column.kind, value) {
            (Kind::Seconds | Kind::U32 | Kind::U64, Value::Number(_)) => true,
            (Kind::Country | Kind::Text | Kind::NumberList, Value::Text(_)) => true,
            (Kind::Boolean, Value::Boolean(_)) => true,
            (_, Value::Null) => column.nullable,
            _ => false,
        }
    }

    #[test]
    fn values_stand_under_their_columns() {
        let sums = Sums {
            bytes: 1,
            packets: 2,
            flows: 3,
            scaled_bytes: 4,
            scaled_packets: 5,
            unknown_rate_flows: 6,
        };
        let keys = [country_number("DE"), 0, 0x86dd];
        for rollup in Rollups::STANDARD.iter() {
            let record = RowRecord {
                slot_secs: 300,
                rollup: rollup.number(),
                shard: 1,
                key: keys,
                sums,
            };
            let row = Row {
                rollup,
                record: record.view(),
                table_version: 8,
                revision: 9,
            };
            let (table, values) = (super::rollup(rollup), rollup_values(&row));
            assert_eq!(table.columns.len(), values.len());
            assert!(
                table.columns.iter().zip(&values).all(|(c, v)| fits(c, v)),
                "{values:?}"
            );
            let named = |name: &str| {
                values[table.columns.iter().position(|c| c.name == name).unwrap()].clone()
            };
            assert_eq!(named("scaled_bytes"), Value::Number(4));
            assert_eq!(named("etype"), Value::Number(0x86dd));
            assert_eq!(named("revision"), Value::Number(9));
            if rollup == Rollup::COUNTRY {
                assert_eq!(named("src_country"), Value::Text("DE".into()));
                assert_eq!(named("dst_country"), Value::Text(String::new()));
            }
        }
        let slot = SlotRow {
            rollup: Rollup::AS,
            slot_secs: 300,
            state: SlotState::Open,
            partial: true,
            generation: 0,
            written_secs: None,
            counts: None,
            missing_partitions: vec![3, 5],
            complete_through_secs: None,
        };
        let (table, values) = (slots(), slot_values(&slot));
        assert_eq!(table.columns.len(), values.len());
        assert!(
            table.columns.iter().zip(&values).all(|(c, v)| fits(c, v)),
            "{values:?}"
        );
        assert!(values.contains(&Value::Text("[3,5]".into())));
    }
}
