//! What a replay goes by: the state of the job, its topic and the stores that it is compared with.
//!
//! Law: nothing of them is written, and no lock is taken: the job may run meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use flow_dataflow::RowConfig;
use flow_proto::{Rollup, Rollups};
use flow_sinks::{Cursors, Look, SlotQuery, SlotState, StoredSlot};
use flow_state::{Checkpoint, Replaced, SlotCounts, StateStore, TableVersion};
use flow_topic::Topic;

use super::replacement;
use crate::failure::{Exit, Failure};
use crate::{cli, clock, job_status};

/// So often a store is looked at anew that was written meanwhile.
const LOOKS: u32 = 8;

/// What the job has refused, by slot.
pub(crate) type Refused = BTreeMap<u64, SlotCounts>;

/// Slots, each by its start, from the first to before the last. Seconds.
pub(crate) type Slots = (u64, u64);

/// The job, and which of its slots are asked for.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) state: StateStore,
    pub(crate) topic: Arc<dyn Topic>,
    pub(crate) rows: RowConfig,
    pub(crate) slots: Slots,
    /// Those of them that are asked for; `None`: all.
    wanted: Option<BTreeSet<u64>>,
    newest: Checkpoint,
    /// Slots that were replaced, each with its highest generation.
    pub(crate) replaced: BTreeMap<u64, u32>,
}

impl Base {
    /// Opens state and topic.
    ///
    /// # Errors
    /// If there is no state or topic, or the range holds no slot.
    pub(crate) fn open(state: &Path, topic: &str, range: &cli::Range) -> Result<Base, Failure> {
        let shown = state;
        let (state, newest) = job_status::newest(state)?;
        let rows = rows_of(shown, &newest)?;
        let slots = whole_slots(range, rows.rollups.longest_secs())?;
        let topic = flow_topic::url::open(topic, None)?;
        let replaced = state.replaced_slots()?;
        Ok(Base {
            state,
            topic,
            rows,
            slots,
            wanted: None,
            newest,
            replaced,
        })
    }

    /// Some of its slots, all of them in a range.
    pub(crate) fn of(&self, slots: Slots, wanted: BTreeSet<u64>) -> Base {
        Base {
            slots,
            wanted: Some(wanted),
            ..self.clone()
        }
    }

    /// The slots that `tables swap --from` has queued, as the range that holds them all.
    ///
    /// # Errors
    /// If there are none.
    pub(super) fn queued(&self) -> Result<Base, Failure> {
        let amended = &self.newest.swaps.amended;
        let first = amended.iter().map(|it| it.from_secs).min();
        let end = amended.iter().map(|it| it.until_secs).max();
        let Some(slots) = first.zip(end) else {
            let what = "--queued: no slots are queued";
            return Err(Failure::new(Exit::Config, what).hint("`tables swap --from` queues them"));
        };
        Ok(Base {
            slots,
            ..self.clone()
        })
    }

    /// The version that a slot of the past is to have.
    pub(super) fn amended_at(&self, slot_secs: u64) -> Option<&TableVersion> {
        self.newest.swaps.amended_at(slot_secs)
    }

    /// Every version that a slot of the past was to have.
    pub(super) fn amended(&self) -> impl Iterator<Item = &TableVersion> {
        self.newest.swaps.amended.iter().map(|it| &it.version)
    }

    /// The version by which the job has made a slot's rows.
    pub(super) fn recorded_at(&self, slot_secs: u64) -> Option<u32> {
        let mut versions = self.newest.timeline.versions.iter().rev();
        let holds = versions.find(|(from, _)| *from <= slot_secs);
        holds.map(|(_, version)| version.number)
    }

    /// Whether the job is through with a slot.
    pub(super) fn is_retired(&self, slot_secs: u64) -> bool {
        slot_secs + self.rows.window_secs <= self.newest.timeline.retired_secs
    }

    /// Those of the slots that are asked for one by one.
    pub(super) fn named(&self) -> impl Iterator<Item = u64> {
        self.wanted.iter().flatten().copied()
    }

    /// Of rollups, those that have a slot which begins there.
    pub(crate) fn rollups_at(&self, all: &[Rollup], slot_secs: u64) -> Vec<Rollup> {
        let base_secs = self.rows.window_secs;
        let begins =
            |one: &Rollup| one.window_secs() == base_secs || one.slot_of(slot_secs) == slot_secs;
        all.iter().copied().filter(begins).collect()
    }

    /// Whether a slot is asked for.
    pub(crate) fn wants(&self, slot_secs: u64) -> bool {
        let within = (self.slots.0..self.slots.1).contains(&slot_secs);
        let wanted = self.wanted.as_ref();
        within && wanted.is_none_or(|wanted| wanted.contains(&slot_secs))
    }

    /// Looks at a store that this job has written.
    ///
    /// # Errors
    /// If it cannot be looked at, or another job has written it.
    pub(crate) fn store(&self, url: &str) -> Result<Stored, Failure> {
        let rollups = self.rows.rollups;
        let (mut look, cursors, slots) = looked_at(url, (self.slots, rollups.base()))?;
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
        Ok(Stored {
            longer_retired: longer_retired(&mut look, rollups, self.slots)?,
            look,
            slots,
            at: cursors.even(flow_dataflow::key::SHARDS),
            newest: highest,
        })
    }

    /// Looks at a store that replays alone write.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub(crate) fn target(&self, url: &str) -> Result<Stored, Failure> {
        let rollups = self.rows.rollups;
        let (mut look, _, slots) = looked_at(url, (self.slots, rollups.base()))?;
        Ok(Stored {
            longer_retired: longer_retired(&mut look, rollups, self.slots)?,
            look,
            slots,
            at: None,
            newest: 0,
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

    /// Flows that the job has refused, by slot, as far as anybody knows; of slots of which somebody knows anything.
    ///
    /// # Errors
    /// The state's.
    pub(crate) fn refused(
        &self,
        stored: &Stored,
        checkpoint: &Checkpoint,
    ) -> Result<Refused, Failure> {
        let mut slots: BTreeSet<u64> = stored.slots.keys().copied().collect();
        slots.extend(checkpoint.slots.keys());
        slots.extend(self.replaced.keys());
        slots.retain(|slot_secs| self.wants(*slot_secs));
        let of_slot = |slot_secs| Ok((slot_secs, self.refused_of(stored, checkpoint, slot_secs)?));
        slots.into_iter().map(of_slot).collect()
    }

    fn refused_of(
        &self,
        stored: &Stored,
        checkpoint: &Checkpoint,
        slot_secs: u64,
    ) -> Result<SlotCounts, Failure> {
        let replaced = self.newest_replaced(slot_secs)?;
        Ok(replacement::refused(
            checkpoint.slots.get(&slot_secs),
            stored.slots.get(&slot_secs),
            replaced.as_ref(),
        ))
    }

    /// Slots that were replaced, and of which the job has refused more flows since: their rows do not say so.
    ///
    /// # Errors
    /// The state's.
    pub(crate) fn refused_since(&self) -> Result<Vec<u64>, Failure> {
        let mut slots = Vec::new();
        for slot_secs in self.replaced.keys().filter(|slot| self.wants(**slot)) {
            let replaced = self.newest_replaced(*slot_secs)?;
            let counted = self.newest.slots.get(slot_secs);
            if let (Some(replaced), Some(counted)) = (replaced, counted) {
                let early = replaced.early + replaced.counts.too_early;
                let late = replaced.late + replaced.counts.too_late;
                if counted.too_early > early || counted.too_late > late {
                    slots.push(*slot_secs);
                }
            }
        }
        Ok(slots)
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

fn rows_of(state: &Path, newest: &Checkpoint) -> Result<RowConfig, Failure> {
    RowConfig::of_recorded(&newest.config).ok_or_else(|| {
        let shown = state.display();
        let what = format!("state {shown}: the options of its job are unknown to this program");
        Failure::new(Exit::Config, what).hint("use the release that wrote the state")
    })
}

/// The rollups of a state's job.
///
/// # Errors
/// If there is no state.
pub(super) fn rollups_of(state: &Path) -> Result<Rollups, Failure> {
    let (_, newest) = job_status::newest(state)?;
    Ok(rows_of(state, &newest)?.rollups)
}

/// A store, as it was found.
pub(crate) struct Stored {
    pub(crate) look: Look,
    /// Its rows of `slots` in the range.
    pub(crate) slots: BTreeMap<u64, StoredSlot>,
    /// Slots of longer windows in the range that it calls retired.
    pub(crate) longer_retired: BTreeSet<(Rollup, u64)>,
    /// The checkpoint at which all of its shards stand.
    pub(crate) at: Option<u64>,
    /// The highest one at which a shard stands: no row has a revision above it.
    pub(crate) newest: u64,
}

/// A store, its cursors, and its rows of `slots` in a range.
pub(super) type Looked = (Look, Cursors, BTreeMap<u64, StoredSlot>);

/// Looks at a store.
///
/// # Errors
/// If it cannot be looked at.
pub(super) fn looked_at(
    url: &str,
    ((from, to), rollup): (Slots, Rollup),
) -> Result<Looked, Failure> {
    let mut look = flow_sinks::look(url)?;
    let query = of_range(rollup, (from, to));
    // A job that follows meanwhile must not come between the two.
    let (mut cursors, mut slots) = (look.cursors()?, look.slots(&query)?);
    for _ in 0..LOOKS {
        let again = look.cursors()?;
        if again == cursors {
            break;
        }
        (cursors, slots) = (again, look.slots(&query)?);
    }
    let by_start = slots.into_iter().map(|slot| (slot.slot_secs, slot));
    Ok((look, cursors, by_start.collect()))
}

fn of_range(rollup: Rollup, (from, to): Slots) -> SlotQuery {
    SlotQuery {
        rollup,
        from_secs: Some(from),
        to_secs: Some(to),
        ..SlotQuery::default()
    }
}

/// The longer slots of a range that a store calls retired.
fn longer_retired(
    look: &mut Look,
    rollups: Rollups,
    slots: Slots,
) -> Result<BTreeSet<(Rollup, u64)>, Failure> {
    let mut retired = BTreeSet::new();
    let base_secs = rollups.base().window_secs();
    for rollup in rollups.iter().filter(|one| one.window_secs() > base_secs) {
        let found = look.slots(&of_range(rollup, slots))?.into_iter();
        let over = found.filter(|slot| slot.state == SlotState::Retired.name());
        retired.extend(over.map(|slot| (rollup, slot.slot_secs)));
    }
    Ok(retired)
}

/// The range as whole slots. Without an end: all there can be.
///
/// # Errors
/// If there is no slot in it.
pub(super) fn whole_slots(range: &cli::Range, window_secs: u64) -> Result<Slots, Failure> {
    let now = clock::now_ns();
    let secs = |ns: u64| ns.div_euclid(1_000_000_000);
    let from = range.from.map_or(0, |from| secs(from.resolve_ns(now)));
    let to = range
        .to
        .map_or(u64::MAX, |to| to.resolve_ns(now).div_ceil(1_000_000_000));
    // Times beyond it no store holds, and slot 0 is none.
    let end = u64::from(u32::MAX) / window_secs * window_secs;
    let (from, to) = (from - from % window_secs, to.min(end));
    let (from, to) = (from.max(window_secs), to.next_multiple_of(window_secs));
    if from < to {
        return Ok((from, to));
    }
    Err(
        Failure::new(Exit::Usage, "--from and --to: no slot lies between them")
            .hint("--to is the later one"),
    )
}
