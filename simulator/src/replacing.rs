//! A slot replaced in a simulated store: in one step where there are transactions, else step by step as the store of
//! ClickHouse's kind does it, with whatever else happens between two of them.
//!
//! Law 6: rows first, then the floor; rows that stand above those to come go, unless another replacement brings them.

use std::collections::BTreeSet;

use flow_proto::Rollup;
use flow_sinks::{Cursors, Delta, IsRecorded, Sink, SinkError, SlotRow, StoredSlot};

use crate::database::{Database, Flying};
use crate::mutant::Mutant;
use crate::rows::{Place, Written};

/// What is still to be done in a store without transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Look for rows that stand above those to come.
    Look,
    /// Delete them, by slot and revision.
    Clear(Vec<(Place, u64)>),
    Rows,
    Floor,
}

/// A slot on its way into a store.
pub(crate) struct Replacing {
    job: String,
    /// Number of the checkpoint in its revisions.
    number: u64,
    rows: Vec<Written>,
    slots: Vec<SlotRow>,
    phase: Phase,
}

impl Replacing {
    /// What a delta brings.
    pub(crate) fn new(delta: &Delta<'_>) -> Result<Replacing, SinkError> {
        let mut rows = Vec::new();
        delta.rows.for_each(&mut |row| {
            rows.push(Written::of(&row));
            Ok(())
        })?;
        Ok(Replacing {
            job: delta.job.to_owned(),
            number: delta.to,
            rows,
            slots: delta.slots.to_vec(),
            phase: Phase::Look,
        })
    }

    /// What it does next, in words.
    pub(crate) fn describe(&self) -> String {
        let slot = self.slots.first();
        let (slot, generation) = slot.map_or((0, 0), |slot| (slot.slot_secs, slot.generation));
        format!(
            "{slot} generation {generation}, {} rows, next {:?}",
            self.rows.len(),
            self.phase
        )
    }

    fn places(&self) -> impl Iterator<Item = (Place, u64)> {
        let place = |slot: &SlotRow| ((slot.rollup.number(), slot.slot_secs), slot.generation);
        self.slots.iter().map(place)
    }
}

impl Database {
    /// As a store is looked at: its cursors, and its rows of `slots` of the base rollup.
    pub(crate) fn slots(&self) -> Result<(Cursors, Vec<StoredSlot>), SinkError> {
        let cursors = self.clone().cursors()?;
        let stored = |(_, row): &(u64, SlotRow)| {
            let counts = row.counts.unwrap_or_default();
            StoredSlot {
                slot_secs: row.slot_secs,
                state: row.state.name().to_owned(),
                partial: row.partial,
                generation: row.generation,
                flows: counts.flows,
                too_early: counts.too_early,
                too_late: counts.too_late,
                implausible: counts.implausible,
                missing_partitions: row.missing_partitions.clone(),
                complete_through_secs: row.complete_through_secs,
            }
        };
        let slots = self.look(|tables| {
            let base = tables.slots.iter();
            let base = base.filter(|((rollup, _), _)| *rollup == Rollup::AS.number());
            base.map(|(_, row)| stored(row)).collect()
        });
        Ok((cursors, slots))
    }

    /// A slot's rows as readers see them.
    pub(crate) fn rows_of(&self, place: Place) -> Result<Vec<Written>, SinkError> {
        if self.is_down() || self.world.fails(10) {
            return Err(self.lost());
        }
        Ok(self.look(|tables| tables.seen_of(place).copied().collect()))
    }

    /// One step of a replacement; true once it is done. After an error it begins anew.
    pub(crate) fn replace(
        &self,
        it: &mut Replacing,
        recorded: &IsRecorded<'_>,
    ) -> Result<bool, SinkError> {
        let done = if self.is_down() {
            Err(self.lost())
        } else if self.transactional {
            self.replace_at_once(it)
        } else {
            self.replace_on(it, recorded)
        };
        if done.is_err() {
            it.phase = Phase::Look;
        }
        done
    }

    fn replace_at_once(&self, it: &Replacing) -> Result<bool, SinkError> {
        if self.world.fails(60) {
            return Err(self.lost()); // rolled back
        }
        {
            let tables = &mut self.lock_for(&it.job)?.tables;
            for (place, generation) in it.places() {
                let old_rows_stay = self.world.is_broken(Mutant::OldRowsLeft);
                if generation >= tables.floor(place) && !old_rows_stay {
                    tables.delete(place, |_| true);
                }
            }
            tables.write(&it.rows);
            for slot in &it.slots {
                if let Some(row) = tables.merged(slot) {
                    tables.set_slot(row, it.number);
                }
            }
            tables.check_replaced(it.places().map(|(place, _)| place).collect());
        }
        match self.world.fails(60) {
            true => Err(self.lost()), // the answer to COMMIT
            false => Ok(true),
        }
    }

    /// Revisions above that of the rows to come which nobody has recorded.
    fn above(
        &self,
        it: &Replacing,
        recorded: &IsRecorded<'_>,
    ) -> Result<Vec<(Place, u64)>, SinkError> {
        let mut above = Vec::new();
        for (place, generation) in it.places() {
            let ours = generation << 48 | it.number;
            let (found, floor): (BTreeSet<u64>, u64) = {
                let tables = &self.lock_for(&it.job)?.tables;
                let revisions = tables.stored(place).map(|row| row.revision);
                (revisions.collect(), tables.floor(place))
            };
            let unasked = self.world.is_broken(Mutant::ClearedUnasked) && floor <= generation;
            for revision in found.into_iter().filter(|revision| *revision > ours) {
                if unasked || !recorded(place.1, revision)? {
                    above.push((place, revision));
                }
            }
        }
        Ok(above)
    }

    fn replace_on(&self, it: &mut Replacing, recorded: &IsRecorded<'_>) -> Result<bool, SinkError> {
        let floor_first = self.world.is_broken(Mutant::FloorFirst);
        match it.phase.clone() {
            Phase::Look => {
                self.clone().cursors()?;
                let above = self.above(it, recorded)?;
                it.phase = match above.is_empty() {
                    true if floor_first => Phase::Floor,
                    true => Phase::Rows,
                    false => Phase::Clear(above),
                };
                Ok(false)
            }
            Phase::Clear(above) => {
                let tables = &mut self.lock().tables;
                for (place, revision) in above {
                    tables.delete(place, |row| row.revision == revision);
                }
                it.phase = Phase::Rows;
                Ok(false)
            }
            Phase::Rows => {
                let numbers: BTreeSet<u16> = it.rows.iter().map(|row| row.key.0).collect();
                for number in numbers {
                    let ours = it.rows.iter().filter(|row| row.key.0 == number);
                    let ours: Vec<Written> = ours.copied().collect();
                    if !ours.is_empty() {
                        self.insert(Flying::Rows(ours))?;
                    }
                }
                it.phase = Phase::Floor;
                Ok(floor_first)
            }
            Phase::Floor => {
                let merged: Vec<SlotRow> = {
                    let tables = &self.lock().tables;
                    let rows = it.slots.iter().filter_map(|row| tables.merged(row));
                    rows.collect()
                };
                if !merged.is_empty() {
                    self.insert(Flying::Slots(merged, it.number))?;
                }
                it.phase = Phase::Rows;
                Ok(!floor_first)
            }
        }
    }
}
