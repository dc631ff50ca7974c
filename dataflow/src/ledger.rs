//! The ledger: offsets, clocks, counts per slot and the timeline as of the last closed tick.
//!
//! Law 7: for each slot, flows read = flows in rows + too early + too late + implausible. Law 2: a retirement is
//! recorded with the offsets from which it holds: cut(T-1), T being the tick that first carries it.

use std::collections::{BTreeMap, BTreeSet};

use flow_proto::Rollups;
use flow_state::{
    Amendment, Checkpoint, Gap, Position, Retirement, SlotCounts, SlotSecs, SwapOutcome, Swaps,
    TableVersion, Timeline,
};

use crate::acceptance::{ELSEWHERE, ELSEWHERE_SECS};
use crate::config::SECOND_NS;
use crate::partial::Partial;
use crate::tick::{Cut, Met, Tick, hash_text};

/// A slot of some window: its end, then the window. Seconds.
type Slot = (u64, u64);

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
    /// A position, R, or what is said of tables, has changed since the last snapshot.
    pub(crate) moved: bool,
    /// Slots with flows that are neither complete nor retired, of each window that a rollup has.
    incomplete: BTreeSet<Slot>,
    complete: BTreeSet<Slot>,
    rollups: Rollups,
    window_secs: u64,
    windows_secs: Vec<u64>,
    pub(crate) timeline: Timeline,
    /// Which requests for other tables are decided.
    pub(crate) swaps: Swaps,
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
        (timeline, swaps): (Timeline, Swaps),
        rollups: Rollups,
    ) -> Self {
        let (window_secs, windows_secs) = (rollups.base().window_secs(), rollups.windows_secs());
        let complete = complete(base, rollups);
        let with_flows = base.slots.iter().filter(|(_, counts)| counts.flows > 0);
        let open = with_flows
            .flat_map(|(slot, _)| slots_of(*slot, &windows_secs))
            .filter(|slot| !complete.contains(slot) && slot.0 > timeline.retired_secs)
            .collect();
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
            // Other tables, and what else a start has decided, are on record with the next checkpoint.
            moved: base.number > 0 && (swaps != base.swaps || timeline != base.timeline),
            incomplete: open,
            complete,
            rollups,
            window_secs,
            windows_secs,
            timeline,
            swaps,
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
        if let Some(announced) = tick.announce {
            let (number, hash) = (announced.tables.version, announced.tables.hash());
            if let Some(given) = announced.given {
                self.swaps.given = Some(hash_text(&given));
            }
            self.timeline
                .hold(announced.from_secs, TableVersion { number, hash });
            self.decide(announced.tables.request, Ok(number));
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
                if tally.flows > 0 {
                    let slots = slots_of(slot, &self.windows_secs);
                    self.incomplete
                        .extend(slots.filter(|slot| !self.complete.contains(slot)));
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

    /// A request for other tables is decided: the next checkpoint says so.
    pub(crate) fn decide(&mut self, request: u64, result: Result<u32, String>) {
        self.swaps.decide(SwapOutcome { request, result });
        self.moved = true;
    }

    /// The slots of the past from one on, up to where a version came into force, are to have it, too.
    pub(crate) fn amend(
        &mut self,
        request: u64,
        slots: (SlotSecs, SlotSecs),
        version: &TableVersion,
    ) {
        self.swaps.amend(Amendment {
            request,
            from_secs: slots.0,
            until_secs: slots.1,
            version: version.clone(),
        });
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

    /// Where the first slot ends that has flows and is not written as complete yet.
    pub(crate) fn first_incomplete(&self) -> Option<u64> {
        self.incomplete.first().map(|(end_secs, _)| *end_secs)
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
        self.complete = complete(checkpoint, self.rollups);
        let (complete, retired_secs) = (&self.complete, checkpoint.timeline.retired_secs);
        self.incomplete
            .retain(|slot| !complete.contains(slot) && slot.0 > retired_secs);
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
        // The counts of a longer slot are those of all that lie within it, as long as any of them can change.
        let longer_secs = self.rollups.longest_secs() - self.window_secs;
        let line = lowest_secs.saturating_sub(ELSEWHERE_SECS + longer_secs);
        self.slots.retain(|slot, counts| {
            *slot == ELSEWHERE || *slot >= line || counts.changed == 0 || counts.changed > passed
        });
    }
}

/// The slots, of each window, that hold a slot of the base window.
fn slots_of(slot_secs: SlotSecs, windows_secs: &[u64]) -> impl Iterator<Item = Slot> {
    let end = move |window: &u64| (slot_secs - slot_secs % window).saturating_add(*window);
    windows_secs
        .iter()
        .map(move |window| (end(window), *window))
}

/// The slots that a checkpoint has as complete.
fn complete(checkpoint: &Checkpoint, rollups: Rollups) -> BTreeSet<Slot> {
    let groups = checkpoint.complete.keys();
    let known = groups.filter_map(|group| Some((rollups.get(group.rollup)?, group.slot_secs)));
    known
        .map(|(rollup, slot_secs)| (rollup.end(slot_secs), rollup.window_secs()))
        .collect()
}
