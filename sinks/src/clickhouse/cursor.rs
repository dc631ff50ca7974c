//! The cursors in ClickHouse: which checkpoint of which job each shard or partition stands at.
//!
//! A cursor is a row more at every step, written after the rows it speaks for; the highest counts. Law 6: they are
//! compared before a write, and a second job is refused.

use std::collections::BTreeMap;

use super::ddl::names;
use super::encode::encode;
use super::server::Server;
use crate::SinkError;
use crate::columns::{Table, Value};

/// Job and checkpoint of each shard, or partition.
pub(super) type Positions = (Option<String>, BTreeMap<u32, u64>);

/// Reads the cursors of a table: of one `place`, or of all.
pub(super) fn read(
    server: &Server,
    table: &Table,
    place: Option<u32>,
) -> Result<Positions, SinkError> {
    let key = table.columns.first().map_or("", |c| c.name);
    let only = place.map_or(String::new(), |n| format!("WHERE {key} = {n} "));
    let rows = server.ask(&format!(
        "SELECT {key}, job, max(checkpoint) FROM {} {only}GROUP BY {key}, job ORDER BY {key}, job",
        server.table(table.name)
    ))?;
    let (mut job, mut positions) = (None::<String>, BTreeMap::new());
    for row in rows {
        let [Some(place), Some(of_job), Some(checkpoint)] = row.as_slice() else {
            return Err(unreadable(server, table));
        };
        if job.as_ref().is_some_and(|known| known != of_job) {
            return Err(SinkError::refused(format!(
                "sink {}: its cursors belong to two jobs: an adoption was cut short, finish it with --adopt, or name a new database",
                server.name
            )));
        }
        let parsed = place.parse().ok().zip(checkpoint.parse().ok());
        let (place, checkpoint) = parsed.ok_or_else(|| unreadable(server, table))?;
        positions.insert(place, checkpoint);
        job = Some(of_job.clone());
    }
    Ok((job, positions))
}

/// Moves the cursors of these places to a checkpoint.
pub(super) fn store(
    server: &Server,
    table: &Table,
    places: impl Iterator<Item = u32>,
    (job, checkpoint): (&str, u64),
) -> Result<(), SinkError> {
    let mut insert = server.insert(table.name, &names(table), None);
    for place in places {
        let values = [
            Value::Number(u64::from(place)),
            Value::Number(checkpoint),
            Value::Text(job.to_owned()),
        ];
        insert.row(|out| {
            for (column, value) in table.columns.iter().zip(&values) {
                encode(column, value, out);
            }
        })?;
    }
    insert.finish().map(drop)
}

/// That no other job has written meanwhile.
pub(super) fn same_job(server: &Server, found: Option<&str>, ours: &str) -> Result<(), SinkError> {
    match found {
        Some(job) if job != ours => Err(SinkError::refused(format!(
            "sink {}: job {job} has written it meanwhile, this is job {ours}; name a new database",
            server.name
        ))),
        _ => Ok(()),
    }
}

fn unreadable(server: &Server, table: &Table) -> SinkError {
    SinkError::refused(format!(
        "sink {}: {} holds what we did not write; name a new database",
        server.name, table.name
    ))
}
