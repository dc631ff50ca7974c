//! Writes a delta into SQLite inside its transaction.
//!
//! Law 6: a row is replaced only by a higher revision; `slots.generation` is a floor, rows of a lower generation are
//! not written. A number that SQLite cannot hold (2^63 and above) is an error that names the row, never a lie.

use std::collections::BTreeMap;

use flow_proto::{Rollup, Rollups};
use flow_state::SlotSecs;
use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};

use super::explain;
use crate::columns::{self, Column, Kind, SLOTS, Table, Value};
use crate::{Delta, Row, SinkError, SlotRow};

/// Writes into one transaction.
pub(super) struct Writer<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) name: &'a str,
    pub(super) rollups: Rollups,
}

impl Writer<'_> {
    /// The rows; returns how many there were.
    pub(super) fn rows(&self, delta: &Delta<'_>) -> Result<u64, SinkError> {
        let sql = explain(self.name, false);
        let mut upserts = BTreeMap::new();
        for rollup in self.rollups.iter() {
            let statement = upsert_row(&columns::rollup(rollup));
            let prepared = self.transaction.prepare_cached(&statement).map_err(&sql)?;
            upserts.insert(rollup, prepared);
        }
        let mut floors: BTreeMap<(Rollup, SlotSecs), u64> = BTreeMap::new();
        let mut rows = 0;
        delta.rows.for_each(&mut |row| {
            let at = (row.rollup, row.record.slot_secs);
            let floor = match floors.get(&at) {
                Some(floor) => *floor,
                None => *floors.entry(at).or_insert(self.floor(at)?),
            };
            if let Some(upsert) = upserts
                .get_mut(&row.rollup)
                .filter(|_| row.generation() >= floor)
            {
                bind(upsert, &columns::rollup_values(&row), self.name, &|| {
                    describe(&row)
                })?;
                upsert.raw_execute().map_err(&sql)?;
                rows += 1;
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// The slots: rows that have changed, then everything that has retired.
    pub(super) fn slots(&self, delta: &Delta<'_>) -> Result<(), SinkError> {
        let sql = explain(self.name, false);
        let (mut upsert, mut update) = (
            self.transaction
                .prepare_cached(&upsert_slot())
                .map_err(&sql)?,
            self.transaction
                .prepare_cached(&update_slot())
                .map_err(&sql)?,
        );
        for slot in delta.slots {
            self.replace(slot)?;
            let statement = if slot.counts.is_some() {
                &mut upsert
            } else {
                &mut update
            };
            bind(statement, &columns::slot_values(slot), self.name, &|| {
                describe_slot(slot)
            })?;
            statement.raw_execute().map_err(&sql)?;
        }
        let mut retire = self
            .transaction
            .prepare_cached(&format!(
                "UPDATE {SLOTS} SET state = 'retired'
                 WHERE state IN ('open', 'complete') AND slot <= ?1 AND rollup = ?2"
            ))
            .map_err(&sql)?;
        for (rollup, line) in delta.retired_through {
            retire
                .execute(params![clamp(*line), rollup.table()])
                .map_err(&sql)?;
        }
        Ok(())
    }

    /// Deletes what a slot's rows of a new generation, which are there already, replace.
    fn replace(&self, slot: &SlotRow) -> Result<(), SinkError> {
        if slot.written_secs.is_none()
            || slot.generation <= self.floor((slot.rollup, slot.slot_secs))?
        {
            return Ok(());
        }
        let table = slot.rollup.table();
        let statement = format!("DELETE FROM {table} WHERE slot = ?1 AND revision < ?2");
        let below = clamp(slot.generation << 48);
        self.transaction
            .execute(&statement, params![clamp(slot.slot_secs), below])
            .map(drop)
            .map_err(explain(self.name, false))
    }

    /// Deletes every row of slots that are to be replaced, whatever revision somebody has given it; not of those that were
    /// replaced later.
    pub(super) fn clear(&self, slots: &[SlotRow]) -> Result<(), SinkError> {
        for slot in slots {
            if slot.generation < self.floor((slot.rollup, slot.slot_secs))? {
                continue;
            }
            let statement = format!("DELETE FROM {} WHERE slot = ?1", slot.rollup.table());
            self.transaction
                .execute(&statement, [clamp(slot.slot_secs)])
                .map_err(explain(self.name, false))?;
        }
        Ok(())
    }

    /// Deletes what is older than the retention, by the watermark. The row `elsewhere` (slot 0) stays.
    pub(super) fn forget(&self, kept_from: &[(Rollup, SlotSecs)]) -> Result<(), SinkError> {
        let sql = explain(self.name, false);
        let mut of_slots = self
            .transaction
            .prepare_cached(&format!(
                "DELETE FROM {SLOTS} WHERE rollup = ?1 AND slot > 0 AND slot < ?2"
            ))
            .map_err(&sql)?;
        for (rollup, line) in kept_from {
            let (table, line) = (rollup.table(), clamp(*line));
            let statement = format!("DELETE FROM {table} WHERE slot > 0 AND slot < ?1");
            let mut of_rows = self.transaction.prepare_cached(&statement).map_err(&sql)?;
            of_rows.execute([line]).map_err(&sql)?;
            of_slots.execute(params![table, line]).map_err(&sql)?;
        }
        Ok(())
    }

    /// Lowest generation that may be written into a slot.
    fn floor(&self, (rollup, slot_secs): (Rollup, SlotSecs)) -> Result<u64, SinkError> {
        let sql = explain(self.name, false);
        let statement = format!("SELECT generation FROM {SLOTS} WHERE rollup = ?1 AND slot = ?2");
        let found = self
            .transaction
            .prepare_cached(&statement)
            .and_then(|mut statement| {
                let at = params![rollup.table(), clamp(slot_secs)];
                statement.query_row(at, |row| row.get(0)).optional()
            });
        Ok(found.map_err(&sql)?.unwrap_or(0))
    }
}

/// Binds a row's values; `row` names it in an error.
pub(super) fn bind(
    statement: &mut CachedStatement<'_>,
    values: &[Value],
    name: &str,
    row: &dyn Fn() -> String,
) -> Result<(), SinkError> {
    for (n, value) in values.iter().enumerate() {
        let bound = match value {
            Value::Number(number) => {
                let number = i64::try_from(*number).map_err(|_| {
                    SinkError::fatal(format!(
                        "sink {name}: {}: {number} is above 2^63 - 1, the largest that SQLite holds; use another store",
                        row()
                    ))
                })?;
                statement.raw_bind_parameter(n + 1, number)
            }
            Value::Text(text) => statement.raw_bind_parameter(n + 1, text),
            Value::Address(address) => {
                statement.raw_bind_parameter(n + 1, columns::address_text(*address))
            }
            Value::Boolean(yes) => statement.raw_bind_parameter(n + 1, yes),
            Value::Null => statement.raw_bind_parameter(n + 1, rusqlite::types::Null),
        };
        bound.map_err(explain(name, false))?;
    }
    Ok(())
}

/// For comparisons only: no stored slot lies above it.
fn clamp(secs: u64) -> i64 {
    i64::try_from(secs).unwrap_or(i64::MAX)
}

fn describe(row: &Row<'_>) -> String {
    format!(
        "{} slot {} key {:?}",
        row.rollup.table(),
        row.record.slot_secs,
        row.record.key
    )
}

fn describe_slot(slot: &SlotRow) -> String {
    format!("{SLOTS} {} {}", slot.rollup.table(), slot.slot_secs)
}

fn insert(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
    let places: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
    let key: Vec<&str> = table.key().map(|c| c.name).collect();
    format!(
        "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET ",
        table.name,
        names.join(", "),
        places.join(", "),
        key.join(", ")
    )
}

fn upsert_row(table: &Table) -> String {
    let sets: Vec<String> = table
        .rest()
        .map(|c| format!("{0} = excluded.{0}", c.name))
        .collect();
    format!(
        "{}{} WHERE excluded.revision > {}.revision",
        insert(table),
        sets.join(", "),
        table.name
    )
}

fn upsert_slot() -> String {
    let table = columns::slots();
    let set = |c: &Column| match c.name {
        "first_written" => format!("{0} = coalesce({SLOTS}.{0}, excluded.{0})", c.name),
        "last_written" => format!("{0} = coalesce(excluded.{0}, {SLOTS}.{0})", c.name),
        // Without rows the floor stays.
        "generation" => format!(
            "{0} = iif(excluded.last_written IS NULL, {SLOTS}.{0}, excluded.{0})",
            c.name
        ),
        name => format!("{name} = excluded.{name}"),
    };
    let sets: Vec<String> = table.rest().map(set).collect();
    format!(
        "{}{} WHERE excluded.generation >= {SLOTS}.generation",
        insert(&table),
        sets.join(", ")
    )
}

/// A slot whose counts are final and no longer in the state: everything but the counts.
fn update_slot() -> String {
    let table = columns::slots();
    let place = |name: &str| {
        table
            .columns
            .iter()
            .position(|c| c.name == name)
            .map_or(0, |n| n + 1)
    };
    let sets: Vec<String> = table
        .rest()
        .filter(|c| c.kind != Kind::U64 || c.name == "generation")
        .map(|c| match c.name {
            "generation" => format!(
                "{0} = iif(?{1} IS NULL, {0}, ?{2})",
                c.name,
                place("last_written"),
                place(c.name)
            ),
            "first_written" => format!("{0} = coalesce({0}, ?{1})", c.name, place(c.name)),
            "last_written" => format!("{0} = coalesce(?{1}, {0})", c.name, place(c.name)),
            name => format!("{name} = ?{}", place(name)),
        })
        .collect();
    format!(
        "UPDATE {SLOTS} SET {} WHERE rollup = ?1 AND slot = ?2 AND generation <= ?5",
        sets.join(", ")
    )
}
