//! State of the windows on one worker: per group and shard the totals of its keys.
//!
//! A seal copies out shard by shard, so that a worker with a million keys can read between two of them. Freed when the
//! group retires, shard by shard too, in the seal that has written its last change.
//! Law 4: nothing may be folded between a seal's beginning and its end. Law 10: rows are copied in the order of
//! groups and first flows; the segment writer sorts.

use std::collections::{BTreeMap, BTreeSet};

use flow_proto::{Record, Rollups, RowView};
use flow_state::Group;

use crate::key::SHARDS;
use crate::totals::{Keyed, Totals};

/// To fold one row, with a million keys all over the memory, takes as long as to copy so many.
const FOLD_WORK: usize = 6;

/// Rows to write at a seal, by shard.
pub(crate) type Shards<R> = Vec<Vec<R>>;

/// A seal under way.
pub(crate) struct Sealing<R> {
    /// Groups to be written whole, which are complete from now on.
    whole: BTreeSet<Group>,
    retired_secs: u64,
    /// Of the shards that are done; there are `SHARDS` when it is over.
    rows: Shards<R>,
}

/// Totals of the groups, by shard.
type Groups<R> = BTreeMap<Group, Vec<Totals<<R as Record>::Key>>>;

/// A worker's open and complete groups.
pub(crate) struct WindowState<R: Record> {
    rollups: Rollups,
    keyed: Keyed,
    groups: Groups<R>,
    /// Groups that have been written whole: from now on only what is touched.
    complete: BTreeSet<Group>,
    keys: u64,
    /// A deliberate breakage: longer slots are over with the first slot of the base window in them.
    pub(crate) ends_early: bool,
}

impl<R: Record> WindowState<R> {
    pub(crate) fn new(rollups: Rollups, complete: BTreeSet<Group>) -> WindowState<R> {
        WindowState {
            rollups,
            keyed: Keyed::default(),
            groups: BTreeMap::new(),
            complete,
            keys: 0,
            ends_early: false,
        }
    }

    /// Takes a restored row: its absolute totals replace what an older segment said. Restored rows are not touched.
    pub(crate) fn restore(&mut self, row: &R) {
        let (shard, view) = (Self::shard(&mut self.groups, &row.view()), row.view());
        let before = shard.len();
        shard.restore(&self.keyed, row.key(), *view.sums);
        self.keys += u64::from(shard.len() > before);
    }

    /// Adds rows of the tick being folded. Returns how many rows could have been copied in the same time.
    pub(crate) fn fold(&mut self, rows: &[R]) -> usize {
        let mut work = rows.len() * FOLD_WORK;
        for row in rows {
            let view = row.view();
            let shard = Self::shard(&mut self.groups, &view);
            let before = shard.len();
            // Shards fill alike, so that many indexes grow within a short time.
            work += shard.add(&self.keyed, row.key(), view.sums);
            self.keys += u64::from(shard.len() > before);
        }
        work
    }

    #[inline]
    fn shard<'a>(groups: &'a mut Groups<R>, row: &RowView<'_>) -> &'a mut Totals<R::Key> {
        let group = Group {
            rollup: row.rollup,
            slot_secs: row.slot_secs,
        };
        let shards = groups
            .entry(group)
            .or_insert_with(|| (0..SHARDS).map(|_| Totals::default()).collect());
        &mut shards[usize::from(row.shard) % SHARDS]
    }

    /// Begins the checkpoint that seals the tick just folded: of groups that end at or below `complete_secs` and were
    /// not written whole yet, every row; of the others, those touched since the last seal. Groups that end at or below
    /// `retired_secs` are dropped.
    pub(crate) fn begin_seal(&self, complete_secs: u64, retired_secs: u64) -> Sealing<R> {
        let over = |group: &&Group| self.end(group) <= complete_secs;
        let whole = self.groups.keys().filter(over);
        Sealing {
            whole: whole
                .filter(|group| !self.complete.contains(group))
                .copied()
                .collect(),
            retired_secs,
            rows: Vec::with_capacity(SHARDS),
        }
    }

    /// Seals shard after shard until `budget` rows have been copied; the last one is always done to its end. Returns all
    /// rows once there are no more.
    pub(crate) fn seal(
        &mut self,
        sealing: &mut Sealing<R>,
        budget: &mut usize,
    ) -> Option<Shards<R>> {
        while sealing.rows.len() < SHARDS {
            if *budget == 0 {
                return None;
            }
            let (rows, freed) = self.seal_shard(sealing);
            // To free a block of keys costs about as much as to copy one.
            *budget = budget.saturating_sub(1 + rows.len() + freed / 100);
            sealing.rows.push(rows);
        }
        let (rollups, ends_early) = (self.rollups, self.ends_early);
        let keep = |group: &Group| end((rollups, ends_early), group) > sealing.retired_secs;
        self.groups.retain(|group, _| keep(group));
        self.complete.append(&mut sealing.whole);
        self.complete.retain(keep);
        Some(std::mem::take(&mut sealing.rows))
    }

    /// Rows of the next shard, and how many keys were freed.
    fn seal_shard(&mut self, sealing: &Sealing<R>) -> (Vec<R>, usize) {
        let number = sealing.rows.len();
        let shard = u16::try_from(number).unwrap_or(u16::MAX);
        let is_whole = |group: &Group| sealing.whole.contains(group);
        let held = self.groups.iter().filter_map(|(group, shards)| {
            let totals = shards.get(number)?;
            Some(if is_whole(group) {
                totals.len()
            } else {
                totals.touched()
            })
        });
        let mut rows = Vec::with_capacity(held.sum());
        let mut freed = 0;
        for (group, shards) in &mut self.groups {
            let Some(totals) = shards.get_mut(number) else {
                continue;
            };
            let show = |key, sums| {
                rows.push(R::new(group.slot_secs, (group.rollup, shard), key, sums));
            };
            if is_whole(group) {
                totals.complete(show);
            } else if totals.touched() == 0 && self.complete.contains(group) {
                totals.rest();
            } else {
                totals.seal(show);
            }
            if end((self.rollups, self.ends_early), group) <= sealing.retired_secs {
                freed += std::mem::take(totals).len();
            }
        }
        self.keys = self
            .keys
            .saturating_sub(u64::try_from(freed).unwrap_or(u64::MAX));
        (rows, freed)
    }

    /// Where a group's slot ends.
    fn end(&self, group: &Group) -> u64 {
        end((self.rollups, self.ends_early), group)
    }

    /// Keys held.
    pub(crate) fn keys(&self) -> u64 {
        self.keys
    }
}

/// Where a group's slot ends.
fn end((rollups, ends_early): (Rollups, bool), group: &Group) -> u64 {
    let of = if ends_early { 0 } else { group.rollup };
    rollups.end(of, group.slot_secs)
}

#[cfg(test)]
#[path = "window_state_tests.rs"]
mod tests;
