//! Rows of a delta on their way into the tables of the rollups.
//!
//! Law 6: a row is replaced only by a higher revision; rows below a slot's generation are not written. The first
//! revision of a slot that the store has no rows of is copied straight into the table; every other row goes through a
//! staging table and an upsert, which costs the server four times as much. Sorted, since neighbours in the primary key
//! are then neighbours in time: rows are held back until there are `HELD` of them, never more.

use std::collections::{BTreeMap, BTreeSet};

use flow_proto::{Rollup, RowView, Sums};
use flow_state::SlotSecs;

use super::binary::{self, Wire};
use super::connection::Connection;
use super::slots::clamp;
use crate::columns::{self, SLOTS, Table, rollup_values};
use crate::{Row, SinkError};

/// Rows of one destination that are sorted and sent together: 15 MB with short keys.
const HELD: usize = 1 << 17;

/// A row that is held back.
struct Held {
    slot_secs: SlotSecs,
    shard: u16,
    key: Box<[u32]>,
    sums: Sums,
    table_version: u32,
    revision: u64,
}

impl Held {
    /// Where it stands among others of its table.
    fn place(&self) -> (SlotSecs, &[u32], u64) {
        (self.slot_secs, &self.key, self.revision)
    }
}

/// What the store has of a slot.
#[derive(Clone, Copy)]
struct Slot {
    /// Lowest generation that may be written.
    floor: u64,
    /// The revision that may be copied without asking; `None`: there are rows already.
    copied: Option<u64>,
}

/// Writes rows into one transaction.
pub(super) struct RowWriter<'a> {
    connection: &'a Connection,
    name: &'a str,
    slots: BTreeMap<(Rollup, SlotSecs), Slot>,
    /// By rollup: rows to be copied, rows to be staged.
    held: BTreeMap<(Rollup, bool), Vec<Held>>,
    written: u64,
}

/// The statement that makes a rollup's staging table, once a session.
pub(super) fn staging(rollup: Rollup) -> String {
    let table = rollup.table();
    format!(
        "CREATE TEMPORARY TABLE {} (LIKE {table}) ON COMMIT DELETE ROWS",
        staged(table)
    )
}

/// Name of a table's staging table.
pub(super) fn staged(table: &str) -> String {
    format!("flow_pipeline_staged_{table}")
}

impl<'a> RowWriter<'a> {
    pub(super) fn new(connection: &'a Connection, name: &'a str) -> RowWriter<'a> {
        RowWriter {
            connection,
            name,
            slots: BTreeMap::new(),
            held: BTreeMap::new(),
            written: 0,
        }
    }

    /// Takes a row.
    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let at = (row.rollup, row.record.slot_secs);
        let slot = match self.slots.get(&at) {
            Some(slot) => *slot,
            None => {
                let slot = self.look(at, row.revision)?;
                *self.slots.entry(at).or_insert(slot)
            }
        };
        if row.generation() < slot.floor {
            return Ok(());
        }
        self.written += 1;
        // A key comes once in a revision, and again in a later one.
        let staged = slot.copied != Some(row.revision);
        let held = self.held.entry((row.rollup, staged)).or_default();
        held.push(Held {
            slot_secs: row.record.slot_secs,
            shard: row.record.shard,
            key: row.record.key_of(row.rollup).into(),
            sums: *row.record.sums,
            table_version: row.table_version,
            revision: row.revision,
        });
        if held.len() >= HELD {
            self.send(row.rollup)?;
        }
        Ok(())
    }

    /// Writes what is held back; returns how many rows there were in all.
    pub(super) fn finish(mut self) -> Result<u64, SinkError> {
        let held: BTreeSet<Rollup> = self.held.keys().map(|(rollup, _)| *rollup).collect();
        for rollup in held {
            self.send(rollup)?;
        }
        Ok(self.written)
    }

    /// What is copied must stand before what corrects it.
    fn send(&mut self, rollup: Rollup) -> Result<(), SinkError> {
        let table = columns::rollup(rollup);
        for staged in [false, true] {
            let Some(mut held) = self
                .held
                .remove(&(rollup, staged))
                .filter(|h| !h.is_empty())
            else {
                continue;
            };
            held.sort_unstable_by(|one, other| one.place().cmp(&other.place()));
            if staged {
                self.upsert(rollup, &table, &held)?;
            } else {
                self.copy(rollup, &table, table.name, &held)?;
            }
        }
        Ok(())
    }

    fn upsert<'h>(&self, rollup: Rollup, table: &Table, held: &'h [Held]) -> Result<(), SinkError> {
        let staging = staged(table.name);
        // Of two rows with one key an upsert takes one only: the later.
        let at = |held: &'h Held| (held.slot_secs, &held.key);
        let last = held
            .iter()
            .zip(held.iter().skip(1).map(Some).chain([None]))
            .filter(|(row, next)| next.is_none_or(|next| at(next) != at(row)))
            .map(|(row, _)| row);
        self.copy(rollup, table, &staging, last)?;
        self.connection.change(&upsert(table, &staging), &[])?;
        self.connection.execute(&format!("TRUNCATE {staging}"))
    }

    fn copy<'h>(
        &self,
        rollup: Rollup,
        table: &Table,
        into: &str,
        rows: impl IntoIterator<Item = &'h Held>,
    ) -> Result<(), SinkError> {
        let mut copy = self
            .connection
            .copy(&format!("COPY {into} FROM STDIN (FORMAT binary)"))?;
        for held in rows {
            let row = Row {
                rollup,
                record: RowView {
                    slot_secs: held.slot_secs,
                    rollup: rollup.number(),
                    shard: held.shard,
                    key: &held.key,
                    sums: &held.sums,
                },
                table_version: held.table_version,
                revision: held.revision,
            };
            let buffer = copy.buffer();
            binary::begin(buffer, table.columns.len());
            for (column, value) in table.columns.iter().zip(rollup_values(&row)) {
                binary::put(buffer, column.kind, Wire::of(column.kind), &value).map_err(
                    |unfit| {
                        SinkError::fatal(format!(
                            "sink {}: {} slot {} key {:?}: {}",
                            self.name, table.name, held.slot_secs, held.key, unfit.0
                        ))
                    },
                )?;
            }
            copy.sent()?;
        }
        copy.finish().map(drop)
    }

    /// Asks for a slot's generation, and whether there are rows.
    fn look(&self, (rollup, slot_secs): (Rollup, SlotSecs), first: u64) -> Result<Slot, SinkError> {
        let table = rollup.table();
        let statement = format!(
            "SELECT coalesce((SELECT generation FROM {SLOTS} WHERE rollup = $1::text AND slot = to_timestamp($2::bigint)), 0),
                    EXISTS (SELECT FROM {table} WHERE slot = to_timestamp($2::bigint))"
        );
        let secs = clamp(slot_secs);
        let mut slot = Slot {
            floor: 0,
            copied: Some(first),
        };
        if let Some(row) = self.connection.first(&statement, &[&table, &secs])? {
            let generation: i64 = self.connection.get(&row, 0)?;
            slot.floor = u64::try_from(generation).unwrap_or(0);
            if self.connection.get(&row, 1)? {
                slot.copied = None;
            }
        }
        Ok(slot)
    }
}

fn upsert(table: &Table, staging: &str) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let key: Vec<&str> = table.key().map(|column| column.name).collect();
    let set = |name: &str| format!("{name} = excluded.{name}");
    let sets: Vec<String> = table.rest().map(|column| set(column.name)).collect();
    format!(
        "INSERT INTO {0} AS stored ({1}) SELECT {1} FROM {staging} ON CONFLICT ({2}) DO UPDATE SET {3}
         WHERE excluded.revision > stored.revision",
        table.name,
        names.join(", "),
        key.join(", "),
        sets.join(", ")
    )
}
