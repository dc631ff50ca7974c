//! The driver: worker 0's decisions. Opens ticks, moves L and R, finds the watermark, orders checkpoints.
//!
//! A plain struct fed with reports, frontiers and the injected time; it knows nothing of timely and is tested
//! without it. Laws: L and R never go back and go out with the tick that they rule (2, 3); a tick is closed when all
//! its cuts are known (4); one checkpoint at a time, of a closed and sealed tick (5).

use std::collections::BTreeMap;

use flow_state::{Checkpoint, SwapRequest};

use crate::acceptance::slot_of;
use crate::config::{JobConfig, SECOND_NS, broken};
use crate::ledger::Ledger;
use crate::swapping::Swapping;
use crate::swaps::FoundRequest;
use crate::tick::{Announced, Cut, Report, Tick, hash_bytes};

/// Ticks that wait for a paused partition come no closer than this, milliseconds.
const PAUSED_MILLIS: u64 = 20;

/// What worker 0 is to do next.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    Open(Box<Tick>),
    Close,
}

/// A checkpoint under way.
#[derive(Debug)]
struct Sealing {
    tick: Tick,
    /// The ledger as of this tick, once it is closed.
    ledger: Option<Ledger>,
}

/// What a whole checkpoint is made of.
pub(crate) struct Ready {
    pub(crate) tick: Tick,
    pub(crate) ledger: Ledger,
}

/// How the job comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Every partition was read to its end in this tick or before.
    Ended(u64),
    /// Told to stop.
    Stopping,
    /// The last seal is out; the ticks are to be closed.
    Sealed,
    Closed,
}

/// Worker 0's view of the job.
pub(crate) struct Driver {
    config: JobConfig,
    pub(crate) ledger: Ledger,
    last: Tick,
    opened_millis: u64,
    entries: BTreeMap<u64, Tick>,
    cuts: BTreeMap<u64, Vec<Cut>>,
    closed: u64,
    reaches_ns: i64,
    hurry: bool,
    paused: bool,
    read: BTreeMap<usize, u64>,
    ended: u32,
    failed: bool,
    /// It was told to stop, however far it had come.
    pub(crate) stopping: bool,
    phase: Phase,
    idle_since_millis: Option<u64>,
    sealing: Option<Sealing>,
    sealed_millis: u64,
    next_number: u64,
    /// The swap of tables that is under way.
    swapping: Option<Swapping>,
    /// A deliberate breakage: announced with the tick before, and not on record yet.
    #[cfg(feature = "mutants")]
    late: Option<Announced>,
}

impl Driver {
    /// `ledger`: as restored from checkpoint `base`. `fence_secs` and `retired_secs` stand in its timeline.
    pub(crate) fn new(
        config: JobConfig,
        ledger: Ledger,
        (base, next_number): (u64, u64),
        now_millis: u64,
    ) -> Driver {
        let last = Tick {
            n: 0,
            fence_secs: ledger.timeline.fence_secs,
            retired_secs: if broken!(config, RetirementNotDurable) {
                0
            } else {
                ledger.timeline.retired_secs
            },
            complete_secs: 0,
            slow_ns: i64::MAX,
            seal: 0,
            partitions: u32::try_from(ledger.positions.len()).unwrap_or(u32::MAX),
            published: base,
            prepare: None,
            announce: None,
            last: false,
        };
        Driver {
            config,
            ledger,
            last,
            opened_millis: now_millis,
            entries: BTreeMap::new(),
            cuts: BTreeMap::new(),
            closed: 0,
            reaches_ns: i64::MIN,
            hurry: false,
            paused: false,
            read: BTreeMap::new(),
            ended: 0,
            failed: false,
            stopping: false,
            phase: Phase::Running,
            idle_since_millis: None,
            sealing: None,
            sealed_millis: now_millis,
            next_number,
            swapping: None,
            #[cfg(feature = "mutants")]
            late: None,
        }
    }

    pub(crate) fn report(&mut self, report: Report) {
        match report {
            Report::Cut(cut) => self.cuts.entry(cut.tick).or_default().push(cut),
            Report::Reaches(mut reach) => {
                if broken!(self.config, LineFromReadPacks) {
                    let clocks = self.ledger.positions.values().map(|at| at.clock_ns);
                    reach = clocks.max().unwrap_or(i64::MIN);
                }
                self.reaches_ns = self.reaches_ns.max(reach);
                self.hurry = true;
            }
            Report::Paused => self.paused = true,
            Report::Read {
                worker,
                tick,
                bytes,
                full,
            } if tick == self.last.n => {
                self.read.insert(worker, bytes);
                self.hurry |= full;
            }
            Report::Read { .. } => {} // of a tick that is over
            Report::Ended => self.ended += 1,
            Report::Followed { .. } => {} // the chief keeps it
            Report::Loaded {
                process,
                request,
                error,
            } => {
                if let Some(swapping) = &mut self.swapping {
                    swapping.hear(process, request, error);
                    self.hurry = true;
                }
            }
            Report::Stop => self.stop(),
            Report::Failed { .. } => self.failed = true,
        }
    }

    /// The topic has so many partitions: those that are new are read from the next tick on. Law 2: until then they
    /// count as unread, so that nothing completes past them.
    pub(crate) fn found(&mut self, partitions: u32) {
        if partitions > self.last.partitions && self.phase == Phase::Running {
            self.ledger.grow(self.last.partitions..partitions);
            self.last.partitions = partitions;
            self.hurry = true;
        }
    }

    /// The frontier of the reports: all cuts of ticks below it are known. Closes them in order.
    pub(crate) fn reported_to(&mut self, frontier: u64, now_millis: u64) {
        while self.closed + 1 < frontier && self.entries.contains_key(&(self.closed + 1)) {
            let n = self.closed + 1;
            #[cfg_attr(
                not(feature = "mutants"),
                expect(unused_mut, reason = "changed by mutants only")
            )]
            let Some(mut tick) = self.entries.remove(&n) else {
                return;
            };
            #[cfg(feature = "mutants")]
            if self.config.broken(crate::Mutant::SwapRecordedLate) {
                std::mem::swap(&mut tick.announce, &mut self.late);
            }
            let cuts = self.cuts.remove(&n).unwrap_or_default();
            let told = self.ledger.moved;
            self.ledger.close(&tick, cuts);
            let done = self.swapping.take_if(|it| it.announced == Some(n));
            if let Some((done, announced)) = done.zip(tick.announce)
                && let Some(from_secs) = done.request.from_secs
            {
                let slots = (from_secs, announced.from_secs);
                let request = done.request.number;
                self.ledger.amend(request, slots, &done.version);
            }
            if broken!(self.config, RetirementToldOnce) {
                self.ledger.moved = told;
            }
            self.closed = n;
            if let Some(sealing) = self.sealing.as_mut().filter(|s| s.tick.n == n) {
                sealing.ledger = Some(self.ledger.snapshot());
            }
            if self.ledger.all_read() {
                self.idle_since_millis.get_or_insert(now_millis);
            } else {
                self.idle_since_millis = None;
            }
        }
    }

    /// The frontier of the sealed segments: a checkpoint whose tick is below it, and closed, is ready.
    pub(crate) fn sealed_to(&mut self, frontier: u64) -> Option<Ready> {
        // A worker that could not restore its part has nothing of it: what is sealed with it is not whole.
        if self.failed {
            return None;
        }
        let sealing = self.sealing.as_mut().filter(|s| s.tick.n < frontier)?;
        let mut ledger = sealing.ledger.take()?;
        if broken!(self.config, CutOfNextTick) {
            ledger.positions = self.ledger.positions.clone();
        }
        Some(Ready {
            tick: sealing.tick,
            ledger,
        })
    }

    /// The checkpoint is durable.
    pub(crate) fn durable(&mut self, checkpoint: &Checkpoint) {
        self.sealing = None;
        self.next_number = checkpoint.number + 1;
        self.last.published = checkpoint.number;
        self.ledger.durable(checkpoint);
    }

    /// Whether a request for other tables can be taken up: one at a time, since a decided one decides all before it.
    pub(crate) fn may_swap(&self) -> bool {
        self.swapping.is_none() && self.phase == Phase::Running
    }

    /// Takes up a request for other tables: they are prepared, announced, or refused.
    pub(crate) fn asked(&mut self, (request, found): FoundRequest) {
        let last = self.ledger.timeline.versions.last();
        let (newest, holds) = last.map_or((0, ""), |(_, held)| (held.number, held.hash.as_str()));
        let refused = match found {
            Ok(asked) if asked.hash == holds => {
                if asked.given.is_some() {
                    self.ledger.swaps.given = asked.given;
                }
                if let (Some(from_secs), Some((until_secs, version))) =
                    (asked.from_secs, last.cloned())
                {
                    self.ledger
                        .amend(request, (from_secs, until_secs), &version);
                }
                return self.ledger.decide(request, Ok(newest));
            }
            Ok(SwapRequest {
                base: Some(base), ..
            }) if base != holds => {
                "other tables have come into force since it was put; ask again".to_owned()
            }
            Ok(asked) => {
                let swapping = Swapping::new(asked, newest + 1);
                match swapping.asked() {
                    Some(_) => {
                        self.swapping = Some(swapping);
                        self.hurry = true;
                        return;
                    }
                    None => "it names no tables".to_owned(),
                }
            }
            Err(error) => error,
        };
        self.refuse(request, refused);
    }

    fn refuse(&mut self, request: u64, why: String) {
        tracing::warn!(request, "tables are not swapped: {why}");
        self.ledger.decide(request, Err(why));
    }

    /// What the next tick says of the swap that is under way.
    fn swap(&mut self, tick: &mut Tick) {
        let Some(mut swapping) = self.swapping.take() else {
            return;
        };
        if let Some(why) = swapping.refused.take() {
            return self.refuse(swapping.request.number, why);
        }
        let tables = swapping.asked();
        if !swapping.told {
            swapping.told = true;
            tick.prepare = tables;
        }
        let ready =
            swapping.is_ready(self.config.processes) || broken!(self.config, AnnouncedUnprepared);
        if let Some(tables) = tables.filter(|_| ready && swapping.announced.is_none()) {
            let mut from_secs = self.last.fence_secs;
            if broken!(self.config, SwapBelowLine) {
                from_secs = from_secs.saturating_sub(self.config.rows.window_secs);
            }
            tracing::info!(
                version = tables.version,
                from_secs,
                "tables are swapped: this version is in force for slots from this time on"
            );
            swapping.announced = Some(tick.n);
            tick.announce = Some(Announced {
                tables,
                from_secs,
                given: swapping.request.given.as_deref().and_then(hash_bytes),
            });
        }
        self.swapping = Some(swapping);
    }

    /// Asks for the end: one more checkpoint, then the ticks close.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        if matches!(self.phase, Phase::Running | Phase::Ended(_)) {
            self.phase = Phase::Stopping;
        }
    }

    /// What to do at `now`, with ticks below `first_open` finished on this worker.
    pub(crate) fn turn(&mut self, now_millis: u64, first_open: u64) -> Option<Turn> {
        if self.failed && self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            return Some(Turn::Close);
        }
        if self.phase == Phase::Sealed {
            self.phase = Phase::Closed;
            return Some(Turn::Close);
        }
        if self.phase == Phase::Running
            && self.config.until_end
            && self.ended >= self.last.partitions
        {
            self.phase = Phase::Ended(self.last.n);
        }
        // The newest tick ends only when the next one opens: three unfinished at the most.
        if self.phase == Phase::Closed || self.last.n >= first_open + 2 {
            return None;
        }
        let may_end = match self.phase {
            Phase::Stopping => self.sealing.is_none(),
            // All of it must be closed first: the last slots complete by the last clocks.
            Phase::Ended(tick) => self.sealing.is_none() && self.closed >= tick,
            _ => false,
        };
        if may_end {
            self.phase = Phase::Sealed;
            return Some(Turn::Open(Box::new(self.open(now_millis, true))));
        }
        let waited = now_millis.abs_diff(self.opened_millis);
        let bytes: u64 = self.read.values().sum();
        let due = self.last.n == 0
            || self.hurry
            || waited >= self.config.tick_millis
            || bytes >= self.config.tick_bytes
            || (self.paused && waited >= PAUSED_MILLIS)
            || self.phase != Phase::Running
            || self
                .sealing
                .as_ref()
                .is_some_and(|s| s.tick.n == self.last.n);
        due.then(|| Turn::Open(Box::new(self.open(now_millis, false))))
    }

    /// Milliseconds until the next tick is due by time.
    pub(crate) fn until_next_millis(&self, now_millis: u64) -> u64 {
        // A replay of few flows would spend its time asleep. A job that catches up had better not read faster than it
        // can write what it has read: its memory is measured with naps.
        let most = match self.paused && self.config.replay.is_some() {
            true => PAUSED_MILLIS.min(self.config.tick_millis),
            false => self.config.tick_millis,
        };
        most.saturating_sub(now_millis.abs_diff(self.opened_millis))
    }

    fn open(&mut self, now_millis: u64, last: bool) -> Tick {
        let window_secs = self.config.rows.window_secs;
        let lateness_ns = i64::try_from(self.config.hold_secs())
            .unwrap_or(i64::MAX)
            .saturating_mul(SECOND_NS);
        let mut tick = Tick {
            n: self.last.n + 1,
            seal: 0,
            prepare: None,
            announce: None,
            last,
            ..self.last
        };
        self.swap(&mut tick);
        if self.reaches_ns > i64::MIN {
            tick.fence_secs = tick
                .fence_secs
                .max(slot_of(self.reaches_ns, window_secs) + window_secs);
        }
        let mut watermark_ns = self.ledger.watermark_ns;
        if broken!(self.config, NothingUnreadIsTheEnd) && self.ledger.all_read() {
            watermark_ns = watermark_ns.saturating_add(4 * lateness_ns);
        }
        let over = watermark_ns.saturating_sub(lateness_ns);
        tick.retired_secs = tick.retired_secs.max(slot_of(over, window_secs));
        tick.complete_secs = tick
            .complete_secs
            .max(self.emission_secs(now_millis))
            .max(tick.retired_secs);
        // A longer slot names the version of its last base slot, in which there may be no flow that has moved L: what is
        // written as complete keeps its version.
        let whole_secs = tick.complete_secs - tick.complete_secs % window_secs;
        tick.fence_secs = tick.fence_secs.max(whole_secs);
        tick.slow_ns = self.ledger.slow_ns;
        if self.sealing.is_none() && (last || self.seal_due(&tick, now_millis)) {
            tick.seal = self.next_number;
            self.sealing = Some(Sealing { tick, ledger: None });
            self.sealed_millis = now_millis;
        }
        self.last = tick;
        self.entries.insert(tick.n, tick);
        self.opened_millis = now_millis;
        self.hurry = false;
        self.paused = false;
        self.read.clear();
        tick
    }

    /// Slots that end at or below this may be written as complete. By the watermark; once everything has been read
    /// for a while, by the injected clock as well (emission alone: acceptance and retirement never do).
    fn emission_secs(&self, now_millis: u64) -> u64 {
        let secs = |ns: i64| u64::try_from(ns.div_euclid(SECOND_NS)).unwrap_or(0);
        let by_watermark = secs(self.ledger.watermark_ns);
        let idle = self
            .idle_since_millis
            .is_some_and(|since| now_millis.saturating_sub(since) >= self.config.idle_millis);
        let line = if idle {
            by_watermark.max(now_millis / 1000)
        } else {
            by_watermark
        };
        line.saturating_sub(self.config.emit_delay_secs)
    }

    fn seal_due(&self, tick: &Tick, now_millis: u64) -> bool {
        let since = now_millis.abs_diff(self.sealed_millis);
        let completes = self
            .ledger
            .first_incomplete()
            .is_some_and(|end_secs| end_secs <= tick.complete_secs);
        let changed = !self.ledger.changed.is_empty()
            || self.ledger.moved
            || tick.retired_secs > self.ledger.timeline.retired_secs;
        since >= self.config.checkpoint_gap_millis && completes
            || since >= self.config.checkpoint_millis && changed
    }

    /// The end of the slot that completes next, if any flow is in an incomplete one.
    pub(crate) fn next_end(&self) -> Option<u64> {
        self.ledger.first_incomplete()
    }

    /// The newest tick.
    pub(crate) fn tick(&self) -> u64 {
        self.last.n
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
