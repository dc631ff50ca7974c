//! Rollups and slots into ClickHouse: rows first, then slots, the cursor last.
//!
//! Law 6: there is no transaction over tables, so a delta may be written twice; its rows are absolute totals with
//! revisions, of which the view shows the highest, and the content of a revision never changes. A delta is begun only
//! if the stored cursors are those it starts from.

use std::collections::BTreeMap;

use flow_proto::Rollup;

use super::ddl::{names, rows_table};
use super::encode::encode;
use super::retention::Retention;
use super::server::{Insert, Server};
use super::slots;
use super::{adopt, cursor};
use crate::adoption::NUMBER_BITS;
use crate::columns::{self, SLOTS, Table};
use crate::look;
use crate::{Adoption, Applied, Cursors, Delta, Held, IsRecorded, Sink, SinkError};

/// Of so many revisions rows are deleted in one statement: its text is bounded.
const REVISIONS: usize = 1_000;

/// What writes rollups and slots.
pub(super) struct RollupSink {
    server: Server,
    retention: Retention,
    cursors: Table,
    tables: Vec<(Rollup, Table, String)>,
}

impl RollupSink {
    pub(super) fn new(server: Server, keep_secs: Option<u64>) -> RollupSink {
        let table = |rollup| {
            let table = columns::rollup(rollup);
            let names = names(&table);
            (rollup, table, names)
        };
        let tables = server.rollups.iter().map(table).collect();
        RollupSink {
            server,
            retention: Retention::new(keep_secs),
            cursors: columns::cursors(),
            tables,
        }
    }

    fn rows(&self, delta: &Delta<'_>) -> Result<u64, SinkError> {
        let server = &self.server;
        let mut inserts: BTreeMap<Rollup, (&Table, Insert<'_>)> = BTreeMap::new();
        for (rollup, table, names) in &self.tables {
            let insert = server.insert(&rows_table(table.name), names, None);
            inserts.insert(*rollup, (table, insert));
        }
        delta.rows.for_each(&mut |row| {
            if u32::try_from(row.record.slot_secs).is_err() {
                let (table, slot) = (row.rollup.table(), row.record.slot_secs);
                return Err(slots::beyond(server, &format!("{table} slot {slot}")));
            }
            let Some((table, insert)) = inserts.get_mut(&row.rollup) else {
                return Ok(());
            };
            let values = columns::rollup_values(&row);
            insert.row(|out| {
                for (column, value) in table.columns.iter().zip(&values) {
                    encode(column, value, out);
                }
            })
        })?;
        inserts
            .into_values()
            .try_fold(0, |rows, (_, insert)| Ok(rows + insert.finish()?))
    }
}

impl RollupSink {
    /// Deletes rows that would be shown in place of those of a replacement: somebody has given them a revision above it.
    /// Those of another replacement are looked for in the records after they were found here, so that one which is under
    /// way loses none: its floor is still to come.
    fn clear(&self, delta: &Delta<'_>, recorded: &IsRecorded<'_>) -> Result<(), SinkError> {
        for slot in delta.slots {
            let revision = slot.generation << NUMBER_BITS | delta.to;
            let table = self.server.table(&rows_table(slot.rollup.table()));
            let of_slot = format!("slot = fromUnixTimestamp({})", slot.slot_secs);
            let found = self.server.ask(&format!(
                "SELECT DISTINCT revision FROM {table} WHERE {of_slot} AND revision > {revision}"
            ))?;
            let mut nobodys: Vec<String> = Vec::new();
            for answer in found {
                let text = answer.into_iter().next().flatten().unwrap_or_default();
                let above = text
                    .parse()
                    .map_err(|_| look::unreadable(&self.server.name, slot.rollup.table()))?;
                if !recorded(slot.slot_secs, above)? {
                    nobodys.push(text);
                }
            }
            for some in nobodys.chunks(REVISIONS) {
                self.server.mutate(&format!(
                    "ALTER TABLE {table} DELETE WHERE {of_slot} AND revision IN ({})",
                    some.join(", ")
                ))?;
            }
        }
        Ok(())
    }
}

impl Sink for RollupSink {
    fn name(&self) -> &str {
        &self.server.name
    }

    fn cursors(&mut self) -> Result<Cursors, SinkError> {
        let (job, positions) = cursor::read(&self.server, &self.cursors, None)?;
        let shards = positions.into_iter();
        Ok(Cursors {
            job,
            by_shard: shards
                .filter_map(|(shard, n)| Some((u16::try_from(shard).ok()?, n)))
                .collect(),
        })
    }

    fn apply(&mut self, delta: &Delta<'_>) -> Result<Applied, SinkError> {
        let cursors = self.cursors()?;
        cursor::same_job(&self.server, cursors.job.as_deref(), delta.job)?;
        if delta
            .shards
            .iter()
            .any(|shard| cursors.of(*shard) != delta.from)
        {
            return Ok(Applied::CursorMoved);
        }
        let rows = self.rows(delta)?;
        slots::write(&self.server, delta)?;
        let tables = self.server.rollups.iter().map(Rollup::table);
        let tables: Vec<String> = tables.chain([SLOTS]).map(rows_table).collect();
        self.retention
            .apply(&self.server, &tables, delta.watermark_secs)?;
        let shards = delta.shards.iter().copied().map(u32::from);
        cursor::store(&self.server, &self.cursors, shards, (delta.job, delta.to))?;
        Ok(Applied::Done { rows })
    }

    fn replace(&mut self, delta: &Delta<'_>, recorded: &IsRecorded<'_>) -> Result<u64, SinkError> {
        let cursors = self.cursors()?;
        cursor::same_job(&self.server, cursors.job.as_deref(), delta.job)?;
        self.clear(delta, recorded)?;
        let rows = self.rows(delta)?;
        // The floor rises when every row is there; from then on nothing else is shown of the slots.
        slots::write(&self.server, delta)?;
        Ok(rows)
    }

    fn slot_flows(&mut self, from_secs: u64) -> Result<Option<BTreeMap<u64, u64>>, SinkError> {
        slots::flows(&self.server, from_secs).map(Some)
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        adopt::held_rows(&self.server, &self.cursors)
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        adopt::rows(&self.server, &self.cursors, adoption)
    }
}
