//! The ledger: offsets, clocks, counts per slot and the timeline as of the last closed tick.
//!
//! Law 7: for each slot, flows read = flows in rows + too early + too late + implausible. Law 2: a retirement is
//! recorded with the offsets from which it holds: cut(T-1), T being the tick that first carries it.

use std::collections::{BTreeMap, BTreeSet};

use flow_state::{Checkpoint, Gap, Position, Retirement, SlotCounts, SlotSecs, Timeline};

use crate::acceptance::{ELSEWHERE, ELSEWHERE_SECS};
use crate::config::SECOND_NS;
use crate::partial::Partial;
use crate::tick::{Cut, Met, Tick};

/// What worker 0 has on record.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) positions: BTreeMap<u32, Position>,
    /// Where each partition was begun.
    pub(crate) starts: BTreeMap<u32, u64>,
    /// What retention had deleted before it could be read.
    pub(crate) gaps: Vec<Gap>,
    /// Slots that the start has cut off.
    pub(crate) partial: Partial,
    unread: BTreeMap<u32, bool>,
    pub(crate) slots: BTreeMap<SlotSecs, SlotCounts>,
    /// Slots whose counts changed since the last snapshot.
    pub(crate) changed: BTreeSet<SlotSecs>,
    /// A position, or R, moved since the last snapshot.
    pub(crate) moved: bool,
    /// Slots with flows that are neither complete nor retired.
    incomplete: BTreeSet<SlotSecs>,
    complete: BTreeSet<SlotSecs>,
    window_secs: u64,
    pub(crate) timeline: Timeline,
    /// Never goes back; found anew after a restart.
    pub(crate) watermark_ns: i64,
    /// Clock of the slowest partition with unread records; `i64::MAX` if there is none.
    pub(crate) slow_ns: i64,
}

impl Ledger {
    /// As restored; partitions that the checkpoint does not name start at the given positions.
    pub(crate) fn new(
        base: &Checkpoint,
        positions: BTreeMap<u32, Position>,
        timeline: Timeline,
        window_secs: u64,
    ) -> Self {
        let complete: BTreeSet<SlotSecs> = base.complete.keys().map(|g| g.slot_secs).collect();
        let open = base.slots.iter().filter(|(slot, counts)| {
            counts.flows > 0
                && !complete.contains(slot)
                && **slot + window_secs > timeline.retired_secs
        });
        let mut starts = base.starts.clone();
        let new = positions.iter().filter(|(p, _)| !base.cut.contains_key(p));
        starts.extend(new.map(|(p, at)| (*p, at.offset)));
        Ledger {
            starts,
            gaps: base.gaps.clone(),
            partial: Partial::default(),
            unread: positions.keys().map(|p| (*p, true)).collect(),
            positions,
            slots: base.slots.clone(),
            changed: BTreeSet::new(),
            moved: false,
            incomplete: open.map(|(slot, _)| *slot).collect(),
            complete,
            window_secs,
            timeline,
            watermark_ns: i64::MIN,
            slow_ns: i64::MAX,
        }
    }

    /// Partitions that were found while running: nothing of them was read yet.
    pub(crate) fn grow(&mut self, new: std::ops::Range<u32>) {
        for partition in new {
            self.positions.insert(partition, Position::beginning(0));
            self.starts.insert(partition, 0);
            self.unread.insert(partition, true);
        }
    }

    /// A tick is closed: its cuts are the positions now.
    pub(crate) fn close(&mut self, tick: &Tick, cuts: Vec<Cut>) {
        self.timeline.fence_secs = self.timeline.fence_secs.max(tick.fence_secs);
        if tick.retired_secs > self.timeline.retired_secs {
            self.timeline.retired_secs = tick.retired_secs;
            // Its own tick may not be sealed: then the next one has to tell of it, if nothing else comes.
            self.moved = true;
            let offsets = self
                .positions
                .iter()
                .map(|(p, at)| (*p, at.offset))
                .collect();
            self.timeline.retirements.push(Retirement {
                line_secs: tick.retired_secs,
                offsets,
            });
        }
        self.meet(&cuts);
        for cut in cuts {
            let before = self.positions.insert(cut.partition, cut.position);
            self.moved |= before != Some(cut.position);
            self.unread.insert(cut.partition, cut.unread);
            for (slot, tally) in cut.tallies {
                let counts = self.slots.entry(slot).or_default();
                counts.flows += tally.flows;
                counts.too_early += tally.too_early;
                counts.too_late += tally.too_late;
                counts.implausible += tally.implausible;
                self.changed.insert(slot);
                if tally.flows > 0 && !self.complete.contains(&slot) {
                    self.incomplete.insert(slot);
                }
            }
        }
        let unread = |p: &u32| self.unread.get(p).copied().unwrap_or(true);
        let waiting = self.positions.iter().filter(|(p, _)| unread(p));
        let slowest = waiting.map(|(_, at)| at.clock_ns).min();
        let furthest = self.positions.values().map(|at| at.clock_ns).max();
        let watermark = slowest.or(furthest).unwrap_or(i64::MIN);
        self.slow_ns = slowest.unwrap_or(i64::MAX);
        self.watermark_ns = self.watermark_ns.max(watermark);
    }

    /// What partitions have met beside flows.
    fn meet(&mut self, cuts: &[Cut]) {
        let mut first = Vec::new();
        for cut in cuts {
            for met in &cut.met {
                match met {
                    Met::First(clock_ns) => first.push((cut.partition, *clock_ns)),
                    Met::Begun(offset) => {
                        self.starts.insert(cut.partition, *offset);
                        if self.positions.values().all(|at| at.clock_ns == i64::MIN) {
                            self.partial.cut_off(cut.partition);
                        }
                        self.moved = true;
                    }
                    Met::Gap(gap) => self.gap(*gap),
                }
            }
        }
        self.partial.first(&first, self.window_secs);
    }

    /// Slots that a gap marks are written again, and have a row also without flows, but for retired ones and those
    /// more than a day before the last: of a long gap, `elsewhere` tells.
    fn gap(&mut self, gap: Gap) {
        gap.enter(&mut self.gaps);
        let counted = self
            .slots
            .range(gap.first_slot_secs..)
            .map(|(slot, _)| *slot);
        self.changed.extend(counted.chain([ELSEWHERE]));
        self.slots.entry(ELSEWHERE).or_default();
        if gap.after_ns.is_none() {
            return;
        }
        let day_before = gap.last_slot_secs.saturating_sub(ELSEWHERE_SECS);
        let first = gap.first_slot_secs.max(day_before);
        let first = first
            .max(self.timeline.retired_secs)
            .next_multiple_of(self.window_secs);
        let step = usize::try_from(self.window_secs).unwrap_or(usize::MAX);
        for slot in (first..=gap.last_slot_secs).step_by(step) {
            self.slots.entry(slot).or_default();
            self.changed.insert(slot);
        }
    }

    /// Every partition had been read to its end.
    pub(crate) fn all_read(&self) -> bool {
        self.unread.values().all(|unread| !unread)
    }

    /// The earliest slot with flows that is not written as complete yet.
    pub(crate) fn first_incomplete(&self) -> Option<SlotSecs> {
        self.incomplete.first().copied()
    }

    /// A snapshot of this was taken for a checkpoint: what changes from now on is the next one's.
    pub(crate) fn snapshot(&mut self) -> Ledger {
        let snapshot = self.clone();
        self.changed.clear();
        self.moved = false;
        snapshot
    }

    /// A checkpoint is durable: its slots are complete, its forgotten counts are let go here, too.
    pub(crate) fn durable(&mut self, checkpoint: &Checkpoint) {
        self.complete = checkpoint
            .complete
            .keys()
            .map(|group| group.slot_secs)
            .collect();
        let (complete, window_secs) = (&self.complete, self.window_secs);
        let retired_secs = checkpoint.timeline.retired_secs;
        self.incomplete
            .retain(|slot| !complete.contains(slot) && *slot + window_secs > retired_secs);
        let changed = &self.changed;
        self.slots
            .retain(|slot, counts| match checkpoint.slots.get(slot) {
                Some(known) => {
                    counts.changed = known.changed;
                    true
                }
                None => changed.contains(slot),
            });
    }

    /// Lets go of retirements that no record can meet any more, `earliest` being the first offsets that retention has left:
    /// of those that hold from there or before, the last one says it all.
    pub(crate) fn forget_retirements(&mut self, earliest: &BTreeMap<u32, u64>) {
        let gone = |event: &Retirement| {
            earliest
                .iter()
                .all(|(p, first)| event.offsets.get(p).copied().unwrap_or(0) <= *first)
        };
        let events = &mut self.timeline.retirements;
        let passed = events.iter().take_while(|event| gone(event)).count();
        events.drain(..passed.saturating_sub(1));
    }

    /// Lets go of counts that can't change any more and that every sink has (`passed`: lowest checkpoint
    /// acknowledged). A slot further than a day behind every clock is counted under `elsewhere` from now on.
    pub(crate) fn forget(&mut self, passed: u64) {
        let Some(lowest) = self.positions.values().map(|at| at.clock_ns).min() else {
            return;
        };
        let lowest_secs = u64::try_from(lowest.div_euclid(SECOND_NS)).unwrap_or(0);
        let line = lowest_secs.saturating_sub(ELSEWHERE_SECS);
        self.slots.retain(|slot, counts| {
            *slot == ELSEWHERE || *slot >= line || counts.changed == 0 || counts.changed > passed
        });
    }
}
