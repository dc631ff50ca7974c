//! The rows of `slots` that have changed since a cursor.
//!
//! Law 7: for each slot, flows in the topic = flows in rows + too early + too late + implausible; so a slot of which
//! only refused flows are known has its row, too. Law 6: a slot is open, complete or retired.

use std::collections::BTreeSet;

use flow_proto::{Rollup, Rollups};
use flow_state::{Checkpoint, Group, SlotCounts, SlotSecs};

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
    rollups: Rollups,
    now_secs: u64,
) -> Vec<SlotRow> {
    let mut slots = BTreeSet::new();
    let known = |group: &Group| Some((rollups.get(group.rollup)?, group.slot_secs));
    // A slot that is written anew is so in all rollups of its window: one may have no rows any more.
    let anew = |(rollup, slot_secs): (Rollup, SlotSecs)| {
        let mut alike = rollups.iter();
        generation(checkpoint, rollup, slot_secs) > 0
            && alike.any(|one| {
                one.window_secs() == rollup.window_secs()
                    && written.contains(&group(one, slot_secs))
            })
    };
    for (rollup, slot_secs) in written.iter().filter_map(known) {
        slots.insert((rollup, slot_secs));
        let alike = rollups
            .iter()
            .filter(|one| one.window_secs() == rollup.window_secs());
        slots.extend(alike.map(|one| (one, slot_secs)).filter(|one| anew(*one)));
    }
    let complete = checkpoint.complete.iter().filter(|(_, n)| **n > from);
    slots.extend(complete.filter_map(|(group, _)| known(group)));
    let counted = checkpoint
        .slots
        .iter()
        .filter(|(_, counts)| counts.changed > from);
    for (slot_secs, _) in counted {
        // What belongs to no slot belongs to no rollup either: one row, under the base rollup.
        let count = if *slot_secs == ELSEWHERE {
            1
        } else {
            usize::MAX
        };
        let all = rollups.iter().take(count);
        slots.extend(all.map(|one| (one, one.slot_of(*slot_secs))));
    }
    if from == 0 {
        let lost = unreachable(checkpoint, from, rollups);
        slots.retain(|(rollup, slot_secs)| {
            match rollup.window_secs() == rollups.base().window_secs() {
                true => !lost.contains(slot_secs),
                false => !is_out_of_reach(checkpoint, from, (*rollup, *slot_secs)),
            }
        });
    }
    let row = |(rollup, slot_secs): (Rollup, SlotSecs)| {
        let is_written = written.contains(&group(rollup, slot_secs)) || anew((rollup, slot_secs));
        SlotRow {
            rollup,
            slot_secs,
            state: slot_state(checkpoint, rollup, slot_secs),
            partial: within(checkpoint.partial.iter(), (rollup, slot_secs))
                .next()
                .is_some(),
            generation: generation(checkpoint, rollup, slot_secs).into(),
            written_secs: is_written.then_some(now_secs),
            counts: counts(checkpoint, rollup, slot_secs),
            missing_partitions: missing_partitions(checkpoint, (rollup, rollups), slot_secs),
            complete_through_secs: watermark_secs(checkpoint),
        }
    };
    slots.into_iter().map(row).collect()
}

fn group(rollup: Rollup, slot_secs: SlotSecs) -> Group {
    Group {
        rollup: rollup.number(),
        slot_secs,
    }
}

fn generation(checkpoint: &Checkpoint, rollup: Rollup, slot_secs: SlotSecs) -> u32 {
    checkpoint.generation(slot_secs, rollup.window_secs())
}

/// Of slots of the base window, those that lie within a slot of a rollup; none but itself lies within `elsewhere`.
fn within<'a>(
    slots: impl Iterator<Item = &'a SlotSecs>,
    (rollup, slot_secs): (Rollup, SlotSecs),
) -> impl Iterator<Item = &'a SlotSecs> {
    let ends = match slot_secs {
        ELSEWHERE => 1,
        _ => rollup.end(slot_secs),
    };
    slots.filter(move |slot| (slot_secs..ends).contains(slot))
}

/// Flows of a rollup's slot: those of all slots of the base window within it. `None`: none of them is on record.
pub fn counts(checkpoint: &Checkpoint, rollup: Rollup, slot_secs: SlotSecs) -> Option<SlotCounts> {
    let slots = within(checkpoint.slots.keys(), (rollup, slot_secs));
    let counts = slots.filter_map(|slot| checkpoint.slots.get(slot).copied());
    counts.reduce(|all, more| SlotCounts {
        flows: all.flows + more.flows,
        too_early: all.too_early + more.too_early,
        too_late: all.too_late + more.too_late,
        implausible: all.implausible + more.implausible,
        changed: all.changed.max(more.changed),
    })
}

/// Partitions that may lack flows of any slot of the base window within a rollup's slot.
fn missing_partitions(
    checkpoint: &Checkpoint,
    (rollup, rollups): (Rollup, Rollups),
    slot_secs: SlotSecs,
) -> Vec<u32> {
    let base_secs = rollups.base().window_secs();
    let slots = usize::try_from(rollup.window_secs() / base_secs).unwrap_or(1);
    let each = (0..).map(|n| slot_secs + n * base_secs).take(slots);
    let missing: BTreeSet<u32> = match slot_secs {
        ELSEWHERE => checkpoint
            .missing_partitions(slot_secs)
            .into_iter()
            .collect(),
        _ => each
            .flat_map(|slot| checkpoint.missing_partitions(slot))
            .collect(),
    };
    missing.into_iter().collect()
}

/// Retired slots with flows that a store at `from` can't be given any more, since every store there was has had them: a new
/// one must not say that it has them. The base rollup decides, since every flow that counts is in it.
pub(crate) fn unreachable(
    checkpoint: &Checkpoint,
    from: u64,
    rollups: Rollups,
) -> BTreeSet<SlotSecs> {
    let changed = |counts: &SlotCounts| from == 0 || counts.changed > from;
    let slots = checkpoint
        .slots
        .iter()
        .filter(|(_, counts)| changed(counts));
    let slots = slots.map(|(slot_secs, _)| *slot_secs);
    slots
        .filter(|slot_secs| is_out_of_reach(checkpoint, from, (rollups.base(), *slot_secs)))
        .collect()
}

/// Whether a slot has retired, with flows, and a store at `from` can't be given its rows any more.
fn is_out_of_reach(
    checkpoint: &Checkpoint,
    from: u64,
    (rollup, slot_secs): (Rollup, SlotSecs),
) -> bool {
    slot_state(checkpoint, rollup, slot_secs) == SlotState::Retired
        && counts(checkpoint, rollup, slot_secs).is_some_and(|counts| counts.flows > 0)
        && !reaches(checkpoint, from, &group(rollup, slot_secs))
}

/// The start of the last retired slot of each rollup that has any.
pub(crate) fn retired_through(
    checkpoint: &Checkpoint,
    rollups: Rollups,
) -> Vec<(Rollup, SlotSecs)> {
    let line = checkpoint.timeline.retired_secs;
    let last = |rollup: Rollup| Some((rollup, line.checked_sub(rollup.window_secs())?));
    rollups.iter().filter_map(last).collect()
}

/// The watermark in whole seconds; `None` before the first record.
pub(crate) fn watermark_secs(checkpoint: &Checkpoint) -> Option<u64> {
    u64::try_from(checkpoint.watermark_ns)
        .ok()
        .map(|ns| ns / 1_000_000_000)
}

/// How a slot of a rollup stands in a checkpoint.
pub fn slot_state(checkpoint: &Checkpoint, rollup: Rollup, slot_secs: SlotSecs) -> SlotState {
    if slot_secs == ELSEWHERE {
        SlotState::Elsewhere
    } else if rollup.end(slot_secs) <= checkpoint.timeline.retired_secs {
        SlotState::Retired
    } else if checkpoint.complete.contains_key(&group(rollup, slot_secs)) {
        SlotState::Complete
    } else {
        SlotState::Open
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use flow_state::{SegmentName, Timeline};

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
            swaps: flow_state::Swaps::default(),
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
        let rows = changed(&checkpoint(), from, &BTreeSet::new(), Rollups::STANDARD, 0);
        let of_base = rows.iter().filter(|row| row.rollup == Rollup::AS);
        of_base.map(|row| row.slot_secs).collect()
    }

    #[test]
    fn what_a_store_that_goes_back_may_lack() {
        let lost = |from| unreachable(&checkpoint(), from, Rollups::STANDARD);
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
