//! Raw flows into ClickHouse: one insert for each day of a block, recognised by its token when it comes again.
//!
//! An insert of more rows than a block of ClickHouse has would be stored in parts, so it is cut before, always at the
//! same row. Law 6: a block's content never changes, nor does its cutting; so each piece is stored once, as long as
//! ClickHouse remembers its token (`DEDUPLICATION_WINDOW`). The cursor follows after the insert.

use std::collections::{BTreeMap, BTreeSet};

use flow_proto::EnrichedFlow;

use super::ddl::names;
use super::encode::encode;
use super::retention::Retention;
use super::server::{Insert, Server};
use super::{adopt, cursor};
use crate::columns::{Table, Value};
use crate::raw_columns::{self, RAW_FLOWS, raw_values};
use crate::{Adoption, Applied, Held, RawBlock, RawCursors, RawSink, SinkError};

/// Rows of one insert; ClickHouse makes one block of up to 1,048,449 rows.
const PIECE_ROWS: u64 = 500_000;
/// Days that are written in one walk over a block: each has an insert under way.
const DAYS: usize = 4;
const DAY_NS: u64 = 86_400_000_000_000;

/// What writes raw flows.
pub(super) struct Raw {
    server: Server,
    retention: Retention,
    table: Table,
    names: String,
    cursors: Table,
}

/// A day's pieces.
struct Day<'a> {
    insert: Insert<'a>,
    piece: u32,
}

impl Raw {
    pub(super) fn new(server: Server, keep_secs: Option<u64>) -> Raw {
        let table = raw_columns::raw_flows();
        Raw {
            server,
            retention: Retention::new(keep_secs),
            names: names(&table),
            table,
            cursors: raw_columns::raw_cursors(),
        }
    }

    fn day(&self, block: &RawBlock<'_>, day: u64, piece: u32) -> Day<'_> {
        let token = format!("{}/{day}/{piece}", block.token());
        Day {
            insert: self.server.insert(RAW_FLOWS, &self.names, Some(&token)),
            piece,
        }
    }

    /// Walks over the block, again if it spans more days than one walk takes.
    fn rows(&self, block: &RawBlock<'_>) -> Result<u64, SinkError> {
        let (mut rows, mut done) = (0, BTreeSet::new());
        loop {
            let mut days: BTreeMap<u64, Day<'_>> = BTreeMap::new();
            let mut left = false;
            let mut values = Vec::new();
            block.rows.for_each(&mut |flow| {
                let number = flow.received_ns / DAY_NS;
                if done.contains(&number) {
                    return Ok(());
                }
                if !days.contains_key(&number) && days.len() == DAYS {
                    left = true;
                    return Ok(());
                }
                let day = days
                    .entry(number)
                    .or_insert_with(|| self.day(block, number, 0));
                rows += 1;
                self.row(day, flow, &mut values)?;
                if day.insert.rows == PIECE_ROWS {
                    let next = self.day(block, number, day.piece + 1);
                    std::mem::replace(day, next).insert.finish()?;
                }
                Ok(())
            })?;
            for (number, day) in days {
                day.insert.finish()?;
                done.insert(number);
            }
            if !left {
                return Ok(rows);
            }
        }
    }

    fn row(
        &self,
        day: &mut Day<'_>,
        flow: &EnrichedFlow,
        values: &mut Vec<Value>,
    ) -> Result<(), SinkError> {
        raw_values(flow, values);
        day.insert.row(|out| {
            for (column, value) in self.table.columns.iter().zip(values.iter()) {
                encode(column, value, out);
            }
        })
    }
}

impl RawSink for Raw {
    fn name(&self) -> &str {
        &self.server.name
    }

    fn cursors(&mut self) -> Result<RawCursors, SinkError> {
        let (job, by_partition) = cursor::read(&self.server, &self.cursors, None)?;
        Ok(RawCursors { job, by_partition })
    }

    fn apply(&mut self, block: &RawBlock<'_>) -> Result<Applied, SinkError> {
        let (job, stored) = cursor::read(&self.server, &self.cursors, Some(block.partition))?;
        cursor::same_job(&self.server, job.as_deref(), block.job)?;
        if stored.get(&block.partition).copied() != block.from {
            return Ok(Applied::CursorMoved);
        }
        let rows = self.rows(block)?;
        let tables = [RAW_FLOWS.to_owned()];
        self.retention
            .apply(&self.server, &tables, block.watermark_secs)?;
        let place = std::iter::once(block.partition);
        cursor::store(&self.server, &self.cursors, place, (block.job, block.to))?;
        Ok(Applied::Done { rows })
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        adopt::held(&self.server, &self.cursors)
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        adopt::raw(&self.server, &self.cursors, adoption)
    }
}
