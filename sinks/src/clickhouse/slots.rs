//! The rows of `slots`: what is stored, brought up to a delta, written anew under the delta's checkpoint.
//!
//! ClickHouse has no cheap update, and there are few slots: those concerned are read, changed here, and written as whole
//! rows. Law 6: a generation never goes down, a state never goes back, the newest checkpoint's row wins.

use std::collections::{BTreeMap, BTreeSet};

use super::ddl::{names, rows_table};
use super::encode::encode;
use super::server::Server;
use crate::adoption::NUMBER_BITS;
use crate::columns::{self, Column, Kind, SLOTS, Value, slot_values};
use crate::look::Answer;
use crate::{Delta, SinkError, SlotRow, SlotState};

/// Rollup and slot.
type Key = (String, u64);

/// Writes the slots of a delta, then what has retired.
pub(super) fn write(server: &Server, delta: &Delta<'_>) -> Result<(), SinkError> {
    let table = columns::slots();
    let mut rows = stored(server, delta, &table.columns)?;
    let mut changed = BTreeSet::new();
    for slot in delta.slots {
        let key = (slot.rollup.table().to_owned(), slot.slot_secs);
        if u32::try_from(slot.slot_secs).is_err() {
            return Err(beyond(server, &format!("{SLOTS} {} {}", key.0, key.1)));
        }
        let new = slot_values(slot).to_vec();
        let merged = match rows.get(&key) {
            Some(old) if generation(&table.columns, old) > slot.generation => continue,
            Some(old) => merge(&table.columns, old, new, slot),
            None if slot.counts.is_none() => continue,
            None => new,
        };
        rows.insert(key.clone(), merged);
        changed.insert(key);
    }
    for (rollup, line) in delta.retired_through {
        changed.extend(retire(&table.columns, &mut rows, (rollup.table(), *line)));
    }
    let names = format!("{}, `revision`", names(&table));
    let mut insert = server.insert(&rows_table(SLOTS), &names, None);
    for row in changed.iter().filter_map(|key| rows.get(key)) {
        let revision = generation(&table.columns, row) << NUMBER_BITS | delta.to;
        insert.row(|out| {
            for (column, value) in table.columns.iter().zip(row) {
                encode(column, value, out);
            }
            out.extend_from_slice(&revision.to_le_bytes());
        })?;
    }
    insert.finish().map(drop)
}

/// Flows in rows of the base rollup by slot, from a slot on.
pub(super) fn flows(server: &Server, from_secs: u64) -> Result<BTreeMap<u64, u64>, SinkError> {
    let rows = server.ask(&format!(
        "SELECT toUnixTimestamp(slot), flows FROM {} WHERE rollup = '{}' AND toUnixTimestamp(slot) >= {from_secs}",
        server.table(SLOTS),
        server.rollups.base().table()
    ))?;
    let number = |text: &Option<String>| text.as_ref()?.parse().ok();
    let pair = |row: &Answer| Some((number(row.first()?)?, number(row.get(1)?)?));
    Ok(rows.iter().filter_map(pair).collect())
}

/// A time that a `DateTime` does not hold: the year 2106 and later.
pub(super) fn beyond(server: &Server, row: &str) -> SinkError {
    SinkError::fatal(format!(
        "sink {}: {row}: its slot is beyond the year 2106, where ClickHouse's DateTime ends; look at the topic's clocks",
        server.name
    ))
}

/// The stored rows of the delta's slots, and those that may retire.
fn stored(
    server: &Server,
    delta: &Delta<'_>,
    columns: &[Column],
) -> Result<BTreeMap<Key, Vec<Value>>, SinkError> {
    let mut wanted = Vec::new();
    let all = || delta.slots.iter().map(|slot| slot.slot_secs);
    if let Some((low, high)) = all().filter(|slot| *slot > 0).min().zip(all().max()) {
        wanted.push(format!("toUnixTimestamp(slot) BETWEEN {low} AND {high}"));
    }
    if all().any(|slot| slot == 0) {
        wanted.push("toUnixTimestamp(slot) = 0".to_owned());
    }
    for (rollup, line) in delta.retired_through {
        wanted.push(format!(
            "(state IN ('open', 'complete') AND rollup = '{}' AND toUnixTimestamp(slot) <= {line})",
            rollup.table()
        ));
    }
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let select: Vec<String> = columns
        .iter()
        .map(|column| match column.kind {
            Kind::Seconds => format!("toUnixTimestamp({})", column.name),
            Kind::Boolean => format!("toUInt8({})", column.name),
            _ => column.name.to_owned(),
        })
        .collect();
    let rows = server.ask(&format!(
        "SELECT {} FROM {} WHERE {}",
        select.join(", "),
        server.table(SLOTS),
        wanted.join(" OR ")
    ))?;
    let mut stored = BTreeMap::new();
    for row in rows {
        let values: Vec<Value> = columns.iter().zip(&row).map(value).collect();
        if let [Value::Text(rollup), Value::Number(slot), ..] = values.as_slice() {
            stored.insert((rollup.clone(), *slot), values);
        }
    }
    Ok(stored)
}

fn value((column, text): (&Column, &<Answer as IntoIterator>::Item)) -> Value {
    let Some(text) = text else {
        return Value::Null;
    };
    match column.kind {
        Kind::Seconds | Kind::U64 => Value::Number(text.parse().unwrap_or(0)),
        Kind::Boolean => Value::Boolean(text == "1"),
        _ => Value::Text(text.clone()),
    }
}

fn merge(columns: &[Column], old: &[Value], new: Vec<Value>, slot: &SlotRow) -> Vec<Value> {
    let both = columns.iter().zip(old).zip(new);
    both.map(|((column, old), new)| match column.name {
        "first_written" if *old != Value::Null => old.clone(),
        "last_written" if new == Value::Null => old.clone(),
        // Without rows the floor stays.
        "generation" if slot.written_secs.is_none() => old.clone(),
        "generation" => new,
        // Final, and no longer in the state.
        _ if column.kind == Kind::U64 && slot.counts.is_none() => old.clone(),
        _ => new,
    })
    .collect()
}

/// Retires what of a rollup starts at or below the line; the keys of what has changed.
fn retire(
    columns: &[Column],
    rows: &mut BTreeMap<Key, Vec<Value>>,
    (rollup, line): (&str, u64),
) -> Vec<Key> {
    let open = [SlotState::Open, SlotState::Complete].map(|s| Value::Text(s.name().into()));
    let state = columns.iter().position(|c| c.name == "state").unwrap_or(0);
    let mut changed = Vec::new();
    let is_over = |(of, slot): &Key| of == rollup && *slot <= line;
    for (key, row) in rows.iter_mut().filter(|(key, _)| is_over(key)) {
        if let Some(value) = row.get_mut(state).filter(|value| open.contains(value)) {
            *value = Value::Text(SlotState::Retired.name().into());
            changed.push(key.clone());
        }
    }
    changed
}

fn generation(columns: &[Column], row: &[Value]) -> u64 {
    let found = columns
        .iter()
        .zip(row)
        .find(|(c, _)| c.name == "generation");
    match found {
        Some((_, Value::Number(generation))) => *generation,
        _ => 0,
    }
}
