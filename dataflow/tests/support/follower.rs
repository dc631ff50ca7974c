//! The plainest follower: folds what checkpoints list into a map, as any sink would, and checks on the way that
//! no total and no partition clock goes back (law 2), and that the rows of every slot, open or complete, are those of
//! the flows below the cut (law 4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flow_proto::{RowRecord, Sums};
use flow_state::{Acks, Checkpoint, Group, Published, StateStore};

/// (rollup, slot, key) -> sums.
pub type Rows = BTreeMap<(u16, u64, [u32; 3]), Sums>;

/// What a database would hold.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub rows: Rows,
    /// What a restart would find: open slots, too.
    pub sealed: Rows,
    /// Partition clocks.
    pub clocks: BTreeMap<u32, i64>,
    pub cursor: u64,
    /// Checkpoints that were followed.
    pub followed: u64,
}

impl Table {
    /// Follows until the job has closed `published` and the newest checkpoint is reached.
    pub fn follow(mut self, published: &Published, state: &StateStore, acks: &Acks) -> Table {
        loop {
            match published.wait_beyond(self.cursor, Duration::from_secs(5)) {
                Some(checkpoint) => {
                    if self.apply(&checkpoint, state) {
                        self.cursor = checkpoint.number;
                        self.followed += 1;
                        acks.acknowledge(0, self.cursor);
                    } else {
                        assert!(
                            published
                                .newest()
                                .is_some_and(|n| n.number > checkpoint.number),
                            "the newest checkpoint misses a file"
                        );
                    }
                }
                None if published.is_closed() => return self,
                None => {}
            }
        }
    }

    /// False if a newer checkpoint has let a file go meanwhile.
    fn apply(&mut self, checkpoint: &Arc<Checkpoint>, state: &StateStore) -> bool {
        let mut new: Vec<RowRecord> = Vec::new();
        for (name, groups) in &checkpoint.segments {
            if name.number <= self.cursor {
                continue;
            }
            let Ok(segment) = state.read_segment::<RowRecord>(*name) else {
                return false;
            };
            let listed = |row: &&RowRecord| groups.contains(&group(row));
            new.extend(segment.records().iter().filter(listed));
        }
        for row in new {
            let key = (row.rollup, row.slot_secs, row.key);
            self.sealed.insert(key, row.sums);
            if !checkpoint.complete.contains_key(&group(&row)) {
                continue;
            }
            if let Some(old) = self.rows.insert(key, row.sums) {
                assert!(
                    old.flows <= row.sums.flows && old.bytes <= row.sums.bytes,
                    "a total went back: {row:?} after {old:?}"
                );
            }
        }
        self.complete(checkpoint);
        self.cut(checkpoint);
        true
    }

    /// A slot completes whole: rows that were sealed while it was open show now.
    fn complete(&mut self, checkpoint: &Checkpoint) {
        for group in checkpoint.complete.keys() {
            for (key, sums) in of(&self.sealed, *group) {
                let shown = self.rows.get(key);
                assert_eq!(shown, Some(sums), "row {key:?} of a complete slot");
            }
        }
    }

    /// The checkpoint counts the accepted flows below its cut; its rows are made of these and of no other.
    fn cut(&mut self, checkpoint: &Checkpoint) {
        for (partition, at) in &checkpoint.cut {
            if let Some(old) = self.clocks.insert(*partition, at.clock_ns) {
                assert!(old <= at.clock_ns, "a clock went back: {at:?} after {old}");
            }
        }
        for (slot_secs, counts) in &checkpoint.slots {
            let group = Group {
                rollup: 0,
                slot_secs: *slot_secs,
            };
            let flows: u64 = of(&self.sealed, group).map(|(_, sums)| sums.flows).sum();
            assert_eq!(
                flows, counts.flows,
                "flows in rows of slot {slot_secs}, and below the cut of checkpoint {}",
                checkpoint.number
            );
        }
    }
}

fn group(row: &RowRecord) -> Group {
    Group {
        rollup: row.rollup,
        slot_secs: row.slot_secs,
    }
}

fn of(rows: &Rows, group: Group) -> impl Iterator<Item = (&(u16, u64, [u32; 3]), &Sums)> {
    let (rollup, slot) = (group.rollup, group.slot_secs);
    rows.range((rollup, slot, [0; 3])..=(rollup, slot, [u32::MAX; 3]))
}
