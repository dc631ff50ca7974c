//! The cursors in PostgreSQL: read at start, moved first thing in a transaction.
//!
//! Law 6: a transaction goes on only if the stored cursor equals the one it started from. Moving it is its first
//! statement, so that the row's lock is held to the end: a zombie waits there, then finds it moved and writes nothing.

use super::connection::Connection;
use crate::columns::CURSORS;
use crate::raw_columns::RAW_CURSORS;
use crate::{Cursors, Delta, RawBlock, RawCursors, SinkError};

/// Reads the cursors of the rollups.
pub(super) fn read(connection: &Connection, name: &str) -> Result<Cursors, SinkError> {
    let mut cursors = Cursors::default();
    let found = rows(connection, name, CURSORS, "shard")?;
    cursors.job = found.job;
    for (shard, checkpoint) in found.stands {
        cursors
            .by_shard
            .insert(fit(shard, name, CURSORS)?, checkpoint);
    }
    Ok(cursors)
}

/// Reads the cursors of the raw flows.
pub(super) fn read_raw(connection: &Connection, name: &str) -> Result<RawCursors, SinkError> {
    let mut cursors = RawCursors::default();
    let found = rows(connection, name, RAW_CURSORS, "topic_partition")?;
    cursors.job = found.job;
    for (partition, checkpoint) in found.stands {
        let partition = fit(partition, name, RAW_CURSORS)?;
        cursors.by_partition.insert(partition, checkpoint);
    }
    Ok(cursors)
}

/// Moves the cursors of a delta's shards; false if one of them is not where the delta starts.
pub(super) fn advance(
    connection: &Connection,
    name: &str,
    delta: &Delta<'_>,
) -> Result<bool, SinkError> {
    same_job(connection, name, CURSORS, delta.job)?;
    let shards: Vec<i64> = delta.shards.iter().map(|shard| i64::from(*shard)).collect();
    let from: i64 = fit(delta.from, name, CURSORS)?;
    let to: i64 = fit(delta.to, name, CURSORS)?;
    let mut moved = connection.change(
        &format!(
            "UPDATE {CURSORS} SET checkpoint = $1::bigint
             WHERE shard = ANY ($2::bigint[]) AND checkpoint = $3::bigint AND job = $4::text"
        ),
        &[&to, &shards, &from, &delta.job],
    )?;
    if delta.from == 0 {
        moved += connection.change(
            &format!(
                "INSERT INTO {CURSORS} (shard, checkpoint, job)
                 SELECT shard, $1::bigint, $3::text FROM unnest($2::bigint[]) AS shard
                 WHERE NOT EXISTS (SELECT FROM {CURSORS} c WHERE c.shard = shard.shard)
                 ON CONFLICT (shard) DO NOTHING"
            ),
            &[&to, &shards, &delta.job],
        )?;
    }
    // Whoever was here while we waited for the lock may have been another job.
    same_job(connection, name, CURSORS, delta.job)?;
    Ok(usize::try_from(moved).is_ok_and(|moved| moved == shards.len()))
}

/// Moves the cursor of a block's partition; false if it is not where the block starts.
pub(super) fn advance_raw(
    connection: &Connection,
    name: &str,
    block: &RawBlock<'_>,
) -> Result<bool, SinkError> {
    same_job(connection, name, RAW_CURSORS, block.job)?;
    let partition = i64::from(block.partition);
    let to: i64 = fit(block.to, name, RAW_CURSORS)?;
    let moved = match block.from {
        Some(from) => connection.change(
            &format!(
                "UPDATE {RAW_CURSORS} SET checkpoint = $1::bigint
                 WHERE topic_partition = $2::bigint AND checkpoint = $3::bigint AND job = $4::text"
            ),
            &[
                &to,
                &partition,
                &fit::<_, i64>(from, name, RAW_CURSORS)?,
                &block.job,
            ],
        )?,
        None => connection.change(
            &format!(
                "INSERT INTO {RAW_CURSORS} (topic_partition, checkpoint, job)
                 VALUES ($1::bigint, $2::bigint, $3::text) ON CONFLICT DO NOTHING"
            ),
            &[&partition, &to, &block.job],
        )?,
    };
    same_job(connection, name, RAW_CURSORS, block.job)?;
    Ok(moved == 1)
}

struct Stands {
    job: Option<String>,
    stands: Vec<(i64, u64)>,
}

fn rows(connection: &Connection, name: &str, table: &str, of: &str) -> Result<Stands, SinkError> {
    let statement = format!("SELECT {of}, checkpoint, job FROM {table} ORDER BY {of}");
    let mut found = Stands {
        job: None,
        stands: Vec::new(),
    };
    for row in connection.query(&statement, &[])? {
        let job: String = connection.get(&row, 2)?;
        if found.job.as_ref().is_some_and(|known| *known != job) {
            return Err(SinkError::refused(format!(
                "sink {name}: its cursors belong to two jobs; name a new database or schema"
            )));
        }
        let checkpoint: i64 = connection.get(&row, 1)?;
        let checkpoint = fit(checkpoint, name, table)?;
        found.stands.push((connection.get(&row, 0)?, checkpoint));
        found.job = Some(job);
    }
    Ok(found)
}

pub(super) fn same_job(
    connection: &Connection,
    name: &str,
    table: &str,
    ours: &str,
) -> Result<(), SinkError> {
    let statement = format!("SELECT job FROM {table} WHERE job <> $1::text LIMIT 1");
    if let Some(row) = connection.first(&statement, &[&ours])? {
        let job: String = connection.get(&row, 0)?;
        return Err(SinkError::refused(format!(
            "sink {name}: job {job} has written it meanwhile, this is job {ours}; name a new database or schema"
        )));
    }
    Ok(())
}

fn fit<A, B>(number: A, name: &str, table: &str) -> Result<B, SinkError>
where
    A: Copy + std::fmt::Display,
    B: TryFrom<A>,
{
    B::try_from(number).map_err(|_| {
        SinkError::fatal(format!(
            "sink {name}: table {table}: {number} is out of range; this is a foreign change of the database"
        ))
    })
}
