//! What the follower hands to a store: the difference between what it has and the newest checkpoint.
//!
//! Law 6: rows of complete slots only, absolute totals; the content of a revision is unique for ever.

use std::collections::BTreeMap;
use std::fmt;

use flow_proto::{Rollup, RowView};
use flow_state::{SlotCounts, SlotSecs};

use crate::SinkError;

/// One row, as it is after the checkpoint that its revision names.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its rollup.
    pub rollup: Rollup,
    /// Slot, key and totals.
    pub record: RowView<'a>,
    /// Version of the tables that enriched every flow in it; 0: no tables.
    pub table_version: u32,
    /// `generation << 48 | checkpoint number`.
    pub revision: u64,
}

impl Row<'_> {
    /// Number of times its slot had been replaced as a whole.
    pub fn generation(&self) -> u64 {
        self.revision >> 48
    }
}

/// Where a slot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Flows are still coming; no rows in any store.
    Open,
    /// Its rows are written; late flows still correct them.
    Complete,
    /// Final.
    Retired,
    /// Not a slot: the flows refused because they were more than a day away from the clock.
    Elsewhere,
}

impl SlotState {
    /// As it stands in the column `state`.
    pub fn name(self) -> &'static str {
        match self {
            SlotState::Open => "open",
            SlotState::Complete => "complete",
            SlotState::Retired => "retired",
            SlotState::Elsewhere => "elsewhere",
        }
    }
}

/// One row of the table `slots`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRow {
    /// Its rollup.
    pub rollup: Rollup,
    /// Start of the slot, seconds since 1970; 0 for `elsewhere`.
    pub slot_secs: SlotSecs,
    /// Where it stands.
    pub state: SlotState,
    /// The job began within it.
    pub partial: bool,
    /// Number of times it has been replaced as a whole. It becomes the slot's floor with the rows of this delta, which are
    /// then all of the slot's: what the store has of a lower generation goes. Without rows the floor stays.
    pub generation: u64,
    /// Time (seconds since 1970) of this delta if it holds rows of the slot.
    pub written_secs: Option<u64>,
    /// Flows in rows and flows refused; `None`: final, and in the store already.
    pub counts: Option<SlotCounts>,
    /// Partitions of which flows of the slot may be missing, since retention had deleted offsets before they were read;
    /// of `elsewhere`: all with such a gap. One that cannot be reached holds a slot's completion back instead.
    pub missing_partitions: Vec<u32>,
    /// Watermark of the checkpoint, seconds since 1970; `None` before the first record.
    pub complete_through_secs: Option<u64>,
}

/// Rows that can be walked through, as often as needed, without all being in memory.
pub trait Rows: fmt::Debug {
    /// Hands each row to `take`, in the order of checkpoints, then shards, then (rollup, slot, key). Of two rows with
    /// one key the later one holds the newer totals.
    ///
    /// # Errors
    /// The first error of `take`, or that of reading.
    fn for_each(
        &self,
        take: &mut dyn FnMut(Row<'_>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError>;
}

/// What a store that stands at `from` lacks to stand at `to`, for some shards.
#[derive(Clone, Copy, Debug)]
pub struct Delta<'a> {
    /// Id of the job.
    pub job: &'a str,
    /// Where the store's cursors of these shards must stand.
    pub from: u64,
    /// Where they stand afterwards.
    pub to: u64,
    /// The shards that move.
    pub shards: &'a [u16],
    /// Rows of these shards.
    pub rows: &'a dyn Rows,
    /// Slots whose counts or state have changed; they travel with shard 0.
    pub slots: &'a [SlotRow],
    /// Of each rollup: slots that start at or below it are retired.
    pub retired_through: &'a [(Rollup, SlotSecs)],
    /// Watermark of `to`, seconds since 1970: what retention is measured from.
    pub watermark_secs: Option<u64>,
}

/// Whether the state has a record of this slot under this revision. Rows are written after their record, so rows that are
/// found in a store and have none were put there by somebody else.
pub type IsRecorded<'a> = dyn Fn(SlotSecs, u64) -> Result<bool, SinkError> + 'a;

/// What became of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Written, the cursors moved.
    Done {
        /// Rows handed to the store.
        rows: u64,
    },
    /// Nothing written: a stored cursor is not `from`. Somebody else was here; it is read again.
    CursorMoved,
}

/// What a store says it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursors {
    /// Id of the job that wrote it; `None`: nobody has yet.
    pub job: Option<String>,
    /// Per shard the last checkpoint it holds; 0 for a shard that is not named.
    pub by_shard: BTreeMap<u16, u64>,
}

impl Cursors {
    /// The last checkpoint that it holds of a shard.
    pub fn of(&self, shard: u16) -> u64 {
        self.by_shard.get(&shard).copied().unwrap_or(0)
    }

    /// The checkpoint at which all shards stand, of so many; `None`: they stand at several, or at none.
    pub fn even(&self, shards: usize) -> Option<u64> {
        let first = self.by_shard.values().next().copied()?;
        let all = self.by_shard.len() == shards && self.by_shard.values().all(|at| *at == first);
        all.then_some(first).filter(|at| *at > 0)
    }

    /// Law 6: whether the store may be written by this job, whose newest checkpoint is `newest`; `name` is the store's.
    ///
    /// # Errors
    /// `Refused`, if another job has written it, or it is ahead of the state.
    pub fn belong_to(&self, name: &str, job: &str, newest: u64) -> Result<(), SinkError> {
        let highest = self.by_shard.values().max().copied();
        belongs((name, self.job.as_deref(), highest), job, newest)
    }
}

/// What the flag does, for messages.
pub(crate) const ADOPT: &str = "start once with --adopt: this state then takes the database over under a new job id and \
     writes every slot anew that has not retired in it";

/// As `Cursors::belong_to`, of a store's name, the job that has written it, and the highest checkpoint that it holds.
pub(crate) fn belongs(
    (name, written_by, highest): (&str, Option<&str>, Option<u64>),
    job: &str,
    newest: u64,
) -> Result<(), SinkError> {
    let at = highest.unwrap_or(0);
    if let Some(other) = written_by.filter(|other| *other != job) {
        let state = if job.is_empty() {
            "is new".to_owned()
        } else {
            format!("belongs to job {job}")
        };
        return Err(SinkError::refused(format!(
            "sink {name}: written by job {other} up to checkpoint {at}, the state directory {state}, at checkpoint \
             {newest}; give it the state directory of that job, or a new database, or {ADOPT}"
        )));
    }
    match highest {
        Some(ahead) if ahead > newest => Err(SinkError::refused(format!(
            "sink {name}: holds checkpoint {ahead} of job {job}, the state directory only {newest}; the state is an older \
             copy: restore the newer one, or begin anew with an empty state directory and a new database, or {ADOPT}"
        ))),
        _ => Ok(()),
    }
}
