//! Pre-aggregation: sums by (rollup, slot, key) in a small cache before the exchange, and coarser rollups from finer ones.
//!
//! Direct-mapped: a row that another one displaces is sent on at once, so the memory is fixed and the order of
//! rows is a function of the order of flows. A row that leaves is added to the rollups that it feeds, in the same tick: no
//! flow is looked at again for them. Law 7: what goes in comes out, in one row or in several; so the sums of a rollup and
//! of the one that feeds it agree at every tick.

use std::vec::Drain;

use flow_proto::{Feed, Record, Rollup, Rollups, Sums};

use crate::key;

/// Rows kept: 4096 x 72 bytes stay in a core's second-level cache.
const PLACES: usize = 4096;

/// One worker's cache of the open tick.
pub(crate) struct PreAggregate<R> {
    /// A place with no flows is empty.
    places: Vec<R>,
    /// Rows that have left and are to be sent.
    out: Vec<R>,
    /// By the number of a rollup, those that it feeds; empty if none feeds any.
    feeds: Vec<Vec<(Rollup, Feed)>>,
    /// So many of `out` have been added to what they feed.
    fed: usize,
    #[cfg(feature = "mutants")]
    pub(crate) lose_evicted: bool,
}

impl<R: Record> PreAggregate<R> {
    pub(crate) fn new(rollups: Rollups) -> PreAggregate<R> {
        let fed_by = |finer: Rollup| {
            let coarser = rollups.iter().filter_map(|one| Some((one, one.feed()?)));
            coarser.filter(move |(_, feed)| feed.finer == finer.number())
        };
        let any = rollups.iter().any(|one| one.feed().is_some());
        let finer = rollups.iter().filter(|_| any);
        PreAggregate {
            places: vec![R::default(); PLACES],
            out: Vec::new(),
            feeds: finer.map(|one| fed_by(one).collect()).collect(),
            fed: 0,
            #[cfg(feature = "mutants")]
            lose_evicted: false,
        }
    }

    /// Adds one flow's sums to its row.
    #[inline]
    pub(crate) fn add(&mut self, rollup: u16, slot_secs: u64, key: R::Key, sums: &Sums) {
        let hash = key::hash(rollup, key.as_ref());
        let mixed = hash ^ slot_secs.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        #[expect(clippy::cast_possible_truncation, reason = "masked to the table")]
        let place = &mut self.places[mixed as usize & (PLACES - 1)];
        let held = place.view();
        if held.sums.flows != 0 {
            if place.key() == key && held.slot_secs == slot_secs && held.rollup == rollup {
                place.sums_mut().add(sums);
                return;
            }
            #[cfg(feature = "mutants")]
            let keep = !self.lose_evicted;
            #[cfg(not(feature = "mutants"))]
            let keep = true;
            if keep {
                self.out.push(*place);
            }
        }
        *place = R::new(slot_secs, (rollup, key::shard(hash)), key, *sums);
    }

    /// The rows that have left since the last time.
    pub(crate) fn leaving(&mut self) -> Drain<'_, R> {
        self.feed();
        self.fed = 0;
        self.out.drain(..)
    }

    /// The tick ends: everything leaves.
    pub(crate) fn drain(&mut self) {
        loop {
            for place in &mut self.places {
                if place.view().sums.flows != 0 {
                    self.out.push(std::mem::take(place));
                }
            }
            if self.fed == self.out.len() || self.feeds.is_empty() {
                return;
            }
            // What is fed has filled places anew: once for each rollup of the longest chain.
            self.feed();
        }
    }

    /// Adds what has left to what it feeds. Rows that are displaced meanwhile feed in their turn.
    fn feed(&mut self) {
        let feeds = std::mem::take(&mut self.feeds);
        while let Some(row) = self
            .out
            .get(self.fed)
            .filter(|_| !feeds.is_empty())
            .copied()
        {
            self.fed += 1;
            let row = row.view();
            for (rollup, feed) in feeds.get(usize::from(row.rollup)).into_iter().flatten() {
                let mut key = R::Key::default();
                for (word, at) in key.as_mut().iter_mut().zip(feed.words) {
                    *word = row.key.get(usize::from(*at)).copied().unwrap_or(0);
                }
                let slot_secs = rollup.slot_of(row.slot_secs);
                self.add(rollup.number(), slot_secs, key, row.sums);
            }
        }
        self.feeds = feeds;
    }
}

#[cfg(test)]
#[path = "preaggregate_tests.rs"]
mod tests;
