//! Raw flows in SQLite: plain inserts, on a connection of their own.
//!
//! Law 6: a block and its partition's cursor move in one transaction, which goes on only if the stored cursor equals the
//! one it started from. A number above 2^63 - 1, as an exporter may send it, stands as 2^63 - 1.

use std::sync::Arc;

use flow_proto::EnrichedFlow;
use rusqlite::{Connection, Transaction, params};

use super::turns::Turns;
use super::writer::bind;
use super::{adopt, begin, explain};
use crate::columns::{Kind, Table, Value};
use crate::raw_columns::{RAW_CURSORS, RAW_FLOWS, raw_flows, raw_values};
use crate::{
    Adoption, Applied, Held, RawBlock, RawCursors, RawReplacement, RawRows, RawSink, SinkError,
};

/// The largest number that SQLite holds.
const LARGEST: u64 = i64::MAX.unsigned_abs();

/// Writes raw flows into a database file.
#[derive(Debug)]
pub(super) struct SqliteRaw {
    pub(super) connection: Connection,
    pub(super) name: String,
    /// Flows further than this below the watermark are deleted. Seconds; `None`: kept.
    pub(super) retention_secs: Option<u64>,
    pub(super) turns: Arc<Turns>,
}

impl RawSink for SqliteRaw {
    fn name(&self) -> &str {
        &self.name
    }

    fn cursors(&mut self) -> Result<RawCursors, SinkError> {
        read(&self.connection, &self.name)
    }

    fn apply(&mut self, block: &RawBlock<'_>) -> Result<Applied, SinkError> {
        let sql = explain(&self.name, false);
        let _turn = self.turns.take();
        let transaction = begin(&mut self.connection).map_err(&sql)?;
        // Leaving without a commit rolls back.
        let stored = read(&transaction, &self.name)?;
        stored.belong_to(&self.name, block.job, u64::MAX)?;
        if stored.by_partition.get(&block.partition).copied() != block.from {
            return Ok(Applied::CursorMoved);
        }
        let rows = insert(&transaction, (&self.name, ""), block.rows)?;
        if let Some(keep_secs) = self.retention_secs {
            forget(&transaction, block, keep_secs).map_err(&sql)?;
        }
        store(&transaction, block).map_err(&sql)?;
        transaction.commit().map_err(&sql)?;
        Ok(Applied::Done { rows })
    }

    fn replace(&mut self, replacement: &RawReplacement<'_>) -> Result<u64, SinkError> {
        let sql = explain(&self.name, false);
        let _turn = self.turns.take();
        let transaction = begin(&mut self.connection).map_err(&sql)?;
        let stored = read(&transaction, &self.name)?;
        stored.belong_to(&self.name, replacement.job, u64::MAX)?;
        let old = replacement.range.condition(|secs| secs.to_string());
        let delete = format!("DELETE FROM {RAW_FLOWS} WHERE {old}");
        transaction.execute(&delete, []).map_err(&sql)?;
        // A place has one slot: what stands there under another one was put there by somebody else.
        let rows = insert(&transaction, (&self.name, "OR REPLACE"), replacement.rows)?;
        transaction.commit().map_err(&sql)?;
        Ok(rows)
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        adopt::held_raw(&self.connection).map_err(explain(&self.name, false))
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        let _turn = self.turns.take();
        adopt::adopt(&mut self.connection, adoption, adopt::raw).map_err(explain(&self.name, false))
    }
}

/// Reads all cursors.
fn read(connection: &Connection, name: &str) -> Result<RawCursors, SinkError> {
    let sql = explain(name, false);
    let mut cursors = RawCursors::default();
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT topic_partition, checkpoint, job FROM {RAW_CURSORS} ORDER BY topic_partition"
        ))
        .map_err(&sql)?;
    let rows = statement
        .query_map([], |row| {
            let (partition, checkpoint): (u32, u64) = (row.get(0)?, row.get(1)?);
            Ok((partition, checkpoint, row.get::<_, String>(2)?))
        })
        .map_err(&sql)?;
    for row in rows {
        let (partition, checkpoint, job) = row.map_err(&sql)?;
        cursors.by_partition.insert(partition, checkpoint);
        if cursors
            .job
            .replace(job.clone())
            .is_some_and(|known| known != job)
        {
            return Err(SinkError::refused(format!(
                "sink {name}: its raw cursors belong to two jobs; name a new file"
            )));
        }
    }
    Ok(cursors)
}

/// Moves the cursor.
fn store(connection: &Connection, block: &RawBlock<'_>) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO {RAW_CURSORS} (topic_partition, checkpoint, job) VALUES (?1, ?2, ?3)
             ON CONFLICT (topic_partition) DO UPDATE SET checkpoint = excluded.checkpoint"
        ))?
        .execute(params![block.partition, block.to, block.job])
        .map(drop)
}

/// The flows; returns how many there were.
fn insert(
    transaction: &Transaction<'_>,
    (name, or): (&str, &str),
    flows: &dyn RawRows,
) -> Result<u64, SinkError> {
    let sql = explain(name, false);
    let table = raw_flows();
    let mut statement = transaction
        .prepare_cached(&statement(&table, or))
        .map_err(&sql)?;
    let (mut rows, mut values) = (0, Vec::new());
    flows.for_each(&mut |flow| {
        raw_values(flow, &mut values);
        saturate(&table, &mut values);
        bind(&mut statement, &values, name, &|| describe(flow))?;
        statement.raw_execute().map_err(&sql)?;
        rows += 1;
        Ok(())
    })?;
    Ok(rows)
}

fn statement(table: &Table, or: &str) -> String {
    let names: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
    let places: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
    let (names, places) = (names.join(", "), places.join(", "));
    format!("INSERT {or} INTO {RAW_FLOWS} ({names}) VALUES ({places})")
}

fn saturate(table: &Table, values: &mut [Value]) {
    for (column, value) in table.columns.iter().zip(values) {
        if let (Kind::Counter | Kind::Nanoseconds, Value::Number(number)) = (column.kind, value) {
            *number = LARGEST.min(*number);
        }
    }
}

fn describe(flow: &EnrichedFlow) -> String {
    let at = flow.at;
    format!(
        "{RAW_FLOWS} partition {} offset {} index {}",
        at.partition, at.offset, at.index
    )
}

/// Deletes the oldest flows of the block's partition up to the first that is to be kept: time goes with offsets, and
/// there is no index by time that every insert would have to keep.
fn forget(
    transaction: &Transaction<'_>,
    block: &RawBlock<'_>,
    keep_secs: u64,
) -> rusqlite::Result<()> {
    let Some(line_secs) = block
        .watermark_secs
        .and_then(|now| now.checked_sub(keep_secs))
    else {
        return Ok(());
    };
    let line_ns = i64::try_from(line_secs.saturating_mul(1_000_000_000)).unwrap_or(i64::MAX);
    transaction
        .prepare_cached(&format!(
            "DELETE FROM {RAW_FLOWS} WHERE topic_partition = ?1 AND topic_offset < coalesce(
               (SELECT topic_offset FROM {RAW_FLOWS}
                WHERE topic_partition = ?1 AND time_received >= ?2
                ORDER BY topic_partition, topic_offset LIMIT 1), {LARGEST})"
        ))?
        .execute(params![block.partition, line_ns])
        .map(drop)
}
