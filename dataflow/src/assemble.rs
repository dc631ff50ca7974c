//! Puts a checkpoint together: which groups complete with it, and which segments are still needed.
//!
//! Law 5: a file stays listed while restore needs it, or while any cursor is below its number and no merge has
//! replaced it. A group that completes is written whole in that checkpoint's segment, which replaces older ones.

use std::collections::{BTreeMap, BTreeSet};

use flow_proto::Rollups;
use flow_state::{Checkpoint, Group, SegmentName};

use crate::driver::Ready;

/// What beside the tick decides a checkpoint.
pub(crate) struct Sealing<'a> {
    pub(crate) old: &'a Checkpoint,
    pub(crate) attempt: u64,
    /// The attempt that the segments' names say.
    pub(crate) named: u64,
    /// Groups in the segments just written, by the process that wrote them.
    pub(crate) groups: BTreeMap<u32, Vec<Group>>,
    pub(crate) rollups: Rollups,
    /// Lowest checkpoint that every sink has acknowledged.
    pub(crate) passed: u64,
}

/// The checkpoint of a sealed and closed tick.
pub(crate) fn assemble(ready: Ready, sealing: Sealing<'_>) -> Checkpoint {
    let Ready { tick, mut ledger } = ready;
    let Sealing {
        old,
        attempt,
        named,
        groups,
        rollups,
        passed,
    } = sealing;
    let number = tick.seal;
    let mut partial = ledger.partial.of(&ledger.slots);
    // Their rows say so from now on.
    let marked = partial.iter().filter(|slot| !old.partial.contains(slot));
    ledger.changed.extend(marked);
    for slot in std::mem::take(&mut ledger.changed) {
        if let Some(counts) = ledger.slots.get_mut(&slot) {
            counts.changed = number;
        }
    }
    ledger.forget(passed);
    let end = |group: &Group| rollups.end(group.rollup, group.slot_secs);
    let over = |group: &Group| end(group) <= tick.retired_secs;
    let mut complete = old.complete.clone();
    let known = old.segments.values().chain(groups.values()).flatten();
    for group in known {
        if end(group) <= tick.complete_secs {
            complete.entry(*group).or_insert(number);
        }
    }
    let mut segments: BTreeMap<SegmentName, Vec<Group>> = BTreeMap::new();
    for (name, listed) in &old.segments {
        let needed = |group: &&Group| {
            complete.get(*group).is_none_or(|done| *done <= name.number)
                && (!over(group) || passed < name.number)
        };
        let kept: Vec<Group> = listed.iter().filter(needed).copied().collect();
        if !kept.is_empty() {
            segments.insert(*name, kept);
        }
    }
    for (process, groups) in groups {
        let name = SegmentName {
            number,
            attempt: named,
            process,
        };
        segments.insert(name, groups);
    }
    let listed: BTreeSet<Group> = segments.values().flatten().copied().collect();
    complete.retain(|group, _| listed.contains(group) || !over(group));
    partial.retain(|slot| ledger.slots.contains_key(slot));
    Checkpoint {
        number,
        attempt,
        job: old.job.clone(),
        config: old.config.clone(),
        cut: ledger.positions,
        watermark_ns: ledger.watermark_ns,
        timeline: ledger.timeline,
        complete,
        slots: ledger.slots,
        partial,
        segments,
        starts: ledger.starts,
        gaps: ledger.gaps,
        generations: old.generations.clone(),
        swaps: ledger.swaps,
    }
}
