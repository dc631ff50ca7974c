//! The rows of `slots`, and what grows too old.
//!
//! Law 6: a row of a lower generation is not written. Law 8: retention is by the watermark, and bounded work: at most a
//! day's rows are deleted in one transaction, so that the first retention of an old database catches up step by step.

use std::collections::BTreeMap;

use flow_proto::{Rollup, Rollups};
use flow_state::SlotSecs;

use super::address::Address;
use super::binary::{self, Wire};
use super::connection::Connection;
use super::rows::staged;
use crate::columns::{self, Column, Kind, SLOTS, Value};
use crate::{Delta, SinkError, SlotRow};

/// The staging table's own column: whether counts are given.
const COUNTED: &str = "counted";

/// The statement that makes the staging table, once a session.
pub(super) fn staging() -> String {
    format!(
        "CREATE TEMPORARY TABLE {} (LIKE {SLOTS}, {COUNTED} boolean NOT NULL) ON COMMIT DELETE ROWS",
        staged(SLOTS)
    )
}

/// Writes the rows that have changed, then everything that has retired.
pub(super) fn write(
    connection: &Connection,
    address: &Address,
    delta: &Delta<'_>,
) -> Result<(), SinkError> {
    if !delta.slots.is_empty() {
        stage(connection, &address.name, delta)?;
        replace(connection, address.options.rollups, delta)?;
        connection.change(&upsert(), &[])?;
        connection.change(&update(), &[])?;
    }
    for (rollup, line) in delta.retired_through {
        let statement = format!(
            "UPDATE {SLOTS} SET state = 'retired' WHERE state IN ('open', 'complete')
               AND slot <= to_timestamp($1::bigint) AND rollup = $2::text"
        );
        connection.change(&statement, &[&clamp(*line), &rollup.table()])?;
    }
    Ok(())
}

/// Flows in rows of the base rollup by slot, from a slot on.
pub(super) fn flows(
    connection: &Connection,
    base: Rollup,
    from_secs: u64,
) -> Result<BTreeMap<u64, u64>, SinkError> {
    let statement = format!(
        "SELECT extract(epoch from slot)::bigint, flows::bigint FROM {SLOTS}
         WHERE rollup = $1::text AND slot >= to_timestamp($2::bigint)"
    );
    let rows = connection.query(&statement, &[&base.table(), &clamp(from_secs)])?;
    let pair = |row| {
        let (slot, flows): (i64, i64) = (connection.get(row, 0)?, connection.get(row, 1)?);
        Ok((slot.unsigned_abs(), u64::try_from(flows).unwrap_or(0)))
    };
    rows.iter().map(pair).collect()
}

/// Deletes every row of slots that are to be replaced, whatever revision somebody has given it; not of those that were
/// replaced later.
pub(super) fn clear(connection: &Connection, slots: &[SlotRow]) -> Result<(), SinkError> {
    for slot in slots {
        let table = slot.rollup.table();
        let statement = format!(
            "DELETE FROM {table} WHERE slot = to_timestamp($1::bigint) AND NOT EXISTS (SELECT FROM {SLOTS}
               WHERE rollup = $2::text AND slot = to_timestamp($1::bigint) AND generation > $3::bigint)"
        );
        let generation = i64::try_from(slot.generation).unwrap_or(i64::MAX);
        connection.change(&statement, &[&clamp(slot.slot_secs), &table, &generation])?;
    }
    Ok(())
}

/// Deletes what is older than the retention. The row `elsewhere` (slot 0) stays.
pub(super) fn forget(
    connection: &Connection,
    kept_from: &[(Rollup, SlotSecs)],
) -> Result<(), SinkError> {
    for (rollup, line) in kept_from {
        let (table, line) = (rollup.table(), clamp(*line));
        let of_rows = format!(
            "DELETE FROM {table} WHERE slot > to_timestamp(0) AND slot < least(to_timestamp($1::bigint),
               (SELECT min(slot) + interval '1 day' FROM {table} WHERE slot > to_timestamp(0)))"
        );
        connection.change(&of_rows, &[&line])?;
        let of_slots = format!(
            "DELETE FROM {SLOTS} WHERE rollup = $2::text AND slot > to_timestamp(0) AND slot < least(to_timestamp($1::bigint),
               (SELECT min(slot) + interval '1 day' FROM {SLOTS} WHERE rollup = $2::text AND slot > to_timestamp(0)))"
        );
        connection.change(&of_slots, &[&line, &table])?;
    }
    Ok(())
}

/// Deletes what the rows of new generations, which are there already, replace. One slot after the other: joined, the planner
/// could choose to read a whole table.
fn replace(connection: &Connection, rollups: Rollups, delta: &Delta<'_>) -> Result<(), SinkError> {
    if delta.slots.iter().all(|slot| slot.generation == 0) {
        return Ok(());
    }
    let risen = format!(
        "SELECT new.rollup, extract(epoch FROM new.slot)::bigint, new.generation FROM {0} AS new
         LEFT JOIN {SLOTS} AS stored ON stored.rollup = new.rollup AND stored.slot = new.slot
         WHERE new.last_written IS NOT NULL AND new.generation > coalesce(stored.generation, 0)",
        staged(SLOTS)
    );
    for row in connection.query(&risen, &[])? {
        let (rollup, slot): (String, i64) = (connection.get(&row, 0)?, connection.get(&row, 1)?);
        let generation: i64 = connection.get(&row, 2)?;
        let Some(table) = rollups.named(&rollup).map(Rollup::table) else {
            continue;
        };
        let statement = format!(
            "DELETE FROM {table} WHERE slot = to_timestamp($1::bigint) AND revision < $2::bigint << 48"
        );
        connection.change(&statement, &[&slot, &generation])?;
    }
    Ok(())
}

fn stage(connection: &Connection, name: &str, delta: &Delta<'_>) -> Result<(), SinkError> {
    let table = columns::slots();
    let mut copy = connection.copy(&format!(
        "COPY {} FROM STDIN (FORMAT binary)",
        staged(SLOTS)
    ))?;
    for slot in delta.slots {
        let unfit = |unfit: binary::Unfit| {
            SinkError::fatal(format!(
                "sink {name}: {SLOTS} {} {}: {}",
                slot.rollup.table(),
                slot.slot_secs,
                unfit.0
            ))
        };
        let buffer = copy.buffer();
        binary::begin(buffer, table.columns.len() + 1);
        for (column, value) in table.columns.iter().zip(columns::slot_values(slot)) {
            binary::put(buffer, column.kind, Wire::of(column.kind), &value).map_err(unfit)?;
        }
        let counted = Value::Boolean(slot.counts.is_some());
        binary::put(buffer, Kind::Boolean, Wire::Bool, &counted).map_err(unfit)?;
        copy.sent()?;
    }
    copy.finish().map(drop)
}

/// For comparisons only: no stored slot lies above it.
pub(super) fn clamp(secs: u64) -> i64 {
    const END_SECS: i64 = 9_000_000_000_000;
    i64::try_from(secs).unwrap_or(END_SECS).min(END_SECS)
}

fn set(name: &str, new: &str) -> String {
    match name {
        "first_written" => format!("{name} = coalesce(stored.{name}, {new}.{name})"),
        "last_written" => format!("{name} = coalesce({new}.{name}, stored.{name})"),
        // Without rows the floor stays.
        "generation" => format!(
            "{name} = CASE WHEN {new}.last_written IS NULL THEN stored.{name} ELSE {new}.{name} END"
        ),
        _ => format!("{name} = {new}.{name}"),
    }
}

fn upsert() -> String {
    let table = columns::slots();
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let sets: Vec<String> = table.rest().map(|c| set(c.name, "excluded")).collect();
    format!(
        "INSERT INTO {SLOTS} AS stored ({0}) SELECT {0} FROM {1} WHERE {COUNTED} ORDER BY rollup, slot
         ON CONFLICT (rollup, slot) DO UPDATE SET {2} WHERE excluded.generation >= stored.generation",
        names.join(", "),
        staged(SLOTS),
        sets.join(", ")
    )
}

/// A slot whose counts are final and no longer in the state: everything but the counts.
fn update() -> String {
    let table = columns::slots();
    let counts = |column: &Column| column.kind == Kind::U64 && column.name != "generation";
    let rest = table.rest().filter(|column| !counts(column));
    let sets: Vec<String> = rest.map(|c| set(c.name, "new")).collect();
    format!(
        "UPDATE {SLOTS} AS stored SET {0} FROM {1} AS new
         WHERE NOT new.{COUNTED} AND stored.rollup = new.rollup AND stored.slot = new.slot
           AND stored.generation <= new.generation",
        sets.join(", "),
        staged(SLOTS)
    )
}
