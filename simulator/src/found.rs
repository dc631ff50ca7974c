//! What a replayer finds: the job, the store, and which of its slots differ from what was computed.
//!
//! Law 6: only what is final, in the job and in the store, is to be replaced. It goes by what it has found when it opened
//! them, as the binary does, whatever has happened since.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use flow_dataflow::RowConfig;
use flow_sinks::{SlotState, StoredSlot, slot_state};
use flow_state::{Checkpoint, SlotCounts, StateStore};

use crate::computed::Computed;
use crate::database::Database;
use crate::judge::{Asked, judge};
use crate::mutant::Mutant;
use crate::replacement;
use crate::replayer::{Order, Span, Why, views, words};
use crate::rows::padded;

/// Job and store as it has found them.
pub(crate) struct Base {
    pub(crate) state: StateStore,
    /// The store's rows of `slots`.
    pub(crate) stored: BTreeMap<u64, StoredSlot>,
    /// The checkpoint at which all of its shards stand.
    at: Option<u64>,
    pub(crate) checkpoint: Checkpoint,
    /// Slots with a record, each with its highest generation.
    pub(crate) replaced: BTreeMap<u64, u32>,
    pub(crate) range: (u64, u64),
}

impl Order {
    pub(crate) fn open(&self) -> Result<Base, Why> {
        let state = StateStore::join_over(Arc::new(self.objects.clone()), "sim-state")?;
        let newest = state.newest()?;
        let newest = newest.ok_or_else(|| Why("there is no checkpoint".to_owned()))?;
        let replaced = state.replaced_slots()?;
        let (cursors, stored) = self.store.slots()?;
        let stands = (0..flow_dataflow::key::SHARDS).filter_map(|shard| u16::try_from(shard).ok());
        let stands: BTreeSet<u64> = stands.map(|shard| cursors.of(shard)).collect();
        let at = stands.first().copied();
        let at = at.filter(|at| stands.len() == 1 && *at > 0);
        let of_store = at.map(|number| state.checkpoint(number)).transpose()?;
        let checkpoint = of_store.flatten().unwrap_or(newest);
        let stored: BTreeMap<u64, StoredSlot> = stored
            .into_iter()
            .filter(|slot| slot.slot_secs > 0)
            .map(|slot| (slot.slot_secs, slot))
            .collect();
        let window = self.config.rows.window_secs;
        let mut known = stored.keys().copied().collect::<Vec<u64>>();
        known.extend(checkpoint.slots.keys().filter(|slot| **slot > 0));
        known.sort_unstable();
        let (Some(first), Some(last)) = (known.first(), known.last()) else {
            return Err(Why("there are no slots".to_owned()));
        };
        let range = match self.span {
            Span::All => (*first, last + window),
            Span::One(slot) => (slot, slot + window),
            Span::Few => self.world.roll(|dice| {
                let from = dice.pick(&known);
                (from, from + (1 + dice.roll(4)) * window)
            }),
        };
        Ok(Base {
            state,
            stored,
            at,
            checkpoint,
            replaced,
            range,
        })
    }

    /// What was computed is what the oracle says of the topic below the checkpoint's cut.
    pub(crate) fn check(&self, base: &Base, computed: &Computed) -> Result<(), Why> {
        let asked = if self.every {
            Asked::Every
        } else {
            Asked::Rows
        };
        let expected = judge(&self.topic, &base.checkpoint, &self.config.rows, asked);
        let (from, to) = base.range;
        let mut slots = computed.slots();
        slots.extend(expected.slots.range(from..to).map(|(slot, _)| *slot));
        for slot_secs in slots {
            for rollup in self.config.rows.rollups.iter() {
                let number = rollup.number();
                let all = (number, slot_secs, [0; 3])..=(number, slot_secs, [u32::MAX; 3]);
                let want: BTreeMap<Vec<u32>, [u64; 6]> = expected
                    .rows
                    .range(all)
                    .map(|((_, _, key), sums)| (key[..rollup.words()].to_vec(), *sums))
                    .collect();
                let got = computed.totals(rollup, slot_secs)?;
                let got = got.iter().map(|(key, sums)| (key.clone(), sums.values()));
                if !got.eq(want.clone()) {
                    self.world.violated(format!(
                        "replay of {:?} at {}, {asked:?}: {rollup:?} {slot_secs} is not {want:?}",
                        base.range, base.checkpoint.number
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether a slot differs, and nobody else writes it.
    pub(crate) fn is_to_be_replaced(
        &self,
        base: &Base,
        computed: &Computed,
        slot: u64,
    ) -> Result<bool, Why> {
        let known = base.stored.get(&slot);
        let retired_there = known.is_some_and(|slot| slot.state == SlotState::Retired.name());
        let exact = base.at == Some(base.checkpoint.number);
        let known_there = exact || base.at.is_some() && retired_there;
        let retired = base.state_of(slot, &self.config.rows) == SlotState::Retired;
        let too_soon = self.world.is_broken(Mutant::NotRetired) && known.is_some();
        if !(known_there && retired || too_soon) {
            return Ok(false);
        }
        let wanted = self.wanted(base, computed, slot)?;
        let of_store = known.map_or(0, |slot| slot.generation);
        let words = words(&wanted, self.config.rows.rollups)?;
        let (mut differs, records) = (false, views(&words, self.config.rows.rollups));
        for rollup in self.config.rows.rollups.iter() {
            let place = (rollup.number(), slot);
            let stored = self.store.rows_of(place)?;
            let stored = stored.iter().map(|row| {
                let possible = row.generation() == of_store;
                (row.key.2, row.sums, row.table_version, possible)
            });
            let ours = records.iter().filter(|row| row.rollup == rollup.number());
            let ours = ours.map(|row| (padded(row.key), *row.sums, wanted.table_version, true));
            differs |= !stored.eq(ours);
        }
        differs |= match known {
            None => wanted.counts.flows > 0,
            Some(slot) => slot.flows != wanted.counts.flows,
        };
        if let (true, true, Some(known)) = (exact, base.checkpoint.slots.contains_key(&slot), known)
        {
            let stored = [known.too_early, known.too_late, known.implausible];
            let counts = wanted.counts;
            differs |= stored != [counts.too_early, counts.too_late, counts.implausible];
        }
        Ok(differs)
    }
}

impl Base {
    pub(crate) fn refused(&self, slot_secs: u64) -> Result<SlotCounts, Why> {
        let newest = self.replaced.get(&slot_secs);
        let replaced = newest.map(|generation| self.state.replaced(slot_secs, *generation));
        Ok(replacement::refused(
            self.checkpoint.slots.get(&slot_secs),
            self.stored.get(&slot_secs),
            replaced.transpose()?.flatten().as_ref(),
        ))
    }

    pub(crate) fn state_of(&self, slot_secs: u64, rows: &RowConfig) -> SlotState {
        slot_state(&self.checkpoint, rows.rollups.base(), slot_secs)
    }

    /// Every slot of the range of which anybody knows anything.
    pub(crate) fn slots(&self, computed: &Computed, store: &Database) -> VecDeque<u64> {
        let (from, to) = self.range;
        let mut slots = computed.slots();
        slots.extend(store.look(|tables| tables.seen().map(|row| row.key.1).collect::<Vec<_>>()));
        slots.extend(self.stored.keys());
        slots.extend(self.checkpoint.slots.keys());
        slots.extend(self.replaced.keys());
        slots.range(from..to).copied().collect()
    }
}
