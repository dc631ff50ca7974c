//! `replay --apply`: puts slots that were computed again in the place of what a store has of them.
//!
//! Law 6: only slots that are final, in the job and in the store, so that nobody else writes them. What a slot is to be is
//! recorded in the state, under the next generation, before the first store is written; begun again, it is that record which
//! is written. A store takes a slot as a whole; slots that are equal already are left alone.

use std::thread;
use std::time::{Duration, Instant};

use flow_proto::{Rollup, RowRecord};
use flow_sinks::{Delta, Row, Rows, Sink, SinkError, SlotRow, SlotState};
use flow_state::{Checkpoint, Replaced, SlotCounts};

use super::base::{Base, Stored};
use super::recompute::Recomputed;
use crate::adopt::GENERATIONS;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::progress::time;
use crate::running::random;

/// How long a store that cannot be written is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// What is applied to one store.
pub(super) struct Apply<'a> {
    pub(super) base: &'a Base,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) recomputed: &'a Recomputed,
    sink: Box<dyn Sink>,
    attempt: u64,
    rows: u64,
    slots: u64,
}

impl<'a> Apply<'a> {
    /// Opens the store to write it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn open(
        url: &str,
        base: &'a Base,
        checkpoint: &'a Checkpoint,
        recomputed: &'a Recomputed,
    ) -> Result<Apply<'a>, Failure> {
        let store = flow_sinks::open(url)?;
        let sink = store.rollups.ok_or_else(|| {
            Failure::new(
                Exit::Config,
                format!("sink {}: has no rollups", flow_topic::shown(url)),
            )
        })?;
        Ok(Apply {
            base,
            checkpoint,
            recomputed,
            sink,
            attempt: random(),
            rows: 0,
            slots: 0,
        })
    }

    /// Records a slot and writes it.
    ///
    /// # Errors
    /// If it cannot be recorded or written; it can be begun again.
    pub(super) fn slot(&mut self, slot_secs: u64, stored: &Stored) -> Result<(), Failure> {
        let replaced = self.record(slot_secs, stored)?;
        let written = self.write(&replaced)?;
        self.rows += written;
        self.slots += 1;
        tracing::debug!(
            slot = slot_secs,
            generation = replaced.generation,
            "replaced"
        );
        Ok(())
    }

    /// Says what was done.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.base.state.sweep_replaced(self.attempt)?;
        tracing::info!(
            sink = self.sink.name(),
            slots = self.slots,
            rows = self.rows,
            "replaced"
        );
        Ok(())
    }

    /// What is recorded of the slot under the next generation: the rows as computed, by whoever was first.
    fn record(&self, slot_secs: u64, stored: &Stored) -> Result<Replaced, Failure> {
        let (base, window) = (self.base, self.base.rows.window_secs);
        let refused = base.refused(stored, self.checkpoint, slot_secs)?;
        let wanted = self
            .recomputed
            .replaced(slot_secs, self.checkpoint, refused)?;
        let newest = base.replaced.get(&slot_secs).copied();
        let of_job = self.checkpoint.generation(slot_secs, window);
        let above = stored
            .slots
            .get(&slot_secs)
            .map_or(0, |slot| slot.generation);
        let above = u32::try_from(above).unwrap_or(u32::MAX).max(of_job);
        // One that was recorded before, and that this store lacks: an apply that was cut short, or for another store.
        if let Some(generation) = newest.filter(|generation| *generation > above)
            && let Some(found) = base.state.replaced(slot_secs, generation)?
            && alike(&found, &wanted)
        {
            return Ok(found);
        }
        let mut generation = newest.unwrap_or(0).max(above);
        // Somebody else may have recorded some since they were listed.
        loop {
            generation += 1;
            if u64::from(generation) >= GENERATIONS {
                let what = format!("slot {} was replaced too often", time(slot_secs));
                return Err(Failure::new(Exit::Config, what));
            }
            let offered = Replaced {
                generation,
                ..wanted.clone()
            };
            let found = base.state.record_replaced(&offered, self.attempt)?;
            if alike(&found, &wanted) {
                return Ok(found);
            }
        }
    }

    fn write(&mut self, replaced: &Replaced) -> Result<u64, Failure> {
        let rows = records(replaced)?;
        let now = clock::now_ns() / 1_000_000_000;
        let slots = Rollup::ALL.map(|rollup| SlotRow {
            rollup,
            slot_secs: replaced.slot_secs,
            state: SlotState::Retired,
            partial: replaced.partial,
            generation: replaced.generation.into(),
            written_secs: Some(now),
            counts: Some(replaced.counts),
            missing_partitions: replaced.missing_partitions.clone(),
            complete_through_secs: u64::try_from(self.checkpoint.watermark_ns)
                .ok()
                .map(|ns| ns / 1_000_000_000),
        });
        let recorded = Recorded {
            rows: &rows,
            replaced,
        };
        let delta = Delta {
            job: &self.checkpoint.job,
            from: 0,
            to: replaced.number,
            shards: &[0],
            rows: &recorded,
            slots: &slots,
            retired_through_secs: None,
            watermark_secs: None,
        };
        self.patiently(&delta)
    }

    /// A job that writes the same store may hold its lock, and a server may be away for a while.
    fn patiently(&mut self, delta: &Delta<'_>) -> Result<u64, Failure> {
        let begun = Instant::now();
        loop {
            match self.sink.replace(delta) {
                Err(error) if error.is_retry() && begun.elapsed() < PATIENCE => {
                    tracing::debug!(%error, "tried again");
                    thread::sleep(PAUSE);
                }
                written => return Ok(written?),
            }
        }
    }
}

/// The rows of a record.
///
/// # Errors
/// If another release has written it.
pub(super) fn records(replaced: &Replaced) -> Result<Vec<RowRecord>, Failure> {
    replaced.records().ok_or_else(|| {
        let what = "the record of a replaced slot has rows of another size";
        Failure::new(Exit::Config, what).hint("use the release that wrote it")
    })
}

/// Whether two records say the same of a slot.
fn alike(found: &Replaced, wanted: &Replaced) -> bool {
    let said = |replaced: &Replaced| Replaced {
        generation: 0,
        number: 0,
        counts: SlotCounts {
            changed: 0,
            ..replaced.counts
        },
        ..replaced.clone()
    };
    said(found) == said(wanted)
}

/// The rows of a slot, as a store takes them.
#[derive(Debug)]
struct Recorded<'a> {
    rows: &'a [RowRecord],
    replaced: &'a Replaced,
}

impl Rows for Recorded<'_> {
    fn for_each(
        &self,
        take: &mut dyn FnMut(Row<'_>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let revision = u64::from(self.replaced.generation) << 48 | self.replaced.number;
        for record in self.rows {
            let Some(rollup) = Rollup::from_number(record.rollup) else {
                return Err(SinkError::fatal(
                    "the record of a replaced slot has a rollup that this program does not know",
                ));
            };
            take(Row {
                rollup,
                record,
                table_version: self.replaced.table_version,
                revision,
            })?;
        }
        Ok(())
    }
}
