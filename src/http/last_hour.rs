//! The last hour in the SQLite file: by AS pair, source AS, destination AS and EtherType, and its slots.
//!
//! Read by a connection of its own, as any other program would. Law: all lists are of one moment (one read
//! transaction) and of the same hour, which ends with the newest slot that has rows; no file or no tables yet: empty
//! lists.

use std::path::Path;
use std::time::Duration;

use flow_proto::Rollup;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Params, Transaction};
use serde_json::{Map, Value, json};

/// How long a read waits for a writer who holds the file.
const BUSY: Duration = Duration::from_secs(2);
const HOUR_SECS: i64 = 3600;
const SLOT_SECS: i64 = 300;

const SUMS: &str = "sum(bytes) AS bytes, sum(packets) AS packets, sum(flows) AS flows, \
                    sum(scaled_bytes) AS scaled_bytes, sum(scaled_packets) AS scaled_packets, \
                    sum(unknown_rate_flows) AS unknown_rate_flows";

/// The last hour as `/api/last-hour` gives it.
pub(super) fn read(file: Option<&Path>) -> rusqlite::Result<Value> {
    let Some(file) = file.filter(|file| file.exists()) else {
        return Ok(empty());
    };
    // Not through a shared cache, nor creating anything: the writer alone makes the file.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    let transaction = connection.transaction()?;
    let tables: i64 = transaction.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN (?1, ?2)",
        [Rollup::AS.table(), "slots"],
        |row| row.get(0),
    )?;
    if tables < 2 {
        return Ok(empty());
    }
    hour(&transaction)
}

fn empty() -> Value {
    json!({
        "from_secs": null, "to_secs": null,
        "pairs": [], "sources": [], "destinations": [], "etypes": [], "slots": [],
    })
}

fn hour(transaction: &Transaction<'_>) -> rusqlite::Result<Value> {
    let rollup = Rollup::AS.table();
    let newest: Option<i64> =
        transaction.query_row(&format!("SELECT max(slot) FROM {rollup}"), [], |row| {
            row.get(0)
        })?;
    let to = newest.map(|slot| slot + SLOT_SECS);
    let since = to.map_or(0, |to| to - HOUR_SECS);
    let from: Option<i64> = transaction.query_row(
        &format!("SELECT min(slot) FROM {rollup} WHERE slot >= ?1"),
        [since],
        |row| row.get(0),
    )?;
    let by = |keys: &str, limit: u32| {
        let columns = match keys {
            "src_as" | "dst_as" => format!("{keys} AS \"as\""),
            _ => keys.to_owned(),
        };
        // The keys in the order: ties come out the same each time.
        let sql = format!(
            "SELECT {columns}, {SUMS} FROM {rollup} WHERE slot >= ?1 \
             GROUP BY {keys} ORDER BY scaled_bytes DESC, {keys} LIMIT {limit}"
        );
        rows(transaction, &sql, [since])
    };
    // Slots that are still open have no rows yet and may be newer than the hour; slot 0 counts what was refused for
    // a time far away.
    let slots = "SELECT slot, state, partial, flows, too_early + too_late + implausible AS refused \
                 FROM slots WHERE rollup = ?1 AND (slot >= ?2 OR slot = 0) ORDER BY slot DESC LIMIT 24";
    Ok(json!({
        "from_secs": from,
        "to_secs": to,
        "pairs": by("src_as, dst_as", 20)?,
        "sources": by("src_as", 10)?,
        "destinations": by("dst_as", 10)?,
        "etypes": by("etype", 10)?,
        "slots": rows(transaction, slots, rusqlite::params![rollup, since])?,
    }))
}

/// The rows of a statement, each an object by column name.
fn rows(
    transaction: &Transaction<'_>,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<Vec<Value>> {
    let mut statement = transaction.prepare(sql)?;
    let names: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(Into::into)
        .collect();
    let rows = statement.query_map(params, |row| {
        let mut object = Map::new();
        for (at, name) in names.iter().enumerate() {
            let value = match row.get_ref(at)? {
                ValueRef::Integer(number) => json!(number),
                ValueRef::Real(number) => json!(number),
                ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
                ValueRef::Null | ValueRef::Blob(_) => Value::Null,
            };
            object.insert(name.clone(), value);
        }
        Ok(Value::Object(object))
    })?;
    rows.collect()
}
