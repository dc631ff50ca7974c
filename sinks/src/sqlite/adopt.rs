//! A job that takes an SQLite file over.
//!
//! Law 6: the new id, the cursors, and the raw flows that will be written anew, in one transaction: it is taken over or not.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

use crate::columns::{CURSORS, SLOTS};
use crate::raw_columns::{RAW_CURSORS, RAW_FLOWS};
use crate::{Adoption, Held};

/// Who has written the rollups.
pub(super) fn held(connection: &Connection) -> rusqlite::Result<Held> {
    let mut held = cursors(connection, CURSORS)?;
    let highest = format!("SELECT coalesce(max(generation), 0) FROM {SLOTS}");
    held.generation = connection.query_row(&highest, [], |row| row.get(0))?;
    Ok(held)
}

/// Who has written the raw flows.
pub(super) fn held_raw(connection: &Connection) -> rusqlite::Result<Held> {
    cursors(connection, RAW_CURSORS)
}

/// One step of an adoption.
type Step = fn(&Transaction<'_>, &Adoption) -> rusqlite::Result<()>;

/// Takes over what `step` names, wholly or not at all.
pub(super) fn adopt(
    connection: &mut Connection,
    adoption: &Adoption,
    step: Step,
) -> rusqlite::Result<()> {
    let transaction = super::begin(connection)?;
    step(&transaction, adoption)?;
    transaction.commit()
}

/// Takes the rollups over.
pub(super) fn rows(transaction: &Transaction<'_>, adoption: &Adoption) -> rusqlite::Result<()> {
    move_cursors(transaction, adoption, CURSORS, "shard").map(drop)
}

/// Takes the raw flows over.
pub(super) fn raw(transaction: &Transaction<'_>, adoption: &Adoption) -> rusqlite::Result<()> {
    let cursors = move_cursors(transaction, adoption, RAW_CURSORS, "topic_partition")?;
    if cursors.is_empty() {
        return Ok(()); // nobody has written any
    }
    let delete =
        format!("DELETE FROM {RAW_FLOWS} WHERE topic_partition = ?1 AND topic_offset >= ?2");
    for (partition, offset) in adoption.rewritten(&cursors) {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        transaction.execute(&delete, params![partition, offset])?;
    }
    Ok(())
}

fn cursors(connection: &Connection, table: &str) -> rusqlite::Result<Held> {
    let mut held = Held::default();
    let sql = format!("SELECT job, max(checkpoint) FROM {table} GROUP BY job");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        held.cursor(&row.get::<_, String>(0)?, row.get(1)?);
    }
    Ok(held)
}

/// Moves the cursors of a table; returns where they stand then.
fn move_cursors(
    transaction: &Transaction<'_>,
    adoption: &Adoption,
    table: &str,
    of: &str,
) -> rusqlite::Result<BTreeMap<u32, u64>> {
    let mut select = transaction.prepare(&format!("SELECT {of}, job, checkpoint FROM {table}"))?;
    let found = select.query_map([], |row| {
        let (job, checkpoint): (String, u64) = (row.get(1)?, row.get(2)?);
        Ok((row.get(0)?, adoption.cursor([(job.as_str(), checkpoint)])))
    })?;
    let cursors = found.collect::<Result<BTreeMap<u32, u64>, _>>()?;
    let update = format!("UPDATE {table} SET job = ?1, checkpoint = ?2 WHERE {of} = ?3");
    for (place, checkpoint) in &cursors {
        transaction.execute(&update, params![adoption.job, checkpoint, place])?;
    }
    Ok(cursors)
}
