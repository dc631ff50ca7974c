//! Raw flows into ClickHouse: one insert for each day of a block, recognised by its token when it comes again.
//!
//! An insert of more rows than a block of ClickHouse has would be stored in parts, so it is cut before, always at the
//! same row. Law 6: a block's content never changes, nor does its cutting; so each piece is stored once, as long as
//! ClickHouse remembers its token (`DEDUPLICATION_WINDOW`). The cursor follows after the insert. ClickHouse notes a token just
//! before it stores the rows: killed between the two, it takes what comes again for known, and the rows are lost. So a
//! block whose outcome may be unknown is counted, and written anew if it is not whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flow_proto::EnrichedFlow;

use super::ddl::names;
use super::encode::encode;
use super::retention::Retention;
use super::server::{Insert, Server};
use super::{adopt, cursor, replaced};
use crate::columns::{Table, Value};
use crate::raw_columns::{self, RAW_FLOWS, raw_values};
use crate::{
    Adoption, Applied, Held, RawBlock, RawCursors, RawReplacement, RawRows, RawSink, SinkError,
};

/// Rows of one insert; ClickHouse makes one block of up to 1,048,449 rows.
const PIECE_ROWS: u64 = 500_000;
/// Days that are written in one walk over a block: each has an insert under way.
const DAYS: usize = 4;
const DAY_NS: u64 = 86_400_000_000_000;
/// So often a block that is not whole is counted again,
pub(super) const LOOKS: u32 = 5;
/// with this between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// What writes raw flows.
pub(super) struct Raw {
    server: Server,
    retention: Retention,
    table: Table,
    names: String,
    cursors: Table,
    /// Partitions whose last block is known to be whole, and nothing has failed since.
    sure: BTreeSet<u32>,
}

/// What a block has: rows, and the times between which they were received, ns since 1970.
type Extent = (u64, Option<(u64, u64)>);

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
            sure: BTreeSet::new(),
        }
    }

    fn write(&mut self, block: &RawBlock<'_>) -> Result<Applied, SinkError> {
        let (job, stored) = cursor::read(&self.server, &self.cursors, Some(block.partition))?;
        cursor::same_job(&self.server, job.as_deref(), block.job)?;
        if stored.get(&block.partition).copied() != block.from {
            return Ok(Applied::CursorMoved);
        }
        let rows = self.rows(block.rows, (&block.token(), ""))?;
        if !self.sure.contains(&block.partition) {
            self.make_sure(block)?;
        }
        let tables = [RAW_FLOWS.to_owned()];
        self.retention
            .apply(&self.server, &tables, block.watermark_secs)?;
        let place = std::iter::once(block.partition);
        cursor::store(&self.server, &self.cursors, place, (block.job, block.to))?;
        Ok(Applied::Done { rows })
    }

    /// Counts what is stored of a block, and writes it anew if that is not all.
    fn make_sure(&self, block: &RawBlock<'_>) -> Result<(), SinkError> {
        let mut extent: Extent = (0, None);
        block.rows.for_each(&mut |flow| {
            let (first, last) = extent.1.unwrap_or((flow.received_ns, flow.received_ns));
            let between = (first.min(flow.received_ns), last.max(flow.received_ns));
            extent = (extent.0 + 1, Some(between));
            Ok(())
        })?;
        for _ in 0..LOOKS {
            if self.count(block, extent)? == extent.0 {
                return Ok(());
            }
            // An insert that was given up may be about to be stored.
            std::thread::sleep(LOOK);
        }
        let (partition, first, end) = (block.partition, block.first_offset, block.end_offset);
        tracing::warn!(
            sink = self.server.name,
            partition,
            from = first,
            to = end,
            "the store lacks raw flows of a block that it has taken for stored; they are written anew"
        );
        let table = self.server.table(RAW_FLOWS);
        self.server.mutate(&format!(
            "ALTER TABLE {table} DELETE WHERE topic_partition = {partition} AND topic_offset >= {first} AND topic_offset < {end}"
        ))?;
        self.rows(
            block.rows,
            (&block.token(), &format!("/{}", block.now_secs)),
        )?;
        let stored = self.count(block, extent)?;
        if stored != extent.0 {
            let (sink, flows) = (&self.server.name, extent.0);
            tracing::error!(
                sink,
                partition,
                from = first,
                to = end,
                flows,
                stored,
                "written anew, and not all there"
            );
        }
        Ok(())
    }

    /// Rows that are stored of a block.
    fn count(&self, block: &RawBlock<'_>, (_, between): Extent) -> Result<u64, SinkError> {
        let Some((from, to)) = between else {
            return Ok(0);
        };
        let nanos = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        let answer = self.server.read(&format!(
            "SELECT count() FROM {} WHERE time_received >= fromUnixTimestamp64Nano({}) AND time_received <= \
             fromUnixTimestamp64Nano({}) AND topic_partition = {} AND topic_offset >= {} AND topic_offset < {}",
            self.server.table(RAW_FLOWS),
            nanos(from),
            nanos(to),
            block.partition,
            block.first_offset,
            block.end_offset
        ))?;
        let count = answer
            .first()
            .and_then(|row| row.first()?.as_ref()?.parse().ok());
        Ok(count.unwrap_or(0))
    }

    /// `again`: tells one that is written anew from what ClickHouse takes for known.
    fn day(&self, (token, again): (&str, &str), day: u64, piece: u32) -> Day<'_> {
        let token = format!("{token}/{day}/{piece}{again}");
        Day {
            insert: self.server.insert(RAW_FLOWS, &self.names, Some(&token)),
            piece,
        }
    }

    /// Walks over the flows, again if they span more days than one walk takes.
    fn rows(&self, flows: &dyn RawRows, token: (&str, &str)) -> Result<u64, SinkError> {
        let (mut rows, mut done) = (0, BTreeSet::new());
        loop {
            let mut days: BTreeMap<u64, Day<'_>> = BTreeMap::new();
            let mut left = false;
            let mut values = Vec::new();
            flows.for_each(&mut |flow| {
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
                    .or_insert_with(|| self.day(token, number, 0));
                rows += 1;
                self.row(day, flow, &mut values)?;
                if day.insert.rows == PIECE_ROWS {
                    let next = self.day(token, number, day.piece + 1);
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
        let applied = self.write(block);
        match applied {
            Ok(Applied::Done { .. }) => drop(self.sure.insert(block.partition)),
            _ => self.sure.clear(),
        }
        applied
    }

    fn replace(&mut self, replacement: &RawReplacement<'_>) -> Result<u64, SinkError> {
        let (job, _) = cursor::read(&self.server, &self.cursors, None)?;
        cursor::same_job(&self.server, job.as_deref(), replacement.job)?;
        replaced::replace(&self.server, replacement, &|flows, token| {
            self.rows(flows, token)
        })
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        adopt::held(&self.server, &self.cursors)
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        adopt::raw(&self.server, &self.cursors, adoption)
    }
}
