//! Computes slots again: the job itself, in a scratch state of its own, over a part of the topic.
//!
//! Law 1: what comes out depends on topic, range and checkpoint alone. The scratch is gone at the end, however it comes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flow_dataflow::{Counting, Job, JobConfig, Metrics, Replay, Snapshot, Status};
use flow_proto::{Rollup, RowRecord};
use flow_sinks::{GroupTotals, group_totals};
use flow_state::{Acks, Checkpoint, Group, Published, Replaced, SlotCounts, StateStore};
use flow_tables::TableSet;
use tempfile::TempDir;

use super::base::{Base, Slots};
use super::tables::Tables;
use crate::failure::{Exit, Failure};
use crate::progress::LiveLine;
use crate::running::random;
use crate::{cli, clock};

/// Between two looks at the job.
const LOOK: Duration = Duration::from_millis(100);
/// So often a scratch that cannot be written is tried.
const TRIES: u64 = 4;

/// What came out.
pub(crate) struct Recomputed {
    counting: Counting,
    pub(crate) tables: Tables,
    /// It was read from before the first flow of the range on.
    whole: bool,
    state: StateStore,
    /// The scratch state's last one.
    checkpoint: Option<Checkpoint>,
    /// Held until nothing is read of it any more.
    _scratch: TempDir,
}

impl Recomputed {
    /// The rows of a slot.
    ///
    /// # Errors
    /// If the scratch cannot be read.
    pub(crate) fn totals(&self, rollup: Rollup, slot_secs: u64) -> Result<GroupTotals, Failure> {
        let group = Group {
            rollup: rollup as u16,
            slot_secs,
        };
        Ok(match &self.checkpoint {
            Some(checkpoint) => group_totals(&self.state, checkpoint, group)?,
            None => GroupTotals::new(),
        })
    }

    /// Slots that have rows.
    pub(crate) fn slots(&self) -> BTreeSet<u64> {
        let listed = self.checkpoint.iter().flat_map(|c| c.segments.values());
        listed.flatten().map(|group| group.slot_secs).collect()
    }

    /// A slot's refused flows as they are to be, and whether it is partial.
    pub(crate) fn counts(
        &self,
        slot_secs: u64,
        checkpoint: &Checkpoint,
        refused: SlotCounts,
    ) -> (SlotCounts, bool) {
        let seen = self.checkpoint.as_ref();
        let seen = seen.and_then(|seen| seen.slots.get(&slot_secs));
        let counted = match self.counting {
            Counting::AsRecorded => refused,
            Counting::Every { .. } => SlotCounts::default(),
        };
        let counts = SlotCounts {
            too_early: counted.too_early,
            too_late: counted.too_late,
            implausible: seen
                .map_or(0, |seen| seen.implausible)
                .max(refused.implausible),
            ..SlotCounts::default()
        };
        let partial = checkpoint.partial.contains(&slot_secs) && !self.whole;
        (counts, partial)
    }

    /// What a slot is to be. `refused`: flows of it that the job has refused, as far as that is known.
    ///
    /// # Errors
    /// If the scratch cannot be read.
    pub(crate) fn replaced(
        &self,
        slot_secs: u64,
        checkpoint: &Checkpoint,
        refused: SlotCounts,
    ) -> Result<Replaced, Failure> {
        let mut records = Vec::new();
        for rollup in Rollup::ALL {
            let totals = self.totals(rollup, slot_secs)?.into_iter();
            records.extend(totals.map(|(key, sums)| RowRecord {
                slot_secs,
                rollup: rollup as u16,
                shard: 0,
                key,
                sums,
            }));
        }
        let base = records.iter().filter(|row| row.rollup == Rollup::As as u16);
        let flows = base.map(|row| row.sums.flows).sum();
        let (counts, partial) = self.counts(slot_secs, checkpoint, refused);
        let (early, late) = match self.counting {
            Counting::AsRecorded => (0, 0),
            Counting::Every { .. } => (refused.too_early, refused.too_late),
        };
        Ok(Replaced {
            slot_secs,
            generation: 0,
            number: checkpoint.number,
            table_version: self.tables.number(slot_secs),
            counts: SlotCounts { flows, ..counts },
            early,
            late,
            partial,
            missing_partitions: checkpoint.missing_partitions(slot_secs),
            rows: Replaced::bytes(&records),
        })
    }
}

/// Computes the slots of `base` as of a checkpoint of its job.
///
/// # Errors
/// If the topic does not hold what is needed any more, or the job fails.
pub(crate) fn recompute(
    base: &Base,
    checkpoint: &Checkpoint,
    (counting, tables): (Counting, Tables),
    (range, asked): (&cli::Range, &AtomicBool),
) -> Result<Recomputed, Failure> {
    let replay = Replay::of(
        checkpoint,
        base.topic.as_ref(),
        base.slots,
        (&base.rows, counting),
        &tables.versions,
    )?;
    let scratch = scratch(range.scratch.as_deref())?;
    let state = StateStore::open(scratch.path().join("state"))?;
    for version in replay.versions() {
        state.archive_table(&version.hash, &tables.archive(base, version)?)?;
    }
    let (records, whole) = (replay.records(), replay.is_whole());
    let (metrics, status) = (Metrics::default(), Arc::new(Status::default()));
    let job = Job {
        config: JobConfig {
            workers: range.workers,
            rows: base.rows.clone(),
            until_end: true,
            replay: Some(Arc::new(replay)),
            ..JobConfig::default()
        },
        topic: Arc::clone(&base.topic),
        tables: Arc::new(TableSet::default()),
        state: state.clone(),
        published: Published::new(),
        // Of a sink that never follows: every row stays on disk.
        acks: Acks::new(1),
        metrics: metrics.clone(),
        status: Arc::clone(&status),
        clock: clock::system(),
        id: format!("{:016x}", random()),
        attempt: random(),
        stop: Arc::default(),
    };
    let running = thread::Builder::new()
        .name("replay".to_owned())
        .spawn(move || job.run())?;
    let mut line = LiveLine::new();
    let progress = Progress {
        slots: base.slots,
        window_secs: base.rows.window_secs,
        records,
        begun: Instant::now(),
    };
    while !running.is_finished() {
        if asked.load(Ordering::Acquire) {
            let what = "asked to end before the slots were computed";
            return Err(Failure::new(Exit::Io, what));
        }
        let look = status.look();
        // A job waits until there is room; whoever waits for this would rather know.
        let given_up = look.undone.values().find(|undone| undone.failed >= TRIES);
        if let Some(error) = given_up.and_then(|undone| undone.error.as_deref()) {
            return Err(Failure::from_error(Exit::Io, error).hint(
                "--scratch names a directory with room for the rows of all slots of the range",
            ));
        }
        line.show(|| progress.describe(&look, &metrics));
        thread::sleep(LOOK); // the job has its own threads; this one only shows what they do
    }
    let died = |_| Failure::new(Exit::Bug, "the thread of the replay has died");
    running.join().map_err(died)??;
    line.end(&progress.done(&metrics));
    Ok(Recomputed {
        counting,
        tables,
        whole,
        checkpoint: state.newest()?,
        state,
        _scratch: scratch,
    })
}

fn scratch(place: Option<&Path>) -> Result<TempDir, Failure> {
    let mut named = tempfile::Builder::new();
    let named = named.prefix("flow-pipeline-replay-");
    let made = match place {
        Some(place) => named.tempdir_in(place),
        None => named.tempdir(),
    };
    made.map_err(|error| {
        Failure::from_error(Exit::Io, &error)
            .hint("--scratch names a directory that can be written")
    })
}

/// How far a replay is, and of how much.
struct Progress {
    slots: Slots,
    window_secs: u64,
    /// Records that may have to be read.
    records: u64,
    begun: Instant,
}

impl Progress {
    /// In one line.
    fn describe(&self, look: &Snapshot, metrics: &Metrics) -> String {
        let (flows, read) = (metrics.flows.get(), metrics.records.get());
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let millis = millis.max(1);
        let (first, end) = self.slots;
        let through = look.retired_secs.clamp(first, end);
        let left = match read {
            0 => "-".to_owned(),
            _ => {
                let records = self.records.saturating_sub(read);
                format!("{} s", records.saturating_mul(millis) / read / 1_000)
            }
        };
        format!(
            "{flows} flows, {} flows/s, {read} of at most {} records, {} of {} slots done, at most {left} left",
            flows.saturating_mul(1_000) / millis,
            self.records,
            (through - first) / self.window_secs,
            (end - first) / self.window_secs,
        )
    }

    /// When all is read.
    fn done(&self, metrics: &Metrics) -> String {
        let (flows, secs) = (metrics.flows.get(), self.begun.elapsed().as_secs_f64());
        format!(
            "{} slots computed of {flows} flows in {} records, {secs:.1} s",
            (self.slots.1 - self.slots.0) / self.window_secs,
            metrics.records.get(),
        )
    }
}
