//! `replay --apply`: puts slots that were computed again in the place of what a store has of them.
//!
//! Law 6: only slots that are final, in the job and in the store, so that nobody else writes them. What a slot is to be is
//! recorded in the state, under the next generation, before the first store is written; begun again, it is that record which
//! is written. A store takes a slot as a whole; slots that are equal already are left alone.

use std::thread;
use std::time::{Duration, Instant};

use flow_proto::{Rollup, Rollups};
use flow_sinks::{Applied, Delta, Row, Rows, Sink, SinkError, SlotRow};
use flow_state::{Checkpoint, Replaced, SlotCounts};

use super::base::{Base, Stored};
use super::recompute::Recomputed;
use super::replacement::{self, Recorded};
use crate::adopt::GENERATIONS;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::progress::time;
use crate::running::random;

/// How long a store that cannot be written is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// The job that stands in the cursors of a store which replays alone write, so that no job takes it for an empty one.
pub(super) const TARGET: &str = "replay";

/// Opens a store to write it; one that is empty gets its tables.
///
/// # Errors
/// If it cannot be written.
pub(super) fn open(url: &str, rollups: Rollups) -> Result<Box<dyn Sink>, Failure> {
    let store = flow_sinks::open_with(url, rollups)?;
    store.rollups.ok_or_else(|| {
        let what = format!("sink {}: has no rollups", flow_topic::shown(url));
        Failure::new(Exit::Config, what)
    })
}

/// Opens a store of its own, which is one from then on.
///
/// # Errors
/// If a job writes it, or it cannot be written.
pub(super) fn open_target(url: &str, rollups: Rollups) -> Result<Box<dyn Sink>, Failure> {
    let mut sink = open(url, rollups)?;
    match sink.cursors()?.job.as_deref() {
        Some(TARGET) => return Ok(sink),
        None => {}
        Some(_) => {
            let what = format!("--into {}: a job writes this store", sink.name());
            return Err(Failure::new(Exit::Config, what).hint(
                "--into names a store of its own; what the job has written is replaced by --apply without --into",
            ));
        }
    }
    let all = (0..flow_dataflow::key::SHARDS).filter_map(|shard| u16::try_from(shard).ok());
    let all: Vec<u16> = all.collect();
    let claim = Delta {
        job: TARGET,
        from: 0,
        to: 1,
        shards: &all,
        rows: &Nothing,
        slots: &[],
        retired_through: &[],
        watermark_secs: None,
    };
    match sink.apply(&claim)? {
        Applied::Done { .. } => Ok(sink),
        Applied::CursorMoved => {
            let what = format!("--into {}: somebody else writes this store", sink.name());
            Err(Failure::new(Exit::Taken, what))
        }
    }
}

/// No rows.
#[derive(Debug)]
struct Nothing;

impl Rows for Nothing {
    fn for_each(
        &self,
        _take: &mut dyn FnMut(Row<'_>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        Ok(())
    }
}

/// What is applied to one store.
pub(super) struct Apply<'a> {
    base: &'a Base,
    checkpoint: &'a Checkpoint,
    recomputed: &'a Recomputed,
    /// Of a store that no job writes: these alone. Else it is the whole slot that is replaced.
    rollups: Option<Vec<Rollup>>,
    sink: Box<dyn Sink>,
    attempt: u64,
    rows: u64,
    slots: u64,
}

impl<'a> Apply<'a> {
    /// Writes a store that was opened.
    pub(super) fn new(
        sink: Box<dyn Sink>,
        base: &'a Base,
        (checkpoint, recomputed): (&'a Checkpoint, &'a Recomputed),
        rollups: Option<Vec<Rollup>>,
    ) -> Apply<'a> {
        Apply {
            base,
            checkpoint,
            recomputed,
            rollups,
            sink,
            attempt: random(),
            rows: 0,
            slots: 0,
        }
    }

    /// Records a slot, of which the job has refused so many flows, and writes it.
    ///
    /// # Errors
    /// If it cannot be recorded or written; it can be begun again.
    pub(super) fn slot(
        &mut self,
        slot_secs: u64,
        refused: SlotCounts,
        stored: &mut Stored,
    ) -> Result<u64, Failure> {
        let wanted = self
            .recomputed
            .replaced(slot_secs, self.checkpoint, refused)?;
        let replaced = match self.rollups {
            None => self.record(wanted, stored)?,
            Some(_) => above(wanted, self.base.rows.rollups, stored)?,
        };
        let written = self.write(&replaced)?;
        self.rows += written;
        self.slots += 1;
        tracing::debug!(
            slot = slot_secs,
            generation = replaced.generation,
            "replaced"
        );
        Ok(replaced.generation.into())
    }

    /// Says what was done.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(super) fn end(self) -> Result<(), Failure> {
        if self.rollups.is_none() {
            self.base.state.sweep_replaced(self.attempt)?;
        }
        tracing::info!(
            sink = self.sink.name(),
            slots = self.slots,
            rows = self.rows,
            "replaced"
        );
        Ok(())
    }

    /// What is recorded of the slot under the next generation: the rows as computed, by whoever was first.
    fn record(&self, wanted: Replaced, stored: &Stored) -> Result<Replaced, Failure> {
        let (base, slot_secs) = (self.base, wanted.slot_secs);
        let window = base.rows.window_secs;
        let newest = base.replaced.get(&slot_secs).copied();
        let of_job = self.checkpoint.generation(slot_secs, window);
        let above = stored
            .slots
            .get(&slot_secs)
            .map_or(0, |slot| slot.generation);
        let above = u32::try_from(above).unwrap_or(u32::MAX).max(of_job);
        let known = (newest, above, GENERATIONS);
        let found = replacement::record(&base.state, &wanted, known, self.attempt)?;
        found.ok_or_else(|| too_often(slot_secs))
    }

    fn write(&mut self, replaced: &Replaced) -> Result<u64, Failure> {
        let all = self.base.rows.rollups;
        let rollups = self.rollups.clone().unwrap_or(all.iter().collect());
        let words = words(replaced, all)?;
        let wanted = |number| rollups.iter().any(|rollup| rollup.number() == number);
        let rows = all.width().rows(&words).filter(|row| wanted(row.rollup));
        let rows: Vec<_> = rows.collect();
        let now = clock::now_ns() / 1_000_000_000;
        let slots = replacement::slots(replaced, all, self.checkpoint, now).into_iter();
        let slots: Vec<SlotRow> = slots
            .filter(|slot| rollups.contains(&slot.rollup))
            .collect();
        let recorded = Recorded {
            rows: &rows,
            rollups: all,
            replaced,
        };
        let job = match self.rollups {
            Some(_) => TARGET,
            None => &self.checkpoint.job,
        };
        let delta = replacement::delta(job, &recorded, &slots);
        let state = &self.base.state;
        let recorded = |slot, revision| Ok(replacement::is_recorded(state, slot, revision)?);
        patiently(|| self.sink.replace(&delta, &recorded))
    }
}

/// A job that writes the same store may hold its lock, and a server may be away for a while.
///
/// # Errors
/// The last of `write`.
pub(super) fn patiently(mut write: impl FnMut() -> Result<u64, SinkError>) -> Result<u64, Failure> {
    let begun = Instant::now();
    loop {
        match write() {
            Err(error) if error.is_retry() && begun.elapsed() < PATIENCE => {
                tracing::debug!(%error, "tried again");
                thread::sleep(PAUSE);
            }
            written => return Ok(written?),
        }
    }
}

/// In a store that only replays write, a slot has the generation above any that it has seen there, finished or not.
fn above(wanted: Replaced, rollups: Rollups, stored: &mut Stored) -> Result<Replaced, Failure> {
    let slot_secs = wanted.slot_secs;
    let known = stored.slots.get(&slot_secs);
    let mut highest = known.map_or(0, |slot| slot.generation);
    for rollup in rollups.iter() {
        let (rows, _) = stored.look.rows(rollup, slot_secs)?;
        let seen = rows.iter().map(|row| row.revision >> 48);
        highest = seen.fold(highest, u64::max);
    }
    let above = u32::try_from(highest + 1).ok();
    let generation = above.filter(|number| u64::from(*number) < GENERATIONS);
    Ok(Replaced {
        generation: generation.ok_or_else(|| too_often(slot_secs))?,
        ..wanted
    })
}

/// A generation has 16 bits of a revision.
fn too_often(slot_secs: u64) -> Failure {
    let what = format!("slot {} was replaced too often", time(slot_secs));
    Failure::new(Exit::Config, what)
}

/// The rows of a record, as the words that they are made of.
///
/// # Errors
/// If another release has written it.
pub(super) fn words(replaced: &Replaced, rollups: Rollups) -> Result<Vec<u64>, Failure> {
    replaced
        .words(rollups.width().record_bytes())
        .ok_or_else(|| {
            let what = "the record of a replaced slot has rows of another size";
            Failure::new(Exit::Config, what).hint("use the release that wrote it")
        })
}
