//! State of the windows on one worker: per group and shard one map from key to sums.
//!
//! Kept per key: absolute totals and whether they changed since the last seal. Freed when the group retires: all of
//! a group's maps at once, in the seal that has written their last change. Law 10: maps are never walked into
//! anything whose order shows; the segment writer sorts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use flow_proto::{RowRecord, Sums};
use flow_state::Group;

use crate::key::SHARDS;

/// Seeded afresh in every process: AS numbers in flows come from outside and could be chosen to collide.
type Keyed = foldhash::fast::RandomState;

/// Totals of one key.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    sums: Sums,
    /// Seal in which the key was last listed as touched.
    touched: u32,
}

/// One shard of one group.
#[derive(Default)]
struct Shard {
    totals: HashMap<[u32; 3], Total, Keyed>,
    touched: Vec<[u32; 3]>,
}

/// Rows to write at a seal, by shard.
pub(crate) type SealedRows = Vec<Vec<RowRecord>>;

/// A worker's open and complete groups.
pub(crate) struct WindowState {
    window_secs: u64,
    groups: BTreeMap<Group, Vec<Shard>>,
    /// Groups that have been written whole: from now on only what is touched.
    complete: BTreeSet<Group>,
    seal: u32,
    keys: u64,
}

impl WindowState {
    pub(crate) fn new(window_secs: u64, complete: BTreeSet<Group>) -> WindowState {
        WindowState {
            window_secs,
            groups: BTreeMap::new(),
            complete,
            seal: 1,
            keys: 0,
        }
    }

    /// Takes a restored row: its absolute totals replace what an older segment said. Restored rows are not touched.
    pub(crate) fn restore(&mut self, row: &RowRecord) {
        let shard = Self::shard(&mut self.groups, row);
        if shard
            .totals
            .insert(
                row.key,
                Total {
                    sums: row.sums,
                    touched: 0,
                },
            )
            .is_none()
        {
            self.keys += 1;
        }
    }

    /// Adds rows of the tick being folded.
    pub(crate) fn fold(&mut self, rows: &[RowRecord]) {
        for row in rows {
            let shard = Self::shard(&mut self.groups, row);
            let before = shard.totals.len();
            let total = shard.totals.entry(row.key).or_default();
            total.sums.add(&row.sums);
            if total.touched != self.seal {
                total.touched = self.seal;
                shard.touched.push(row.key);
            }
            if shard.totals.len() > before {
                self.keys += 1;
            }
        }
    }

    fn shard<'a>(groups: &'a mut BTreeMap<Group, Vec<Shard>>, row: &RowRecord) -> &'a mut Shard {
        let group = Group {
            rollup: row.rollup,
            slot_secs: row.slot_secs,
        };
        let shards = groups
            .entry(group)
            .or_insert_with(|| (0..SHARDS).map(|_| Shard::default()).collect());
        &mut shards[usize::from(row.shard) % SHARDS]
    }

    /// Rows for the checkpoint that seals the tick just folded: of groups that end at or below `complete_secs` and
    /// were not written whole yet, every row; of the others, those touched since the last seal. Groups that end at
    /// or below `retired_secs` are dropped.
    pub(crate) fn seal(&mut self, complete_secs: u64, retired_secs: u64) -> SealedRows {
        let mut out: SealedRows = (0..SHARDS).map(|_| Vec::new()).collect();
        for (group, shards) in &mut self.groups {
            let whole =
                group.slot_secs + self.window_secs <= complete_secs && self.complete.insert(*group);
            for ((shard, rows), number) in shards.iter_mut().zip(&mut out).zip(0u16..) {
                let row = |(key, total): (&[u32; 3], &Total)| RowRecord {
                    slot_secs: group.slot_secs,
                    rollup: group.rollup,
                    shard: number,
                    key: *key,
                    sums: total.sums,
                };
                if whole {
                    rows.extend(shard.totals.iter().map(row));
                } else {
                    let known = shard
                        .touched
                        .iter()
                        .filter_map(|key| shard.totals.get_key_value(key));
                    rows.extend(known.map(row));
                }
                shard.touched.clear();
            }
        }
        let window_secs = self.window_secs;
        let keys = &mut self.keys;
        self.groups.retain(|group, shards| {
            let keep = group.slot_secs + window_secs > retired_secs;
            if !keep {
                let held: usize = shards.iter().map(|shard| shard.totals.len()).sum();
                *keys = keys.saturating_sub(u64::try_from(held).unwrap_or(u64::MAX));
            }
            keep
        });
        self.complete
            .retain(|group| group.slot_secs + window_secs > retired_secs);
        self.seal = self.seal.wrapping_add(1).max(1);
        out
    }

    /// Keys held.
    pub(crate) fn keys(&self) -> u64 {
        self.keys
    }
}
