//! The cursors in SQLite: which checkpoint of which job each shard stands at.
//!
//! Law 6: read inside the transaction and compared for equality; an unknown job id is refused.

use rusqlite::{Connection, params};

use super::explain;
use crate::columns::CURSORS;
use crate::{Cursors, Delta, SinkError};

/// Reads all cursors.
pub(super) fn read(connection: &Connection, name: &str) -> Result<Cursors, SinkError> {
    let sql = explain(name, false);
    let mut cursors = Cursors::default();
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT shard, checkpoint, job FROM {CURSORS} ORDER BY shard"
        ))
        .map_err(&sql)?;
    let rows = statement
        .query_map([], |row| {
            Ok((
                row.get::<_, u16>(0)?,
                row.get::<_, u64>(1)?,
                row.get::<_, String>(2)?,
            ))
        })
        .map_err(&sql)?;
    for row in rows {
        let (shard, checkpoint, job) = row.map_err(&sql)?;
        if cursors.job.as_ref().is_some_and(|known| *known != job) {
            return Err(SinkError::refused(format!(
                "sink {name}: its cursors belong to two jobs; name a new file"
            )));
        }
        cursors.by_shard.insert(shard, checkpoint);
        cursors.job = Some(job);
    }
    Ok(cursors)
}

/// Whether the store stands where the delta starts.
pub(super) fn stands_at(
    cursors: &Cursors,
    delta: &Delta<'_>,
    name: &str,
) -> Result<bool, SinkError> {
    same_job(cursors.job.as_deref(), delta.job, name)?;
    let mut shards = delta.shards.iter();
    Ok(shards.all(|shard| cursors.of(*shard) == delta.from))
}

/// That no other job has written meanwhile.
pub(super) fn same_job(found: Option<&str>, ours: &str, name: &str) -> Result<(), SinkError> {
    match found {
        Some(job) if job != ours => Err(SinkError::refused(format!(
            "sink {name}: job {job} has written it meanwhile, this is job {ours}; name a new file"
        ))),
        _ => Ok(()),
    }
}

/// Moves the cursors.
pub(super) fn store(connection: &Connection, delta: &Delta<'_>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "INSERT INTO {CURSORS} (shard, checkpoint, job) VALUES (?1, ?2, ?3)
         ON CONFLICT (shard) DO UPDATE SET checkpoint = excluded.checkpoint"
    ))?;
    for shard in delta.shards {
        statement.execute(params![shard, delta.to, delta.job])?;
    }
    Ok(())
}
