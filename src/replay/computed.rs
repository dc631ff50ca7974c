//! What a replay leaves in its scratch state, slot by slot, and what a slot is to be by that.
//!
//! Law 7: a slot's counts follow from its rows and from what the job has refused. It knows neither options nor URLs: the
//! simulator tries it, too.

use std::collections::BTreeSet;
use std::sync::Arc;

use flow_dataflow::{Counting, Replay};
use flow_proto::{Rollup, Rollups, RowView, Sums};
use flow_sinks::{GroupTotals, group_totals};
use flow_state::{Checkpoint, Replaced, SlotCounts, StateError, StateStore};

/// What is on record as long as a slot's counts can change, and of a slot that was replaced.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) counts: SlotCounts,
    pub(crate) partial: bool,
    pub(crate) missing_partitions: Vec<u32>,
}

/// What came out.
pub(crate) struct Computed {
    pub(crate) counting: Counting,
    pub(crate) replay: Arc<Replay>,
    pub(crate) state: StateStore,
    /// What it has summed.
    pub(crate) rollups: Rollups,
    /// The scratch state's last one.
    pub(crate) checkpoint: Option<Checkpoint>,
}

impl Computed {
    /// The rows of a slot.
    ///
    /// # Errors
    /// If the scratch cannot be read.
    pub(crate) fn totals(&self, rollup: Rollup, slot_secs: u64) -> Result<GroupTotals, StateError> {
        match &self.checkpoint {
            Some(checkpoint) => group_totals(&self.state, checkpoint, (rollup, slot_secs)),
            None => Ok(GroupTotals::new()),
        }
    }

    /// Slots that have rows.
    pub(crate) fn slots(&self) -> BTreeSet<u64> {
        let listed = self.checkpoint.iter().flat_map(|c| c.segments.values());
        listed.flatten().map(|group| group.slot_secs).collect()
    }

    /// Partitions that do not hold all flows of a slot any more.
    pub(crate) fn lacking(&self, slot_secs: u64) -> BTreeSet<u32> {
        self.replay.lacking(slot_secs).collect()
    }

    /// What a slot's row is to say beside its flows.
    pub(crate) fn known(
        &self,
        slot_secs: u64,
        checkpoint: &Checkpoint,
        refused: SlotCounts,
    ) -> Known {
        let seen = self.checkpoint.as_ref();
        let seen = seen.and_then(|seen| seen.slots.get(&slot_secs));
        let counted = match self.counting {
            Counting::AsRecorded => refused,
            Counting::Every { .. } => SlotCounts::default(),
        };
        let lacking = self.lacking(slot_secs);
        let begun_within = checkpoint.partial.contains(&slot_secs) && !self.replay.is_whole();
        let mut missing: BTreeSet<u32> = checkpoint
            .missing_partitions(slot_secs)
            .into_iter()
            .collect();
        missing.extend(&lacking);
        Known {
            counts: SlotCounts {
                too_early: counted.too_early,
                too_late: counted.too_late,
                implausible: seen
                    .map_or(0, |seen| seen.implausible)
                    .max(refused.implausible),
                ..SlotCounts::default()
            },
            partial: begun_within || !lacking.is_empty(),
            missing_partitions: missing.into_iter().collect(),
        }
    }

    /// What a slot is to be. `refused`: flows of it that the job has refused, as far as that is known.
    ///
    /// # Errors
    /// If the scratch cannot be read.
    pub(crate) fn replaced(
        &self,
        (slot_secs, table_version): (u64, u32),
        checkpoint: &Checkpoint,
        refused: SlotCounts,
    ) -> Result<Replaced, StateError> {
        let mut rows: Vec<(Rollup, Vec<u32>, Sums)> = Vec::new();
        for rollup in self.rollups.iter() {
            let totals = self.totals(rollup, slot_secs)?.into_iter();
            rows.extend(totals.map(|(key, sums)| (rollup, key, sums)));
        }
        let base = rows.iter().filter(|row| row.0 == self.rollups.base());
        let flows = base.map(|row| row.2.flows).sum();
        let views = rows.iter().map(|(rollup, key, sums)| RowView {
            slot_secs,
            rollup: rollup.number(),
            shard: 0,
            key,
            sums,
        });
        let bytes = self.rollups.width().bytes(views);
        let known = self.known(slot_secs, checkpoint, refused);
        let (early, late) = match self.counting {
            Counting::AsRecorded => (0, 0),
            Counting::Every { .. } => (refused.too_early, refused.too_late),
        };
        Ok(Replaced {
            slot_secs,
            generation: 0,
            number: checkpoint.number,
            table_version,
            counts: SlotCounts {
                flows,
                ..known.counts
            },
            early,
            late,
            partial: known.partial,
            missing_partitions: known.missing_partitions,
            rows: bytes,
            every: matches!(self.counting, Counting::Every { .. }),
            cut: checkpoint
                .cut
                .iter()
                .map(|(partition, at)| (*partition, at.offset))
                .collect(),
        })
    }
}
