//! A declared gap: offsets of a partition that retention had deleted before the job could read them.
//!
//! Law 1: rows are a pure function of the topic's content, the recorded starts and these. Law 7: nothing is lost
//! silently, so a gap says which slots may lack flows. Law 8: their number is bounded.

use serde::{Deserialize, Serialize};

use crate::{Checkpoint, SlotSecs};

/// So many gaps are told apart; beyond it the two oldest of the partition that has most become one.
const GAPS: usize = 256;

/// Offsets that were gone before the job could read them, and what that means for slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The partition.
    pub partition: u32,
    /// The first offset that was not read.
    pub from_offset: u64,
    /// The first one that was still there.
    pub to_offset: u64,
    /// How many were not read: at most so many records.
    pub offsets: u64,
    /// The partition's clock before it, ns since 1970.
    pub before_ns: i64,
    /// The partition's clock, or the topic's timestamp, of the first record after it; `None`: there is none yet.
    pub after_ns: Option<i64>,
    /// The first slot that may lack flows.
    pub first_slot_secs: SlotSecs,
    /// The last slot that may lack flows; `u64::MAX` while there is no record after it.
    pub last_slot_secs: SlotSecs,
}

impl Gap {
    /// Whether the slot may lack flows by it.
    pub fn meets(&self, slot_secs: SlotSecs) -> bool {
        (self.first_slot_secs..=self.last_slot_secs).contains(&slot_secs)
    }

    /// Whether the record of this offset is one that was not read.
    pub fn holds(&self, partition: u32, offset: u64) -> bool {
        self.partition == partition && (self.from_offset..self.to_offset).contains(&offset)
    }

    /// Enters it into a list; one that begins where a listed one does takes its place, since more is known of it now.
    pub fn enter(self, gaps: &mut Vec<Gap>) {
        let same =
            |gap: &&mut Gap| (gap.partition, gap.from_offset) == (self.partition, self.from_offset);
        match gaps.iter_mut().find(same) {
            Some(gap) => *gap = self,
            None => gaps.push(self),
        }
        if gaps.len() > GAPS {
            join_oldest(gaps);
        }
    }
}

impl Checkpoint {
    /// Partitions of which a slot may lack flows, ascending. For slot 0, `elsewhere`: all that have a gap.
    pub fn missing_partitions(&self, slot_secs: SlotSecs) -> Vec<u32> {
        let meets = |gap: &&Gap| slot_secs == 0 || gap.meets(slot_secs);
        let mut missing: Vec<u32> = self
            .gaps
            .iter()
            .filter(meets)
            .map(|g| g.partition)
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}

/// The slots stay marked; which offsets between the two were read is forgotten. They are gone from the topic, too.
fn join_oldest(gaps: &mut Vec<Gap>) {
    let count = |partition: u32| gaps.iter().filter(|g| g.partition == partition).count();
    let most = gaps.iter().map(|g| g.partition).max_by_key(|p| count(*p));
    let mut of_it = (0..gaps.len()).filter(|at| gaps.get(*at).map(|g| g.partition) == most);
    let Some((first, second)) = of_it.next().zip(of_it.next()) else {
        gaps.remove(0);
        return;
    };
    let later = gaps.remove(second);
    if let Some(gap) = gaps.get_mut(first) {
        *gap = Gap {
            partition: gap.partition,
            from_offset: gap.from_offset,
            to_offset: later.to_offset,
            offsets: gap.offsets + later.offsets,
            before_ns: gap.before_ns,
            after_ns: later.after_ns,
            first_slot_secs: gap.first_slot_secs,
            last_slot_secs: gap.last_slot_secs.max(later.last_slot_secs),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(partition: u32, from_offset: u64) -> Gap {
        Gap {
            partition,
            from_offset,
            to_offset: from_offset + 5,
            offsets: 5,
            before_ns: 0,
            after_ns: None,
            first_slot_secs: from_offset * 300,
            last_slot_secs: u64::MAX,
        }
    }

    #[test]
    fn what_is_known_later_takes_the_place_of_what_was_known_before() {
        let mut gaps = Vec::new();
        gap(1, 10).enter(&mut gaps);
        gap(0, 10).enter(&mut gaps);
        let closed = Gap {
            to_offset: 40,
            offsets: 30,
            after_ns: Some(7),
            last_slot_secs: 3_300,
            ..gap(1, 10)
        };
        closed.enter(&mut gaps);
        assert_eq!(gaps, [closed, gap(0, 10)]);
        assert!(closed.meets(3_000) && closed.meets(3_300));
        assert!(!closed.meets(2_700) && !closed.meets(3_600));
        assert!(closed.holds(1, 39) && !closed.holds(1, 40) && !closed.holds(0, 39));
    }

    #[test]
    fn their_number_is_bounded_and_no_slot_loses_its_mark() {
        let mut gaps = Vec::new();
        gap(3, 1).enter(&mut gaps);
        for n in 1..=1_000 {
            let closed = Gap {
                last_slot_secs: n * 3_000,
                ..gap(7, n * 10)
            };
            closed.enter(&mut gaps);
        }
        assert_eq!(gaps.len(), GAPS);
        assert_eq!(gaps.iter().map(|g| g.offsets).sum::<u64>(), 5_005);
        let marked = |slot| gaps.iter().any(|g| g.partition == 7 && g.meets(slot));
        assert!((1..=1_000).all(|n| marked(n * 3_000)));
        assert_eq!(
            gaps[0],
            gap(3, 1),
            "the only one of its partition is left alone"
        );
    }
}
