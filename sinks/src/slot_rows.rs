//! The rows of `slots` that have changed since a cursor.
//!
//! Law 7: for each slot, flows in the topic = flows in rows + too early + too late + implausible; so a slot of which
//! only refused flows are known has its row, too. Law 6: a slot is open, complete or retired.

use std::collections::BTreeSet;

use flow_proto::Rollup;
use flow_state::{Checkpoint, Group, SlotSecs};

use crate::segment_rows::reaches;
use crate::{SlotRow, SlotState};

/// Slot of the flows that were refused because their slot is more than a day away from the clock.
const ELSEWHERE: SlotSecs = 0;

/// Slots whose counts or state have changed since `from`, or of which `written` holds rows. Retirement is not among
/// the changes: a store retires what it has by `retired_through`.
pub(crate) fn changed(
    checkpoint: &Checkpoint,
    from: u64,
    written: &BTreeSet<Group>,
    window_secs: u64,
    now_secs: u64,
) -> Vec<SlotRow> {
    let mut groups = written.clone();
    let base = |slot_secs| Group {
        rollup: Rollup::As as u16,
        slot_secs,
    };
    // A slot that is written anew is so in all rollups: one may have no rows any more.
    let anew = |slot_secs| {
        checkpoint.generation(slot_secs, window_secs) > 0 && written.contains(&base(slot_secs))
    };
    for group in written.iter().filter(|group| anew(group.slot_secs)) {
        groups.extend(Rollup::ALL.iter().map(|r| Group {
            rollup: *r as u16,
            ..*group
        }));
    }
    groups.extend(
        checkpoint
            .complete
            .iter()
            .filter(|(_, n)| **n > from)
            .map(|(g, _)| *g),
    );
    for (slot, _) in checkpoint
        .slots
        .iter()
        .filter(|(_, counts)| counts.changed > from)
    {
        // What belongs to no slot belongs to no rollup either: one row, under the base rollup.
        let rollups = if *slot == ELSEWHERE {
            &Rollup::ALL[..1]
        } else {
            &Rollup::ALL[..]
        };
        groups.extend(rollups.iter().map(|r| Group {
            rollup: *r as u16,
            slot_secs: *slot,
        }));
    }
    if from == 0 {
        let lost = unreachable(checkpoint, from, window_secs);
        groups.retain(|group| !lost.contains(&group.slot_secs));
    }
    let row = |group: Group| {
        let rollup = Rollup::from_number(group.rollup)?;
        Some(SlotRow {
            rollup,
            slot_secs: group.slot_secs,
            state: slot_state(checkpoint, group, window_secs),
            partial: checkpoint.partial.contains(&group.slot_secs),
            generation: checkpoint.generation(group.slot_secs, window_secs).into(),
            written_secs: (written.contains(&group) || anew(group.slot_secs)).then_some(now_secs),
            counts: checkpoint.slots.get(&group.slot_secs).copied(),
            missing_partitions: checkpoint.missing_partitions(group.slot_secs),
            complete_through_secs: watermark_secs(checkpoint),
        })
    };
    groups.into_iter().filter_map(row).collect()
}

/// Retired slots with flows that a store at `from` can't be given any more, since every store there was has had them: a new
/// one must not say that it has them. The base rollup decides, since every flow that counts is in it.
pub(crate) fn unreachable(
    checkpoint: &Checkpoint,
    from: u64,
    window_secs: u64,
) -> BTreeSet<SlotSecs> {
    let with_flows = checkpoint
        .slots
        .iter()
        .filter(|(_, counts)| counts.flows > 0 && (from == 0 || counts.changed > from));
    let groups = with_flows.map(|(slot, _)| Group {
        rollup: Rollup::As as u16,
        slot_secs: *slot,
    });
    groups
        .filter(|group| slot_state(checkpoint, *group, window_secs) == SlotState::Retired)
        .filter(|group| !reaches(checkpoint, from, group))
        .map(|group| group.slot_secs)
        .collect()
}

/// The start of the last retired slot, if any.
pub(crate) fn retired_through(checkpoint: &Checkpoint, window_secs: u64) -> Option<SlotSecs> {
    checkpoint.timeline.retired_secs.checked_sub(window_secs)
}

/// The watermark in whole seconds; `None` before the first record.
pub(crate) fn watermark_secs(checkpoint: &Checkpoint) -> Option<u64> {
    u64::try_from(checkpoint.watermark_ns)
        .ok()
        .map(|ns| ns / 1_000_000_000)
}

/// How a slot of a rollup stands in a checkpoint.
pub fn slot_state(checkpoint: &Checkpoint, group: Group, window_secs: u64) -> SlotState {
    let retired = retired_through(checkpoint, window_secs);
    if group.slot_secs == ELSEWHERE {
        SlotState::Elsewhere
    } else if retired.is_some_and(|line| group.slot_secs <= line) {
        SlotState::Retired
    } else if checkpoint.complete.contains_key(&group) {
        SlotState::Complete
    } else {
        SlotState::Open
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use flow_state::{SegmentName, SlotCounts, Timeline};

    use super::*;

    /// Slots 0.. of 300 s from 300 on, all retired; of the first only a correction is still listed.
    fn checkpoint() -> Checkpoint {
        let group = |slot_secs| Group {
            rollup: 0,
            slot_secs,
        };
        let segment = |number| SegmentName {
            number,
            attempt: 1,
            process: 0,
        };
        let counts = |flows| SlotCounts {
            flows,
            changed: 4,
            ..SlotCounts::default()
        };
        Checkpoint {
            number: 5,
            attempt: 1,
            job: "test".to_owned(),
            config: BTreeMap::new(),
            cut: BTreeMap::new(),
            watermark_ns: 0,
            timeline: Timeline {
                retired_secs: 1_200,
                ..Timeline::default()
            },
            starts: BTreeMap::new(),
            gaps: Vec::new(),
            generations: Vec::new(),
            complete: BTreeMap::from([(group(300), 2), (group(600), 3)]),
            slots: BTreeMap::from([(300, counts(9)), (600, counts(9)), (900, counts(0))]),
            partial: Vec::new(),
            segments: BTreeMap::from([
                (segment(3), vec![group(600)]),
                (segment(4), vec![group(300)]),
            ]),
        }
    }

    fn slots(from: u64) -> Vec<SlotSecs> {
        let rows = changed(&checkpoint(), from, &BTreeSet::new(), 300, 0);
        let of_base = rows.iter().filter(|row| row.rollup == Rollup::As);
        of_base.map(|row| row.slot_secs).collect()
    }

    #[test]
    fn what_a_store_that_goes_back_may_lack() {
        let lost = |from| unreachable(&checkpoint(), from, 300);
        assert_eq!(lost(0), BTreeSet::from([300]), "a new one");
        assert_eq!(lost(1), BTreeSet::from([300]));
        assert_eq!(lost(2), BTreeSet::new(), "it was there when it completed");
        assert_eq!(lost(4), BTreeSet::new(), "nothing has changed since");
    }

    #[test]
    fn a_new_store_does_not_claim_what_it_cannot_have() {
        assert_eq!(
            slots(0),
            [600, 900],
            "of slot 300 only a correction is left"
        );
        assert_eq!(
            slots(2),
            [300, 600, 900],
            "a store that was there has the rest"
        );
    }
}
