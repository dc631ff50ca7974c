//! Which slots the job began within: those that a first start has cut off.
//!
//! A job that does not begin at the topic's beginning has not seen what lies before. Of partitions that had records when it
//! started, the first clock says from where on they are whole, and the highest of these decides; if none had, it began
//! at the topic's end, and the first record that comes says when that was. Law 7: such slots are marked, for as long as
//! flows come into them.

use std::collections::{BTreeMap, BTreeSet};

use flow_state::{Checkpoint, Position, SlotCounts, SlotSecs};

use crate::acceptance::{ELSEWHERE, slot_of};

/// What is known of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Partial {
    /// Partitions that had records at the start, whose first clock is not known yet.
    awaited: BTreeSet<u32>,
    /// Nothing was there to be read: the first record decides.
    any: bool,
    /// The last slot that is partial.
    line_secs: Option<SlotSecs>,
}

impl Partial {
    /// Of a job that goes on from a checkpoint, or begins. `ends`: where the partitions end.
    pub(crate) fn new(
        base: &Checkpoint,
        positions: &BTreeMap<u32, Position>,
        ends: &BTreeMap<u32, u64>,
    ) -> Partial {
        let mut partial = Partial {
            line_secs: base.partial.last().copied(),
            ..Partial::default()
        };
        if positions.values().any(|at| at.clock_ns > i64::MIN) {
            return partial;
        }
        let cut_off = || positions.iter().filter(|(_, at)| at.offset > 0);
        let has_records =
            |(p, at): &(&u32, &Position)| ends.get(p).is_some_and(|end| *end > at.offset);
        partial.awaited = cut_off().filter(has_records).map(|(p, _)| *p).collect();
        partial.any = partial.awaited.is_empty() && cut_off().next().is_some();
        partial
    }

    /// Retention was faster than the job's first look at a partition, before any other was read.
    pub(crate) fn cut_off(&mut self, partition: u32) {
        self.any = false;
        self.awaited.insert(partition);
    }

    /// First clocks of partitions, as one tick has brought them.
    pub(crate) fn first(&mut self, clocks: &[(u32, i64)], window_secs: u64) {
        for (partition, clock_ns) in clocks {
            if self.awaited.remove(partition) || self.any {
                let slot = slot_of(*clock_ns, window_secs);
                self.line_secs = self.line_secs.max(Some(slot));
            }
        }
        self.any &= clocks.is_empty();
    }

    /// Those of the slots that are partial.
    pub(crate) fn of(&self, slots: &BTreeMap<SlotSecs, SlotCounts>) -> Vec<SlotSecs> {
        let Some(line) = self.line_secs else {
            return Vec::new();
        };
        let known = slots.range(..=line).map(|(slot, _)| *slot);
        known.filter(|slot| *slot != ELSEWHERE).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{JobConfig, SECOND_NS};
    use crate::restore::genesis;

    fn begin(parts: &[(u64, u64)]) -> Partial {
        let base = genesis(&JobConfig::default(), "test");
        let positions = (0..).zip(parts.iter().map(|(at, _)| Position::beginning(*at)));
        let ends = (0..).zip(parts.iter().map(|(_, end)| *end));
        Partial::new(&base, &positions.collect(), &ends.collect())
    }

    fn slots(partial: &Partial) -> Vec<SlotSecs> {
        partial.of(&[0, 300, 600, 900, 1_200]
            .map(|s| (s, SlotCounts::default()))
            .into())
    }

    #[test]
    fn the_highest_first_clock_of_what_was_there_decides() {
        // Partition 0 is whole, 1 and 2 were cut off, 3 was empty.
        let mut partial = begin(&[(0, 9), (5, 9), (5, 9), (5, 5)]);
        partial.first(&[(0, 1_250 * SECOND_NS), (1, 350 * SECOND_NS)], 300);
        assert_eq!(slots(&partial), [300]);
        partial.first(&[(2, 650 * SECOND_NS)], 300);
        partial.first(&[(3, 1_250 * SECOND_NS)], 300);
        assert_eq!(slots(&partial), [300, 600]);
    }

    #[test]
    fn a_start_at_the_end_is_where_the_first_record_comes() {
        let mut partial = begin(&[(0, 0), (5, 5)]);
        partial.first(&[], 300);
        assert!(slots(&partial).is_empty());
        partial.first(&[(0, 650 * SECOND_NS)], 300);
        partial.first(&[(1, 950 * SECOND_NS)], 300);
        assert_eq!(slots(&partial), [300, 600]);
    }

    #[test]
    fn a_topic_read_from_its_beginning_has_none() {
        let mut partial = begin(&[(0, 9), (0, 0)]);
        partial.first(&[(0, 650 * SECOND_NS), (1, 950 * SECOND_NS)], 300);
        assert!(slots(&partial).is_empty());
    }
}
