//! A job that takes a ClickHouse database over.
//!
//! Without transactions it goes in steps, of which each may be the last one that is done. Law 6: cursors of the old id stay
//! until everything else is done, so that a database between two steps has two jobs' cursors: neither takes it, and only
//! another adoption goes on.

use std::collections::BTreeMap;

use super::cursor;
use super::ddl::rows_table;
use super::server::{Server, quoted};
use crate::adoption::NUMBER_BITS;
use crate::columns::{SLOTS, Table};
use crate::look::Answer;
use crate::raw_columns::RAW_FLOWS;
use crate::{Adoption, Held, SinkError};
use flow_proto::Rollup;

/// A cursor that begins an adoption: whoever wrote before is locked out by it.
const BEGUN: u64 = 0;

/// Who has written a table of cursors.
pub(super) fn held(server: &Server, cursors: &Table) -> Result<Held, SinkError> {
    let mut held = Held::default();
    let select = format!(
        "SELECT job, max(checkpoint) FROM {} GROUP BY job",
        server.table(cursors.name)
    );
    for row in server.ask(&select)? {
        if let [Some(job), Some(checkpoint)] = row.as_slice() {
            held.cursor(job, checkpoint.parse().unwrap_or(0));
        }
    }
    Ok(held)
}

/// Who has written the rollups. Rows and slots come before their cursor, so their revisions may be ahead of it.
pub(super) fn held_rows(server: &Server, cursors: &Table) -> Result<Held, SinkError> {
    let mut held = held(server, cursors)?;
    let tables = server.rollups.iter().map(Rollup::table);
    for table in tables.chain([SLOTS]) {
        let select = format!(
            "SELECT max(bitShiftRight(revision, {NUMBER_BITS})), max(bitAnd(revision, {})) FROM {}",
            (1u64 << NUMBER_BITS) - 1,
            server.table(&rows_table(table))
        );
        let answer = server.ask(&select)?;
        let number = |at: usize| number(answer.first(), at);
        held.generation = held.generation.max(number(0));
        held.highest = held.highest.max(number(1));
    }
    Ok(held)
}

/// Takes the rollups over.
pub(super) fn rows(server: &Server, table: &Table, adoption: &Adoption) -> Result<(), SinkError> {
    let cursors = found(server, table, adoption)?;
    store(server, table, adoption, &cursors)?;
    forget(server, table, adoption)
}

/// Takes the raw flows over: locks out who wrote before, deletes what will be written anew, then moves the cursors.
pub(super) fn raw(server: &Server, table: &Table, adoption: &Adoption) -> Result<(), SinkError> {
    let cursors = found(server, table, adoption)?;
    if cursors.is_empty() {
        return Ok(()); // nobody has written any
    }
    let places = cursors.keys().copied();
    cursor::store(server, table, places, (&adoption.job, BEGUN))?;
    let from = adoption.rewritten(&cursors);
    if !from.is_empty() {
        let pieces = from.iter().map(|(partition, offset)| {
            format!("(topic_partition = {partition} AND topic_offset >= {offset})")
        });
        let pieces: Vec<String> = pieces.collect();
        server.mutate(&format!(
            "ALTER TABLE {} DELETE WHERE {}",
            server.table(RAW_FLOWS),
            pieces.join(" OR ")
        ))?;
    }
    store(server, table, adoption, &cursors)?;
    forget(server, table, adoption)
}

/// Where the places of a table of cursors will stand.
fn found(
    server: &Server,
    table: &Table,
    adoption: &Adoption,
) -> Result<BTreeMap<u32, u64>, SinkError> {
    let key = table.columns.first().map_or("", |c| c.name);
    let select = format!(
        "SELECT {key}, job, max(checkpoint) FROM {} GROUP BY {key}, job",
        server.table(table.name)
    );
    let mut found: BTreeMap<u32, Vec<(String, u64)>> = BTreeMap::new();
    for row in server.ask(&select)? {
        if let [Some(place), Some(job), Some(_)] = row.as_slice()
            && let Ok(place) = place.parse()
        {
            let at = found.entry(place).or_default();
            at.push((job.clone(), number(Some(&row), 2)));
        }
    }
    let cursors = found.iter().map(|(place, found)| {
        let found = found.iter().map(|(job, number)| (job.as_str(), *number));
        (*place, adoption.cursor(found))
    });
    Ok(cursors.collect())
}

fn number(row: Option<&Answer>, at: usize) -> u64 {
    let text = row.and_then(|row| row.get(at)).and_then(Option::as_deref);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn store(
    server: &Server,
    table: &Table,
    adoption: &Adoption,
    cursors: &BTreeMap<u32, u64>,
) -> Result<(), SinkError> {
    let mut numbers: Vec<u64> = cursors.values().copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        let here = cursors.iter().filter(|(_, at)| **at == number);
        let places = here.map(|(place, _)| *place);
        cursor::store(server, table, places, (&adoption.job, number))?;
    }
    Ok(())
}

/// Lets go of the cursors of others.
fn forget(server: &Server, table: &Table, adoption: &Adoption) -> Result<(), SinkError> {
    server.mutate(&format!(
        "ALTER TABLE {} DELETE WHERE job != {}",
        server.table(table.name),
        quoted(&adoption.job)
    ))
}
