//! A job in miniature: totals in maps, checkpoints and segments by the listing rules of law 5.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use flow_proto::{Rollup, Rollups, RowRecord, Sums, country_number};
use flow_sinks::{Backoff, FollowerConfig, Share};
use flow_state::{
    Acks, Checkpoint, Group, Position, Published, Put, SegmentName, SlotCounts, StateStore,
    TableVersion,
};

use super::Chance;

pub(crate) const WINDOW: u64 = 300;
pub(crate) const LATENESS: u64 = 1500;
pub(crate) const EMIT_DELAY: u64 = 120;
pub(crate) const SHARDS: u16 = 3;
pub(crate) const FIRST_SLOT: u64 = 1_700_000_100;
/// From this slot on, table version 2 holds.
pub(crate) const SWAP_SLOT: u64 = FIRST_SLOT + 4 * WINDOW;
pub(crate) const JOB: &str = "job-a";

type Key = [u32; 3];

/// The job.
pub(crate) struct Job {
    pub(crate) state: StateStore,
    pub(crate) published: Arc<Published>,
    pub(crate) acks: Arc<Acks>,
    pub(crate) checkpoint: Checkpoint,
    /// Every total there ever was: the oracle.
    pub(crate) totals: BTreeMap<Group, BTreeMap<Key, Sums>>,
    pub(crate) counts: BTreeMap<u64, SlotCounts>,
    pub(crate) ever_complete: BTreeSet<Group>,
    touched: BTreeSet<(Group, Key)>,
    watermark: u64,
}

impl Job {
    pub(crate) fn new(folder: &Path, sinks: usize) -> Job {
        let version = |number| TableVersion {
            number,
            hash: String::new(),
        };
        let mut checkpoint = Checkpoint {
            number: 0,
            attempt: 1,
            job: JOB.into(),
            config: BTreeMap::new(),
            cut: BTreeMap::new(),
            watermark_ns: i64::MIN,
            timeline: Default::default(),
            complete: BTreeMap::new(),
            slots: BTreeMap::new(),
            partial: vec![FIRST_SLOT],
            segments: BTreeMap::new(),
            starts: BTreeMap::new(),
            gaps: Vec::new(),
            generations: Vec::new(),
            swaps: flow_state::Swaps::default(),
        };
        checkpoint.timeline.versions = vec![(0, version(1)), (SWAP_SLOT, version(2))];
        Job {
            state: StateStore::open(folder).unwrap(),
            published: Published::new(),
            acks: Acks::new(sinks),
            checkpoint,
            totals: BTreeMap::new(),
            counts: BTreeMap::new(),
            ever_complete: BTreeSet::new(),
            touched: BTreeSet::new(),
            watermark: FIRST_SLOT,
        }
    }

    /// With one store of raw flows and none of rows.
    pub(crate) fn with_raw(folder: &Path) -> Job {
        let mut job = Job::new(folder, 0);
        job.acks = Acks::with_raw(0, 1);
        job
    }

    /// The next checkpoint, with cuts and starts as `change` makes them of the last one's, and nothing else.
    pub(crate) fn checkpoint_of(
        &mut self,
        change: impl FnOnce(&mut BTreeMap<u32, Position>, &mut BTreeMap<u32, u64>),
    ) {
        self.checkpoint.number += 1;
        let next = &mut self.checkpoint;
        change(&mut next.cut, &mut next.starts);
        assert_eq!(self.state.put(next).unwrap(), Put::Won);
        self.published.publish(Arc::new(next.clone()));
        let passed = self.acks.raw_lowest();
        self.state.delete_unlisted(next, passed).unwrap();
    }

    /// What a follower of this job is told; `base` as if it had been restored from the newest checkpoint.
    pub(crate) fn config(&self) -> FollowerConfig {
        let second = std::time::Duration::from_millis(1);
        FollowerConfig {
            job: JOB.into(),
            base: self.checkpoint.number,
            shards: (0..SHARDS).collect(),
            rollups: Rollups::STANDARD,
            share: Share::default(),
            backoff: Backoff {
                first: second,
                most: second,
            },
            now_secs: Arc::new(|| 1_800_000_000),
        }
    }

    /// One flow into both rollups, in a slot that is not retired; or a refused one.
    pub(crate) fn flow(&mut self, chance: &mut Chance) {
        let ahead = self.watermark + WINDOW - self.watermark % WINDOW;
        let slot = ahead - WINDOW * chance.below(8);
        let retired = slot + WINDOW <= self.checkpoint.timeline.retired_secs;
        let number = self.checkpoint.number + 1;
        if retired || chance.one_in(8) {
            let slot = if chance.one_in(4) { 0 } else { slot };
            let counts = self.counts.entry(slot).or_default();
            counts.too_late += u64::from(retired);
            counts.too_early += u64::from(!retired);
            counts.changed = number;
            return;
        }
        let counts = self.counts.entry(slot).or_default();
        counts.flows += 1;
        counts.changed = number;
        let bytes = chance.below(1000);
        let countries = ["", "DE", "FR"].map(country_number);
        let key_as = [u32::try_from(chance.below(5)).unwrap(), u32::MAX, 0x0800];
        let key_country = [
            countries[usize::try_from(chance.below(3)).unwrap()],
            0,
            0x86dd,
        ];
        for (rollup, key) in [(Rollup::AS, key_as), (Rollup::COUNTRY, key_country)] {
            let group = Group {
                rollup: rollup.number(),
                slot_secs: slot,
            };
            self.totals
                .entry(group)
                .or_default()
                .entry(key)
                .or_default()
                .add(&Sums {
                    bytes,
                    packets: 1,
                    flows: 1,
                    scaled_bytes: bytes * 100,
                    scaled_packets: 100,
                    unknown_rate_flows: bytes % 2,
                });
            self.touched.insert((group, key));
        }
    }

    /// The next checkpoint: written, put, published, swept.
    pub(crate) fn checkpoint(&mut self, chance: &mut Chance) {
        self.watermark += chance.below(200);
        let (old, number) = (self.checkpoint.clone(), self.checkpoint.number + 1);
        let line = self.watermark.saturating_sub(LATENESS);
        let retired_secs = old.timeline.retired_secs.max(line - line % WINDOW);
        let over = |g: &Group| g.slot_secs + WINDOW <= retired_secs;
        let mut next = Checkpoint {
            number,
            ..old.clone()
        };
        next.timeline.retired_secs = retired_secs;
        next.watermark_ns = i64::try_from(self.watermark).unwrap() * 1_000_000_000;
        let mut rows: BTreeMap<Group, BTreeMap<Key, Sums>> = BTreeMap::new();
        for (group, totals) in &self.totals {
            let emitted = group.slot_secs + WINDOW + EMIT_DELAY <= self.watermark || over(group);
            if emitted && self.ever_complete.insert(*group) {
                next.complete.insert(*group, number);
                rows.insert(*group, totals.clone());
            }
        }
        for (group, key) in std::mem::take(&mut self.touched) {
            rows.entry(group)
                .or_default()
                .insert(key, self.totals[&group][&key]);
        }
        let passed = self.acks.lowest();
        for (name, groups) in &mut next.segments {
            groups.retain(|g| {
                next.complete.get(g).is_none_or(|done| *done <= name.number)
                    && (!over(g) || passed < name.number)
            });
        }
        if !rows.is_empty() {
            let name = SegmentName {
                number,
                attempt: 1,
                process: 0,
            };
            self.state.write_segment(name, &by_shard(&rows)).unwrap();
            next.segments.insert(name, rows.into_keys().collect());
        }
        next.segments.retain(|_, groups| !groups.is_empty());
        let listed: BTreeSet<Group> = next.segments.values().flatten().copied().collect();
        next.complete.retain(|g, _| listed.contains(g) || !over(g));
        let kept = |slot: &u64, c: &SlotCounts| {
            *slot == 0 || slot + WINDOW > retired_secs || c.changed > passed
        };
        next.slots = self
            .counts
            .iter()
            .filter(|(s, c)| kept(s, c))
            .map(|(s, c)| (*s, *c))
            .collect();
        assert_eq!(self.state.put(&next).unwrap(), Put::Won);
        self.checkpoint = next.clone();
        self.published.publish(Arc::new(next));
        self.state
            .delete_unlisted(&self.checkpoint, self.acks.raw_lowest())
            .unwrap();
    }
}

/// Records by shard, each shard sorted as the job's writer thread sorts it.
fn by_shard(rows: &BTreeMap<Group, BTreeMap<Key, Sums>>) -> Vec<Vec<RowRecord>> {
    let mut shards = vec![Vec::new(); usize::from(SHARDS)];
    for (group, totals) in rows {
        for (key, sums) in totals {
            let shard = u16::try_from(key[0] % u32::from(SHARDS)).unwrap();
            let (slot_secs, rollup) = (group.slot_secs, group.rollup);
            let record = RowRecord {
                slot_secs,
                rollup,
                shard,
                key: *key,
                sums: *sums,
            };
            shards[usize::from(shard)].push(record);
        }
    }
    shards
}
