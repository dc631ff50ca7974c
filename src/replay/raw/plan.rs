//! How each slot's raw flows are counted, and by which tables.
//!
//! Law 3 and the law of `raw`: as the slot's rows were, so that the two sum up alike. A slot that was replaced holds what
//! had been read by then; what the job has refused of it since stays refused.

use std::collections::BTreeMap;

use flow_dataflow::Counting;
use flow_proto::Coordinate;
use flow_state::{Checkpoint, Replaced, StateStore, TableVersion, Timeline};

use super::super::base::{Base, Stored};
use super::super::recompute::Recomputed;
use crate::failure::Failure;

/// What counts in which slot.
pub(in super::super) struct Plan<'a> {
    /// Of a slot that is not named below.
    pub(super) counting: Counting,
    /// Slots that were replaced, without their rows.
    replaced: BTreeMap<u64, Replaced>,
    versions: Vec<(u64, TableVersion)>,
    /// What archives the tables.
    pub(super) archive: &'a StateStore,
}

impl<'a> Plan<'a> {
    /// As a replay computes the rows.
    pub(in super::super) fn of_replay(recomputed: &'a Recomputed) -> Plan<'a> {
        Plan {
            counting: recomputed.computed.counting,
            replaced: BTreeMap::new(),
            versions: recomputed.tables.versions.clone(),
            archive: recomputed.archive(),
        }
    }

    /// As the rows of a store should be: by the record, or by what its slots were replaced by.
    ///
    /// # Errors
    /// The state's.
    pub(in super::super) fn of_store(
        base: &'a Base,
        checkpoint: &Checkpoint,
        stored: &Stored,
    ) -> Result<Plan<'a>, Failure> {
        let mut replaced = BTreeMap::new();
        for slot_secs in base.replaced.range(base.slots.0..base.slots.1) {
            if let Some(found) = base.replaced(stored, checkpoint, *slot_secs.0)? {
                let rows = Vec::new();
                replaced.insert(*slot_secs.0, Replaced { rows, ..found });
            }
        }
        let recorded = &checkpoint.timeline.versions;
        let mut versions: BTreeMap<u64, TableVersion> = recorded.iter().cloned().collect();
        let of = |slot: u64| recorded.iter().rfind(|(from, _)| *from <= slot);
        for (slot, found) in &replaced {
            // The slot after it has its own again, unless it was replaced, too.
            let after = slot + base.rows.window_secs;
            let own = of(after).filter(|_| !replaced.contains_key(&after));
            versions.extend(own.map(|(_, version)| (after, version.clone())));
            let mut known = recorded.iter().map(|(_, version)| version);
            let version = known.find(|version| version.number == found.table_version);
            versions.extend(version.map(|version| (*slot, version.clone())));
        }
        Ok(Plan {
            counting: Counting::AsRecorded,
            replaced,
            versions: versions.into_iter().collect(),
            archive: &base.state,
        })
    }

    /// Whether a flow that was refused counts.
    pub(super) fn counts(&self, slot_secs: u64, at: Coordinate) -> bool {
        match self.replaced.get(&slot_secs) {
            Some(replaced) => replaced.counts(at.partition, at.offset),
            None => self.is_every(),
        }
    }

    /// Whether flows from before the job's first record are the slot's.
    pub(super) fn begins_before_the_job(&self, slot_secs: u64) -> bool {
        let replaced = self.replaced.get(&slot_secs);
        replaced.map_or(self.is_every(), |replaced| replaced.every)
    }

    /// Whether what was refused counts now, and did not before.
    pub(super) fn is_every(&self) -> bool {
        matches!(self.counting, Counting::Every { .. })
    }

    /// Whether there is a slot of which a flow counts that was refused.
    pub(super) fn has_refused(&self) -> bool {
        self.is_every() || self.replaced.values().any(|replaced| replaced.every)
    }

    /// The recorded retirements, and the tables of the plan.
    pub(super) fn timeline(&self, checkpoint: &Checkpoint) -> Timeline {
        Timeline {
            versions: self.versions.clone(),
            ..checkpoint.timeline.clone()
        }
    }
}
