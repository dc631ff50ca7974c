//! The rows of a simulated store as its readers see them, and what is demanded of every write.
//!
//! Law 6: one content for each revision of a row, whoever writes it; no reader sees a total go back within a generation,
//! no slot goes from retired to complete to open, and no floor falls. A slot that was replaced shows what was recorded of
//! it. What is written is checked when it becomes visible, not in the end only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use flow_proto::{Rollup, Sums};
use flow_sinks::{Row, SlotRow, SlotState};

use crate::mutant::Mutant;
use crate::recorded::Recordings;
use crate::world::World;

/// (rollup, slot, key), as the oracle names rows.
pub(crate) type Key = (u16, u64, [u32; 3]);

/// A key of the simulated rollups: none has more than three words.
pub(crate) fn padded(key: &[u32]) -> [u32; 3] {
    let mut padded = [0; 3];
    padded
        .iter_mut()
        .zip(key)
        .for_each(|(word, of)| *word = *of);
    padded
}

/// One row of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) key: Key,
    pub(crate) sums: Sums,
    pub(crate) table_version: u32,
    pub(crate) revision: u64,
}

impl Written {
    pub(crate) fn of(row: &Row<'_>) -> Written {
        Written {
            key: (
                row.rollup.number(),
                row.record.slot_secs,
                padded(row.record.key),
            ),
            sums: *row.record.sums,
            table_version: row.table_version,
            revision: row.revision,
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.revision >> 48
    }
}

/// A slot of a rollup.
pub(crate) type Place = (u16, u64);

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
    /// Rows and slots move in one step.
    transactional: bool,
    world: World,
    contents: Contents,
    recordings: Recordings,
    /// Of each key the highest revision, whether readers see it or not.
    rows: BTreeMap<Key, Written>,
    /// By rollup and slot, each with the revision under which it was written.
    pub(crate) slots: BTreeMap<Place, (u64, SlotRow)>,
}

impl Tables {
    pub(crate) fn new(
        (name, transactional): (&'static str, bool),
        world: World,
        (contents, recordings): (Contents, Recordings),
    ) -> Tables {
        Tables {
            name,
            transactional,
            world,
            contents,
            recordings,
            rows: BTreeMap::new(),
            slots: BTreeMap::new(),
        }
    }

    /// The lowest generation that a slot's readers see.
    pub(crate) fn floor(&self, place: Place) -> u64 {
        self.slots.get(&place).map_or(0, |(_, row)| row.generation)
    }

    /// Every row of a slot, whether readers see it or not.
    pub(crate) fn stored(&self, (rollup, slot): Place) -> impl Iterator<Item = &Written> {
        let all = (rollup, slot, [0; 3])..=(rollup, slot, [u32::MAX; 3]);
        self.rows.range(all).map(|(_, row)| row)
    }

    /// The rows that readers see.
    pub(crate) fn seen(&self) -> impl Iterator<Item = &Written> {
        self.rows.values().filter(|row| self.shows(row))
    }

    /// The rows of a slot that readers see.
    pub(crate) fn seen_of(&self, place: Place) -> impl Iterator<Item = &Written> {
        self.stored(place).filter(|row| self.shows(row))
    }

    /// With transactions readers see all there is, without them a view hides what is below the floor.
    fn shows(&self, row: &Written) -> bool {
        self.transactional || self.reaches(row)
    }

    fn reaches(&self, row: &Written) -> bool {
        let floor = self.floor((row.key.0, row.key.1));
        row.generation() >= floor || self.world.is_broken(Mutant::FloorIgnored)
    }

    /// Rows come in; of each key the highest revision stays. With transactions none comes in that nobody would see.
    pub(crate) fn write(&mut self, rows: &[Written]) {
        for row in rows {
            if self.transactional && !self.reaches(row) {
                continue;
            }
            self.contents.check(row, &self.world);
            match self.rows.get(&row.key) {
                Some(old) if row.revision <= old.revision => {}
                Some(old)
                    if row.generation() == old.generation() && row.sums.flows < old.sums.flows =>
                {
                    self.world
                        .violated(format!("{}: goes back: {row:?} after {old:?}", self.name));
                }
                _ => _ = self.rows.insert(row.key, *row),
            }
        }
        if !self.transactional {
            self.check_replaced(rows.iter().map(|row| (row.key.0, row.key.1)).collect());
        }
    }

    /// Rows of a slot go.
    pub(crate) fn delete(&mut self, place: Place, goes: impl Fn(&Written) -> bool) {
        let gone: Vec<Key> = self
            .stored(place)
            .filter(|row| goes(row))
            .map(|row| row.key)
            .collect();
        for key in gone {
            self.rows.remove(&key);
        }
    }

    /// A slot's row comes in, written by checkpoint `by`.
    pub(crate) fn set_slot(&mut self, row: SlotRow, by: u64) {
        let place = (row.rollup.number(), row.slot_secs);
        let revision = row.generation << 48 | by;
        let mut risen = row.generation > 0;
        if let Some((newer, old)) = self.slots.get(&place) {
            if *newer > revision {
                return;
            }
            if rank(row.state) < rank(old.state) || row.generation < old.generation {
                self.world
                    .violated(format!("{}: {place:?} goes back: {row:?}", self.name));
            }
            risen = row.generation > old.generation;
            if risen && rank(old.state) < rank(SlotState::Retired) {
                self.world.violated(format!(
                    "{}: {place:?} was replaced before it had retired",
                    self.name
                ));
            }
        }
        if risen && self.transactional && !self.world.is_broken(Mutant::OldRowsLeft) {
            self.delete(place, |old| old.generation() < row.generation);
        }
        self.slots.insert(place, (revision, row));
        if !self.transactional {
            self.check_replaced(BTreeSet::from([place]));
        }
    }

    /// A slot that was replaced shows what was recorded of its generation. Without transactions rows of the next one come
    /// before its floor.
    pub(crate) fn check_replaced(&self, places: BTreeSet<Place>) {
        for place in places {
            let floor = self.floor(place);
            if floor == 0 && self.stored(place).all(|row| row.generation() == 0) {
                continue;
            }
            if let Err(what) = self.as_recorded(place, floor) {
                self.world.violated(format!(
                    "{}: {place:?}, generation {floor}: {what}",
                    self.name
                ));
            }
        }
    }

    fn as_recorded(&self, place: Place, floor: u64) -> Result<(), String> {
        for row in self.seen_of(place) {
            let generation = row.generation();
            if generation != floor && (self.transactional || generation < floor) {
                return Err(format!("shows {row:?} of another generation"));
            }
            let recorded = self.recordings.of(place.1, generation);
            let recorded = recorded.as_ref().map(|all| all.rows.get(&row.key));
            if generation > 0 && recorded != Some(Some(row)) {
                return Err(format!("shows {row:?}, recorded: {recorded:?}"));
            }
        }
        if floor == 0 {
            return Ok(());
        }
        let recorded = self.recordings.of(place.1, floor);
        let recorded = recorded.ok_or("was never recorded")?;
        let ours = recorded
            .rows
            .values()
            .filter(|row| (row.key.0, row.key.1) == place);
        for row in ours {
            let shown = self.rows.get(&row.key);
            if shown.is_none_or(|shown| shown.revision < row.revision) {
                return Err(format!("lacks {row:?}, there is {shown:?}"));
            }
        }
        Ok(())
    }

    /// The row that stands there after this one: what a delta leaves out stays. `None`: nothing changes.
    pub(crate) fn merged(&self, row: &SlotRow) -> Option<SlotRow> {
        let old = self.slots.get(&(row.rollup.number(), row.slot_secs));
        let Some((_, old)) = old else {
            return row.counts.is_some().then(|| row.clone());
        };
        if row.generation < old.generation {
            return None;
        }
        Some(SlotRow {
            // Without rows the floor stays.
            generation: match row.written_secs {
                Some(_) => row.generation,
                None => old.generation,
            },
            written_secs: row.written_secs.or(old.written_secs),
            counts: row.counts.or(old.counts),
            ..row.clone()
        })
    }

    /// Slots that start at or below the line of their rollup and are not retired yet.
    pub(crate) fn retiring(&self, lines: &[(Rollup, u64)]) -> Vec<SlotRow> {
        let slots = self.slots.values().map(|(_, row)| row);
        let over = |row: &SlotRow| {
            let mut lines = lines.iter();
            lines.any(|(rollup, line)| row.rollup == *rollup && row.slot_secs <= *line)
        };
        slots
            .filter(|row| over(row) && rank(row.state) < rank(SlotState::Retired))
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
