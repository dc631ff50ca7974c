//! The plainest follower: folds what checkpoints list into a map, as any sink would, and checks on the way that
//! no total goes back, that a revision has one content, and that a slot's rows are whole when they first show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flow_proto::{RowRecord, Sums};
use flow_state::{Acks, Checkpoint, Group, Published, StateDir};

/// (rollup, slot, key) -> sums.
pub type Rows = BTreeMap<(u16, u64, [u32; 3]), Sums>;

/// What a database would hold.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub rows: Rows,
    pub cursor: u64,
    /// Checkpoints that were followed.
    pub followed: u64,
}

impl Table {
    /// Follows until the job has closed `published` and the newest checkpoint is reached.
    pub fn follow(mut self, published: &Published, state: &StateDir, acks: &Acks) -> Table {
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
    fn apply(&mut self, checkpoint: &Arc<Checkpoint>, state: &StateDir) -> bool {
        let mut new: Vec<RowRecord> = Vec::new();
        for (name, groups) in &checkpoint.segments {
            if name.number <= self.cursor {
                continue;
            }
            let Ok(segment) = state.read_segment::<RowRecord>(*name) else {
                return false;
            };
            new.extend(segment.records().iter().filter(|row| {
                let group = Group {
                    rollup: row.rollup,
                    slot_secs: row.slot_secs,
                };
                groups.contains(&group) && checkpoint.complete.contains_key(&group)
            }));
        }
        for row in new {
            let old = self
                .rows
                .insert((row.rollup, row.slot_secs, row.key), row.sums);
            if let Some(old) = old {
                assert!(
                    old.flows <= row.sums.flows && old.bytes <= row.sums.bytes,
                    "a total went back: {row:?} after {old:?}"
                );
            }
        }
        true
    }
}
