//! The rows of a simulated store as its readers see them, and what is demanded of every write.
//!
//! Law 6: one content for each revision of a row, whoever writes it; no reader sees a total go back, and no slot goes from
//! retired to complete to open. What is written is checked when it becomes visible, not in the end only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use flow_proto::Sums;
use flow_sinks::{SlotRow, SlotState};

use crate::world::World;

/// (rollup, slot, key), as the oracle names rows.
pub(crate) type Key = (u16, u64, [u32; 3]);

/// One row of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) key: Key,
    pub(crate) sums: Sums,
    pub(crate) table_version: u32,
    pub(crate) revision: u64,
}

/// Content of all revisions that any store has been given.
#[derive(Clone, Default)]
pub(crate) struct Contents(Arc<Mutex<BTreeMap<(Key, u64), Written>>>);

impl Contents {
    fn check(&self, row: &Written, world: &World) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = known.entry((row.key, row.revision)).or_insert(*row);
        if held != row {
            world.violated(format!("one revision, two contents: {held:?} and {row:?}"));
        }
    }
}

/// Tables of rows and slots.
pub(crate) struct Tables {
    name: &'static str,
    world: World,
    contents: Contents,
    pub(crate) rows: BTreeMap<Key, Written>,
    /// By rollup and slot, each with the checkpoint that wrote it.
    pub(crate) slots: BTreeMap<(u16, u64), (u64, SlotRow)>,
}

impl Tables {
    pub(crate) fn new(name: &'static str, world: World, contents: Contents) -> Tables {
        Tables {
            name,
            world,
            contents,
            rows: BTreeMap::new(),
            slots: BTreeMap::new(),
        }
    }

    /// Rows come in; of each key the highest revision is what readers see.
    pub(crate) fn write(&mut self, rows: &[Written]) {
        for row in rows {
            self.contents.check(row, &self.world);
            match self.rows.get(&row.key) {
                Some(old) if row.revision <= old.revision => {}
                Some(old) if row.sums.flows < old.sums.flows => {
                    self.world
                        .violated(format!("{}: goes back: {row:?} after {old:?}", self.name));
                }
                _ => _ = self.rows.insert(row.key, *row),
            }
        }
    }

    /// A slot's row comes in, written by checkpoint `by`.
    pub(crate) fn set_slot(&mut self, row: SlotRow, by: u64) {
        let key = (row.rollup as u16, row.slot_secs);
        if let Some((newer, old)) = self.slots.get(&key) {
            if *newer > by {
                return;
            }
            if rank(row.state) < rank(old.state) {
                self.world.violated(format!(
                    "{}: {key:?} goes back to {:?}: {old:?}",
                    self.name, row.state
                ));
            }
        }
        self.slots.insert(key, (by, row));
    }

    /// The row that stands there after this one: what a delta leaves out stays.
    pub(crate) fn merged(&self, row: &SlotRow) -> Option<SlotRow> {
        let old = self.slots.get(&(row.rollup as u16, row.slot_secs));
        let Some((_, old)) = old else {
            return row.counts.is_some().then(|| row.clone());
        };
        Some(SlotRow {
            written_secs: row.written_secs.or(old.written_secs),
            counts: row.counts.or(old.counts),
            ..row.clone()
        })
    }

    /// Slots that start at or below the line and are not retired yet.
    pub(crate) fn retiring(&self, line: u64) -> Vec<SlotRow> {
        let slots = self.slots.values().map(|(_, row)| row);
        slots
            .filter(|row| row.slot_secs <= line && rank(row.state) < rank(SlotState::Retired))
            .map(|row| SlotRow {
                state: SlotState::Retired,
                ..row.clone()
            })
            .collect()
    }

    /// Every row of these belongs to a slot that is complete or retired.
    pub(crate) fn check_open(&self, rows: &[Written]) {
        for row in rows {
            let slot = self.slots.get(&(row.key.0, row.key.1));
            if slot.is_none_or(|(_, slot)| slot.state == SlotState::Open) {
                self.world
                    .violated(format!("{}: a row of an open slot: {row:?}", self.name));
            }
        }
    }
}

fn rank(state: SlotState) -> u8 {
    match state {
        SlotState::Open => 0,
        SlotState::Complete => 1,
        SlotState::Retired | SlotState::Elsewhere => 2,
    }
}
