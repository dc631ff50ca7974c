//! Slot by slot: what was computed beside what a store holds.
//!
//! Law 6: a slot that is not final is compared at the checkpoint that the store's cursors name, or not at all: a store that
//! is behind, or moves on meanwhile, is not wrong. One slot of one rollup is in memory at a time.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use flow_proto::{Rollup, Rollups, Sums};
use flow_sinks::{Difference, DifferenceKind, GroupTotals, Said, SlotState, compare, slot_state};
use flow_state::{Checkpoint, Replaced, SlotCounts};

use super::apply;
use super::base::{Base, Refused, Stored};
use super::computed::Known;
use super::recompute::Recomputed;
use super::slot_row::{RowDifference, SlotRow, difference};
use crate::failure::Failure;

/// So often a store that seems about to move on is looked at,
const LOOKS: u32 = 40;
/// with this between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// A slot of a rollup, compared.
pub(crate) struct Compared {
    pub(crate) rollup: Rollup,
    pub(crate) slot_secs: u64,
    pub(crate) differences: Vec<Difference>,
    /// Rows of the store that hold what is never written.
    pub(crate) unreadable: u64,
    /// Sums over all rows, as the store has them.
    pub(crate) stored: Sums,
    /// Sums over all rows, as they should be in a store.
    pub(crate) computed: Sums,
    /// Of the first rollup: how the slot's row in `slots` differs, as it should be and as it is.
    pub(crate) slot_row: Option<RowDifference>,
    /// It is final for the job and the store.
    pub(crate) replaceable: bool,
}

/// Both sides, and the checkpoint that they are compared at.
pub(crate) struct Sides<'a> {
    pub(crate) base: &'a Base,
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) recomputed: &'a Recomputed,
    pub(crate) stored: &'a mut Stored,
    /// Flows that the job has refused.
    pub(crate) refused: &'a Refused,
    /// Nobody but a replay writes the store: what the job is through with is final there.
    pub(crate) is_target: bool,
    /// A slot that was replaced is compared with what it was replaced by.
    pub(crate) as_replaced: bool,
}

impl Compared {
    /// Whether the store has flows, of any key, that were not computed.
    pub(crate) fn loses(&self) -> bool {
        let flows = |said: Option<Said>| said.map_or(0, |(sums, _)| sums.flows);
        let mut rows = self.differences.iter();
        rows.any(|row| flows(row.stored) > flows(row.computed))
    }

    /// Whether any row differs.
    pub(crate) fn differs(&self) -> bool {
        self.unreadable > 0 || !self.differences.is_empty() || self.slot_row.is_some()
    }
}

/// What may have kept a slot from being whole.
#[derive(Debug, Default)]
pub(crate) struct Why {
    /// Flows that were too early or too late at the time.
    pub(crate) refused: SlotCounts,
    /// Partitions with a gap in the topic.
    pub(crate) missing_partitions: Vec<u32>,
    /// The job, or what is left of the topic, begins within it or after it.
    pub(crate) partial: bool,
}

impl Sides<'_> {
    /// What may have kept a slot from being whole, as far as anybody knows.
    pub(crate) fn why(&self, slot_secs: u64) -> Why {
        let known =
            self.recomputed
                .computed
                .known(slot_secs, self.checkpoint, SlotCounts::default());
        Why {
            refused: self.refused_of(slot_secs),
            missing_partitions: known.missing_partitions,
            partial: known.partial,
        }
    }

    /// Every slot of the range of which either side knows anything, ascending.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn slots(&mut self) -> Result<BTreeSet<u64>, Failure> {
        let range = self.base.slots.0..self.base.slots.1;
        let mut slots = self.recomputed.computed.slots();
        for rollup in self.base.rows.rollups.iter() {
            slots.extend(self.stored.look.slots_with_rows(rollup, self.base.slots)?);
        }
        slots.extend(self.stored.slots.keys());
        slots.extend(
            self.checkpoint
                .slots
                .range(range.clone())
                .map(|(slot, _)| slot),
        );
        slots.extend(self.base.replaced.range(range).map(|(slot, _)| slot));
        slots.retain(|slot_secs| self.base.wants(*slot_secs));
        Ok(slots)
    }

    /// Compares a slot. `None`: what the store should hold of it now is not known.
    ///
    /// # Errors
    /// If the scratch or the store cannot be read.
    pub(crate) fn compare(
        &mut self,
        rollup: Rollup,
        slot_secs: u64,
    ) -> Result<Option<Compared>, Failure> {
        let state = slot_state(self.checkpoint, rollup, slot_secs);
        let is_final = self.is_final((rollup, slot_secs), state);
        let exact = self.stored.at == Some(self.checkpoint.number);
        if !is_final && !exact {
            return Ok(None);
        }
        let is_base = rollup.window_secs() == self.base.rows.window_secs;
        let replaced = match self.is_target || !is_base {
            true => None,
            false => self
                .base
                .replaced(self.stored, self.checkpoint, slot_secs)?,
        };
        let mut computed = self.recomputed.computed.totals(rollup, slot_secs)?;
        let last_slot = rollup.end(slot_secs) - self.base.rows.window_secs;
        let mut version = self.recomputed.tables.number(last_slot);
        if let (Some(replaced), true) = (&replaced, self.as_replaced) {
            computed = totals(replaced, (rollup, self.base.rows.rollups))?;
            version = replaced.table_version;
        }
        let flows = sum(computed.values()).flows;
        if state == SlotState::Open {
            // Its rows come when it completes.
            computed.clear();
        }
        let (stored, unreadable) = self.stored.look.rows(rollup, slot_secs)?;
        let possible = self.revisions((rollup, slot_secs), replaced.as_ref());
        let mut differences = compare(
            (rollup, slot_secs),
            computed
                .iter()
                .map(|(key, sums)| (key.clone(), (*sums, version))),
            &stored,
            &possible,
        );
        if self.recomputed.tables.others {
            differences.retain(|difference| difference.kind() != DifferenceKind::TableVersion);
        }
        let differs = unreadable > 0 || !differences.is_empty();
        // Without transactions rows come before the cursor that speaks for them.
        let newest = self.stored.newest;
        let ahead = stored.iter().any(|row| number(row.revision) > newest);
        if differs && !is_final && self.has_moved(ahead)? {
            return Ok(None);
        }
        let slot_row = match rollup == self.base.rows.rollups.base() {
            true => self.slot_row(slot_secs, state, flows, replaced.as_ref()),
            false => None,
        };
        Ok(Some(Compared {
            rollup,
            slot_secs,
            differences,
            unreadable,
            stored: sum(stored.iter().map(|row| &row.sums)),
            computed: sum(computed.values()),
            slot_row,
            replaceable: state == SlotState::Retired && self.is_slot(slot_secs),
        }))
    }

    /// Whether the job and the store are through with a slot.
    fn is_final(&self, (rollup, slot_secs): (Rollup, u64), state: SlotState) -> bool {
        if self.is_target {
            return state == SlotState::Retired;
        }
        let is_retired = if rollup.window_secs() == self.base.rows.window_secs {
            let known = self.stored.slots.get(&slot_secs);
            known.is_some_and(|slot| slot.state == SlotState::Retired.name())
        } else {
            self.stored.longer_retired.contains(&(rollup, slot_secs))
        };
        // Its row of `slots` comes with one shard: the others must be there, too.
        let even = self.stored.at.is_some();
        even && is_retired
    }

    /// Whether a slot can begin there: rows may stand anywhere that others have put.
    fn is_slot(&self, slot_secs: u64) -> bool {
        slot_secs.is_multiple_of(self.base.rows.window_secs)
    }

    /// How the slot's row in `slots` differs.
    fn slot_row(
        &self,
        slot_secs: u64,
        state: SlotState,
        flows: u64,
        replaced: Option<&Replaced>,
    ) -> Option<RowDifference> {
        // Nothing is to be put in the place of an open slot, and its row says what the job has counted.
        let is_open = state == SlotState::Open && !self.as_replaced;
        if is_open || !self.is_slot(slot_secs) {
            return None;
        }
        let (stored, checkpoint) = (&self.stored, self.checkpoint);
        let exact = self.is_target || stored.at == Some(checkpoint.number);
        let known = match replaced {
            Some(replaced) if self.as_replaced => Some(Known {
                counts: replaced.counts,
                partial: replaced.partial,
                missing_partitions: replaced.missing_partitions.clone(),
            }),
            // A store that is behind has not heard of the last refusals.
            _ if exact && checkpoint.slots.contains_key(&slot_secs) => Some(
                self.recomputed
                    .computed
                    .known(slot_secs, checkpoint, self.refused_of(slot_secs)),
            ),
            _ => None,
        };
        let of_job = checkpoint.generation(slot_secs, self.base.rows.window_secs);
        let generation = replaced.map_or(of_job, |replaced| replaced.generation);
        let wanted = SlotRow {
            state: state.name().to_owned(),
            flows,
            generation: (!self.is_target).then_some(generation.into()),
            known,
        };
        difference(&wanted, stored.slots.get(&slot_secs))
    }

    /// Flows of a slot that the job has refused.
    pub(crate) fn refused_of(&self, slot_secs: u64) -> SlotCounts {
        self.refused.get(&slot_secs).copied().unwrap_or_default()
    }

    /// Which revisions rows of a slot can have.
    fn revisions(
        &self,
        (rollup, slot_secs): (Rollup, u64),
        replaced: Option<&Replaced>,
    ) -> impl Fn(u64) -> bool + use<> {
        let of_job = self.checkpoint.generation(slot_secs, rollup.window_secs());
        let (generation, numbers) = match replaced {
            Some(replaced) => (replaced.generation, replaced.number..=replaced.number),
            None => (of_job, 1..=self.stored.newest),
        };
        let any = self.is_target;
        move |revision| {
            any || revision >> 48 == u64::from(generation) && numbers.contains(&number(revision))
        }
    }

    /// Whether the store has followed the job since it was looked at, or does so soon, if it seems about to.
    fn has_moved(&mut self, soon: bool) -> Result<bool, Failure> {
        for _ in 0..if soon { LOOKS } else { 1 } {
            let cursors = self.stored.look.cursors()?;
            let mut stands = cursors.by_shard.values();
            if !stands.all(|at| Some(*at) == self.stored.at) {
                return Ok(true);
            }
            if soon {
                // The store tells nobody when its cursor moves.
                thread::sleep(LOOK);
            }
        }
        Ok(false)
    }
}

/// The checkpoint's number in a revision.
fn number(revision: u64) -> u64 {
    revision & ((1 << 48) - 1)
}

/// The rows that a slot was replaced by.
fn totals(replaced: &Replaced, (rollup, all): (Rollup, Rollups)) -> Result<GroupTotals, Failure> {
    let words = apply::words(replaced, all)?;
    let rows = all.width().rows(&words);
    let ours = rows.filter(|row| row.rollup == rollup.number());
    Ok(ours
        .map(|row| (row.key_of(rollup).to_vec(), *row.sums))
        .collect())
}

fn sum<'a>(all: impl Iterator<Item = &'a Sums>) -> Sums {
    let mut sums = Sums::default();
    all.for_each(|one| sums.add(one));
    sums
}
