//! A job that takes a PostgreSQL database over.
//!
//! Law 6: the new id, the cursors, and the raw flows that will be written anew, in one transaction. It waits for the end of
//! whoever writes, and who comes after it finds the new id.

use std::collections::BTreeMap;

use super::connection::Connection;
use crate::columns::{CURSORS, SLOTS};
use crate::raw_columns::RAW_CURSORS;
use crate::{Adoption, Held, SinkError};

/// Who has written the rollups.
pub(super) fn held(connection: &Connection) -> Result<Held, SinkError> {
    let mut held = cursors(connection, CURSORS)?;
    let highest = format!("SELECT coalesce(max(generation), 0)::bigint FROM {SLOTS}");
    if let Some(row) = connection.first(&highest, &[])? {
        held.generation = u64::try_from(connection.get::<i64>(&row, 0)?).unwrap_or(0);
    }
    Ok(held)
}

/// Who has written the raw flows.
pub(super) fn held_raw(connection: &Connection) -> Result<Held, SinkError> {
    cursors(connection, RAW_CURSORS)
}

/// Takes the rollups over.
pub(super) fn rows(connection: &Connection, adoption: &Adoption) -> Result<(), SinkError> {
    connection.begin()?;
    move_cursors(connection, adoption, CURSORS, "shard")?;
    connection.execute("COMMIT")
}

/// Takes the raw flows over; those of `tables` know their place in the topic.
pub(super) fn raw(
    connection: &Connection,
    adoption: &Adoption,
    tables: &[&str],
) -> Result<(), SinkError> {
    connection.begin()?;
    let cursors = move_cursors(connection, adoption, RAW_CURSORS, "topic_partition")?;
    let from: BTreeMap<u32, u64> = if cursors.is_empty() {
        BTreeMap::new() // nobody has written any
    } else {
        adoption.rewritten(&cursors)
    };
    let partitions: Vec<i64> = from.keys().map(|partition| i64::from(*partition)).collect();
    let offset = |offset: &u64| i64::try_from(*offset).unwrap_or(i64::MAX);
    let offsets: Vec<i64> = from.values().map(offset).collect();
    for table in tables {
        // One walk over the table for all partitions: it has no index by offset.
        let delete = format!(
            "DELETE FROM {table} AS old USING unnest($1::bigint[], $2::bigint[]) AS new (part, first)
             WHERE old.topic_partition = new.part AND old.topic_offset >= new.first"
        );
        connection.change(&delete, &[&partitions, &offsets])?;
    }
    connection.execute("COMMIT")
}

fn cursors(connection: &Connection, table: &str) -> Result<Held, SinkError> {
    let mut held = Held::default();
    let statement = format!("SELECT job, max(checkpoint)::bigint FROM {table} GROUP BY job");
    for row in connection.query(&statement, &[])? {
        let (job, checkpoint): (String, i64) = (connection.get(&row, 0)?, connection.get(&row, 1)?);
        held.cursor(&job, u64::try_from(checkpoint).unwrap_or(0));
    }
    Ok(held)
}

/// Moves the cursors of a table; returns where they stand then.
fn move_cursors(
    connection: &Connection,
    adoption: &Adoption,
    table: &str,
    of: &str,
) -> Result<BTreeMap<u32, u64>, SinkError> {
    connection.execute(&format!("LOCK TABLE {table} IN EXCLUSIVE MODE"))?;
    let select = format!("SELECT {of}::bigint, job, checkpoint FROM {table}");
    let update = format!(
        "UPDATE {table} SET job = $1::text, checkpoint = $2::bigint WHERE {of} = $3::bigint"
    );
    let mut cursors = BTreeMap::new();
    for row in connection.query(&select, &[])? {
        let (place, job): (i64, String) = (connection.get(&row, 0)?, connection.get(&row, 1)?);
        let checkpoint = u64::try_from(connection.get::<i64>(&row, 2)?).unwrap_or(0);
        let cursor = adoption.cursor([(job.as_str(), checkpoint)]);
        let stored = i64::try_from(cursor).unwrap_or(i64::MAX);
        connection.change(&update, &[&adoption.job, &stored, &place])?;
        cursors.extend(u32::try_from(place).map(|place| (place, cursor)));
    }
    Ok(cursors)
}
