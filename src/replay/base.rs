//! What a replay goes by: the state of the job, its topic and the stores that it is compared with.
//!
//! Law: nothing of them is written, and no lock is taken: the job may run meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_dataflow::RowConfig;
use flow_sinks::{Look, SlotQuery, SlotState, StoredSlot};
use flow_state::{Checkpoint, Replaced, SlotCounts, StateStore};
use flow_topic::Topic;

use crate::failure::{Exit, Failure};
use crate::{cli, clock, job_status};

/// So often a store is looked at anew that was written meanwhile.
const LOOKS: u32 = 8;

/// Slots, each by its start, from the first to before the last. Seconds.
pub(crate) type Slots = (u64, u64);

/// The job, and which of its slots are asked for.
pub(crate) struct Base {
    pub(crate) state: StateStore,
    pub(crate) topic: Arc<dyn Topic>,
    pub(crate) rows: RowConfig,
    pub(crate) slots: Slots,
    newest: Checkpoint,
    /// Slots that were replaced, each with its highest generation.
    pub(crate) replaced: BTreeMap<u64, u32>,
}

impl Base {
    /// Opens state and topic.
    ///
    /// # Errors
    /// If there is no state or topic, or the range holds no slot.
    pub(crate) fn open(range: &cli::Range) -> Result<Base, Failure> {
        let (state, newest) = job_status::newest(&range.state)?;
        let rows = RowConfig::of_recorded(&newest.config).ok_or_else(|| {
            let what = format!(
                "state {}: the options of its job are unknown to this program",
                range.state.display()
            );
            Failure::new(Exit::Config, what).hint("use the release that wrote the state")
        })?;
        let slots = whole_slots(range, rows.window_secs)?;
        let topic = flow_topic::url::open(&range.topic, None)?;
        let replaced = state.replaced_slots()?;
        Ok(Base {
            state,
            topic,
            rows,
            slots,
            newest,
            replaced,
        })
    }

    /// Looks at a store that this job has written.
    ///
    /// # Errors
    /// If it cannot be looked at, or another job has written it.
    pub(crate) fn store(&self, url: &str) -> Result<Stored, Failure> {
        let mut look = flow_sinks::look(url)?;
        let query = SlotQuery {
            newest: u32::MAX,
            from_secs: Some(self.slots.0),
            to_secs: Some(self.slots.1),
            troubled: false,
        };
        // A job that follows meanwhile must not come between the two.
        let (mut cursors, mut slots) = (look.cursors()?, look.slots(&query)?);
        for _ in 0..LOOKS {
            let again = look.cursors()?;
            if again == cursors {
                break;
            }
            (cursors, slots) = (again, look.slots(&query)?);
        }
        let highest = cursors.by_shard.values().max().copied().unwrap_or(0);
        // A job that runs may have gone on since its state was read.
        if highest > self.newest.number {
            let newest = self.state.numbers()?.last().copied().unwrap_or(0);
            cursors.belong_to(look.name(), &self.newest.job, newest)?;
        }
        let of_job = cursors.job.as_ref();
        if of_job.is_some_and(|job| *job != self.newest.job) {
            let what = format!(
                "sink {}: another job has written it than that of state {}",
                look.name(),
                self.state.place().display()
            );
            return Err(Failure::new(Exit::Config, what)
                .hint("--state and --sink name what the same run was given"));
        }
        let all = (0..flow_dataflow::key::SHARDS).filter_map(|shard| u16::try_from(shard).ok());
        let stands: Vec<u64> = all.map(|shard| cursors.of(shard)).collect();
        let lowest = stands.iter().min().copied().unwrap_or(0);
        let even = stands.iter().all(|at| *at == lowest);
        Ok(Stored {
            look,
            slots: slots
                .into_iter()
                .map(|slot| (slot.slot_secs, slot))
                .collect(),
            at: Some(lowest).filter(|lowest| even && *lowest > 0),
            newest: stands.iter().max().copied().unwrap_or(0),
        })
    }

    /// What the slot was replaced by, if the store holds that, or has lost its row of `slots`.
    ///
    /// # Errors
    /// The state's.
    pub(crate) fn replaced(
        &self,
        stored: &Stored,
        checkpoint: &Checkpoint,
        slot_secs: u64,
    ) -> Result<Option<Replaced>, Failure> {
        let of_job = checkpoint.generation(slot_secs, self.rows.window_secs);
        let newest = self.replaced.get(&slot_secs).copied();
        let generation = match stored.slots.get(&slot_secs) {
            Some(slot) => u32::try_from(slot.generation).ok(),
            None => newest,
        };
        let above = generation.filter(|generation| *generation > of_job && newest.is_some());
        let found = above.map(|generation| self.state.replaced(slot_secs, generation));
        Ok(found.transpose()?.flatten())
    }

    /// What the slot was replaced by last, whatever stores hold.
    ///
    /// # Errors
    /// The state's.
    pub(crate) fn newest_replaced(&self, slot_secs: u64) -> Result<Option<Replaced>, Failure> {
        let newest = self.replaced.get(&slot_secs);
        let found = newest.map(|generation| self.state.replaced(slot_secs, *generation));
        Ok(found.transpose()?.flatten())
    }

    /// Flows of a slot that the job has refused, as far as anybody knows.
    ///
    /// # Errors
    /// The state's.
    pub(crate) fn refused(
        &self,
        stored: &Stored,
        checkpoint: &Checkpoint,
        slot_secs: u64,
    ) -> Result<SlotCounts, Failure> {
        let counted = checkpoint.slots.get(&slot_secs);
        let mut refused = counted.copied().unwrap_or_default();
        let mut known = |early: u64, late: u64, implausible: u64| {
            refused.too_early = refused.too_early.max(early);
            refused.too_late = refused.too_late.max(late);
            refused.implausible = refused.implausible.max(implausible);
        };
        // Where the job has let go of its counts the store has them.
        if let (None, Some(slot)) = (counted, stored.slots.get(&slot_secs)) {
            known(slot.too_early, slot.too_late, slot.implausible);
        }
        if let Some(replaced) = self.newest_replaced(slot_secs)? {
            known(replaced.early, replaced.late, replaced.counts.implausible);
        }
        Ok(refused)
    }

    /// Whether the job has come beyond the range's first slot.
    pub(crate) fn is_reached(&self) -> bool {
        let secs = u64::try_from(self.newest.watermark_ns).map_or(0, |ns| ns / 1_000_000_000);
        secs >= self.slots.0 + self.rows.window_secs
    }

    /// Whether every slot of the range has retired, and every store has it so.
    ///
    /// # Errors
    /// If a store cannot be looked at.
    pub(crate) fn is_settled(&self, sinks: &[String]) -> Result<bool, Failure> {
        if self.newest.timeline.retired_secs < self.slots.1 {
            return Ok(false);
        }
        for url in sinks {
            let stored = self.store(url)?;
            let mut slots = stored.slots.values();
            if stored.at.is_none() || slots.any(|slot| slot.state != SlotState::Retired.name()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The checkpoint of which a store holds all and nothing more, as far as that is known; else the newest one.
    ///
    /// # Errors
    /// The state's.
    pub(crate) fn checkpoint(&self, stored: &Stored) -> Result<Checkpoint, Failure> {
        let of_store = stored.at.map(|number| self.state.checkpoint(number));
        let of_store = of_store.transpose()?;
        Ok(of_store.flatten().unwrap_or_else(|| self.newest.clone()))
    }
}

/// A store, as it was found.
pub(crate) struct Stored {
    pub(crate) look: Look,
    /// Its rows of `slots` in the range.
    pub(crate) slots: BTreeMap<u64, StoredSlot>,
    /// The checkpoint at which all of its shards stand.
    pub(crate) at: Option<u64>,
    /// The highest one at which a shard stands: no row has a revision above it.
    pub(crate) newest: u64,
}

/// The range as whole slots.
fn whole_slots(range: &cli::Range, window_secs: u64) -> Result<Slots, Failure> {
    let now = clock::now_ns();
    let secs = |ns: u64| ns.div_euclid(1_000_000_000);
    let from = secs(range.from.resolve_ns(now));
    let to = range.to.resolve_ns(now).div_ceil(1_000_000_000);
    // Times beyond it no store holds, and slot 0 is none.
    let end = u64::from(u32::MAX) / window_secs * window_secs;
    let (from, to) = (from - from % window_secs, to.next_multiple_of(window_secs));
    let (from, to) = (from.max(window_secs), to.min(end));
    if from < to {
        return Ok((from, to));
    }
    Err(
        Failure::new(Exit::Usage, "--from and --to: no slot lies between them")
            .hint("--to is the later one"),
    )
}
