//! What the job is doing, for people: the last state that worker 0 has shown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use flow_state::{Position, SlotCounts, SlotSecs, StateError};

/// What the job waits for while it reads nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waiting {
    /// It reads.
    #[default]
    Nothing,
    /// No partition has ever had a record.
    FirstRecord,
    /// Everything is read; the next slot is complete once the watermark reaches this, seconds since 1970.
    SlotCompletes(u64),
    /// Everything is read and every slot is complete.
    MoreRecords,
}

/// What the state was asked and has not done yet.
#[derive(Clone, Debug, Default)]
pub struct Undone {
    /// The checkpoint that it belongs to.
    pub checkpoint: u64,
    /// Tries that have failed; another one is under way, or follows.
    pub failed: u64,
    /// Why the last one has.
    pub error: Option<Arc<StateError>>,
}

/// A look at a running job.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Watermark, ns since 1970; `None` before the first record.
    pub watermark_ns: Option<i64>,
    /// Newest tick.
    pub tick: u64,
    /// Newest durable checkpoint.
    pub checkpoint: u64,
    /// Keys held by all workers.
    pub open_keys: u64,
    /// Offset and clock of each partition.
    pub positions: BTreeMap<u32, Position>,
    /// Counts of recent slots; 0 is `elsewhere`.
    pub slots: BTreeMap<SlotSecs, SlotCounts>,
    /// R: slots that end at or below it are retired. Seconds.
    pub retired_secs: u64,
    /// What it waits for.
    pub waiting: Waiting,
    /// In process 0: the last tick that each other process has told of.
    pub heard_of: BTreeMap<usize, u64>,
    /// The last tick is out.
    pub closing: bool,
    /// In process 0: it was told to stop, here or in another process.
    pub stopping: bool,
    /// What this process has asked of the state and waits for.
    pub undone: BTreeMap<&'static str, Undone>,
}

/// Where worker 0 shows it.
#[derive(Debug, Default)]
pub struct Status(Mutex<Snapshot>);

impl Status {
    /// The newest look.
    pub fn look(&self) -> Snapshot {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The state is asked for this.
    pub(crate) fn asked(&self, what: &'static str, checkpoint: u64) {
        self.show(|shown| shown.undone.entry(what).or_default().checkpoint = checkpoint);
    }

    /// It could not do it, and will be asked again.
    pub(crate) fn failed(&self, what: &'static str, error: StateError) {
        self.show(|shown| {
            let undone = shown.undone.entry(what).or_default();
            undone.failed += 1;
            undone.error = Some(Arc::new(error));
        });
    }

    /// It has answered for good.
    pub(crate) fn answered(&self, what: &'static str) {
        self.show(|shown| drop(shown.undone.remove(what)));
    }

    pub(crate) fn show(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
