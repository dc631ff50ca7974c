//! The chain of checkpoints, each compared with the one before it and with the oracle when it is put.
//!
//! Laws 2 to 5: cuts and clocks never go back, a number has one content, table versions below L never change, R is no
//! further than the clocks, and what the segments up to n hold are the flows below cut(n), no more and no less.

use std::collections::{BTreeMap, BTreeSet};

use flow_dataflow::RowConfig;
use flow_proto::{RowRecord, Sums};
use flow_state::{Checkpoint, StateStore, Timeline};

use crate::judge::{Asked, judge};
use crate::rows::Key;
use crate::topic::SimTopic;

/// Every row that the segments up to a checkpoint hold.
type Ledger = BTreeMap<Key, Sums>;

/// What has been put so far.
#[derive(Default)]
pub(crate) struct Chain {
    all: BTreeMap<u64, (Checkpoint, Ledger)>,
    /// Numbers whose checkpoint the disk has lost.
    lost: BTreeSet<u64>,
    /// Numbers whose checkpoint was deleted.
    deleted: BTreeSet<u64>,
}

impl Chain {
    /// The newest one.
    pub(crate) fn newest(&self) -> Option<&Checkpoint> {
        self.all
            .values()
            .next_back()
            .map(|(checkpoint, _)| checkpoint)
    }

    /// The newest one that the disk may lose: a store was never given anything of it, and the one before it is whole.
    pub(crate) fn may_lose(&self, offered: u64) -> Option<u64> {
        let newest = self.newest()?.number;
        let after_a_loss = self.lost.last().is_some_and(|lost| *lost > newest);
        (newest > offered && !after_a_loss && self.all.len() > 1).then_some(newest)
    }

    /// The disk has lost it.
    pub(crate) fn lose(&mut self, number: u64) {
        self.all.remove(&number);
        self.lost.insert(number);
    }

    /// Takes what the state has that is new.
    pub(crate) fn look(
        &mut self,
        state: &StateStore,
        topic: &SimTopic,
        rows: &RowConfig,
    ) -> Result<(), String> {
        let known = self.all.keys().next_back().copied().unwrap_or(0);
        let numbers = state.numbers().map_err(|e| e.to_string())?;
        // A sleeper's would stand among those of others, and be read by who looks for what was there before.
        if let Some(number) = numbers.iter().find(|number| self.deleted.contains(number)) {
            return Err(format!(
                "number {number} is used again after it was deleted"
            ));
        }
        let gone = self.all.keys().filter(|number| !numbers.contains(number));
        self.deleted.extend(gone);
        for number in numbers.into_iter().filter(|n| *n >= known.max(1)) {
            if self.lost.contains(&number) {
                match state.checkpoint(number) {
                    Ok(Some(_)) => return Err(format!("number {number} is used again")),
                    _ => continue,
                }
            }
            let read = state.checkpoint(number).map_err(|e| e.to_string())?;
            let Some(checkpoint) = read else { continue };
            if let Some((held, _)) = self.all.get(&number) {
                if *held != checkpoint {
                    return Err(format!("checkpoint {number} has two contents"));
                }
                continue;
            }
            self.take(checkpoint, state, topic, rows)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        new: Checkpoint,
        state: &StateStore,
        topic: &SimTopic,
        rows: &RowConfig,
    ) -> Result<(), String> {
        let number = new.number;
        let mut ledger = Ledger::new();
        if let Some((old, held)) = self.all.values().next_back() {
            ledger.clone_from(held);
            compare(old, &new)?;
        }
        no_further_than_the_clocks(&new, rows)?;
        for (name, groups) in new
            .segments
            .iter()
            .filter(|(name, _)| name.number == number)
        {
            let segment = state
                .read_segment::<RowRecord>(*name)
                .map_err(|e| e.to_string())?;
            for row in segment.records() {
                let listed = |group: &&flow_state::Group| {
                    (group.rollup, group.slot_secs) == (row.rollup, row.slot_secs)
                };
                if groups.iter().find(listed).is_none() {
                    return Err(format!(
                        "segment {name:?} holds {row:?}, which is not listed"
                    ));
                }
                ledger.insert((row.rollup, row.slot_secs, row.key), row.sums);
            }
        }
        let expected = judge(topic, &new, rows, Asked::Rows);
        for (key, sums) in &ledger {
            if expected.rows.get(key) != Some(&sums.values()) {
                let want = expected.rows.get(key);
                return Err(format!(
                    "row {key:?} up to checkpoint {number} is {sums:?}, below its cut: {want:?}"
                ));
            }
        }
        if let Some(missing) = expected.rows.keys().find(|key| !ledger.contains_key(key)) {
            return Err(format!(
                "row {missing:?} is in no segment up to checkpoint {number}"
            ));
        }
        for (slot, counts) in &new.slots {
            let want = expected.slots.get(slot).copied().unwrap_or_default();
            let got = [
                counts.flows,
                counts.too_early,
                counts.too_late,
                counts.implausible,
            ];
            if got != [want.flows, want.too_early, want.too_late, want.implausible] {
                return Err(format!(
                    "checkpoint {number} counts {got:?} in slot {slot}, below its cut: {want:?}"
                ));
            }
        }
        self.all.insert(number, (new, ledger));
        Ok(())
    }
}

fn compare(old: &Checkpoint, new: &Checkpoint) -> Result<(), String> {
    let (n, job) = (new.number, &new.job);
    if *job != old.job {
        return Err(format!(
            "checkpoint {n} is of job {job}, the one before of {}",
            old.job
        ));
    }
    for (partition, before) in &old.cut {
        match new.cut.get(partition) {
            Some(now) if now.offset >= before.offset && now.clock_ns >= before.clock_ns => {}
            now => {
                return Err(format!(
                    "checkpoint {n} goes back in partition {partition}: {now:?} after {before:?}"
                ));
            }
        }
    }
    let (before, now) = (&old.timeline, &new.timeline);
    if now.fence_secs < before.fence_secs || now.retired_secs < before.retired_secs {
        return Err(format!("checkpoint {n}: L or R goes back"));
    }
    let fixed = |timeline: &Timeline| -> Vec<_> {
        let below = timeline
            .versions
            .iter()
            .filter(|(from, _)| *from < before.fence_secs);
        below.cloned().collect()
    };
    if fixed(before) != fixed(now) {
        return Err(format!(
            "checkpoint {n} changes the table version of a slot below L"
        ));
    }
    if !now.retirements.starts_with(&before.retirements) {
        return Err(format!("checkpoint {n} changes a recorded retirement"));
    }
    Ok(())
}

/// No flow is refused as late that no partition's clock calls late.
fn no_further_than_the_clocks(new: &Checkpoint, rows: &RowConfig) -> Result<(), String> {
    let furthest = new
        .cut
        .values()
        .map(|at| at.clock_ns)
        .max()
        .unwrap_or(i64::MIN);
    let furthest_secs = u64::try_from(furthest / 1_000_000_000).unwrap_or(0);
    let retired = new.timeline.retired_secs;
    if retired > 0 && retired + rows.lateness_secs > furthest_secs {
        return Err(format!(
            "checkpoint {} retires up to {retired}, no clock is beyond {furthest_secs}",
            new.number
        ));
    }
    Ok(())
}
