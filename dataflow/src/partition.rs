//! One partition as a source reads it: clock, line L, pause, and what became of its flows.
//!
//! Laws 1 and 2: everything decided here depends on the partition's own records and on the tick, never on when or
//! by whom it is read. A pack is counted as a whole in one tick, or held back as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_proto::{FlowCore, PACK_HEADER, Record, messages};
use flow_state::{Gap, Position, SlotSecs};
use flow_topic::{Reader, RecordRef, TopicError, Wake};

use crate::acceptance::{self, Verdict};
use crate::config::{JobConfig, SECOND_NS, broken};
use crate::enrich::Enricher;
use crate::failure::JobError;
use crate::flow_ends::FlowEnds;
use crate::gap::{accepted, gap, next_ns};
use crate::metrics::Metrics;
use crate::preaggregate::PreAggregate;
use crate::replay::Replay;
use crate::tick::{Cut, Met, Tally, Tick};
use crate::unreadable::{Unreadable, Why};

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The budget is used up; there may be more.
    Budget,
    /// Nothing more to read now.
    Empty,
    /// The next pack reaches L: its clock + earliness, ns.
    Held(i64),
    /// Too far ahead of the slowest partition.
    Paused,
    /// The end that was seen at the start.
    End,
}

/// Where accepted flows go.
pub(crate) struct Downstream<R: Record> {
    pub(crate) enricher: Enricher<R>,
    pub(crate) sums: PreAggregate<R>,
}

/// A partition being read.
pub(crate) struct Partition {
    pub(crate) id: u32,
    /// Waits for the next tick.
    pub(crate) waits: bool,
    pub(crate) ended: bool,
    reader: Box<dyn Reader>,
    position: Position,
    /// With `until_end`: where it ends.
    end: Option<u64>,
    /// Of a replay: it ends where the clock is there.
    end_clock_ns: i64,
    tallies: BTreeMap<SlotSecs, Tally>,
    pack: Vec<FlowCore>,
    /// Of each flow of the pack what rollups are made of beside it; empty if they need no more.
    ends: Vec<FlowEnds>,
    unreadable: Unreadable,
    met: Vec<Met>,
    /// The reader stands after it, `position` still before it: no record has come since.
    gap: Option<Gap>,
    /// A gap up to here is on record.
    accepted: u64,
}

impl Partition {
    pub(crate) fn new(
        id: u32,
        reader: Box<dyn Reader>,
        position: Position,
        end: Option<u64>,
    ) -> Self {
        Partition {
            id,
            waits: false,
            ended: false,
            reader,
            position,
            end,
            end_clock_ns: i64::MAX,
            tallies: BTreeMap::new(),
            pack: Vec::new(),
            ends: Vec::new(),
            unreadable: Unreadable::default(),
            met: Vec::new(),
            gap: None,
            accepted: 0,
        }
    }

    /// At the end of a replay's range.
    pub(crate) fn ending(mut self, replay: Option<&Arc<Replay>>) -> Self {
        self.end_clock_ns = replay.map_or(i64::MAX, |replay| replay.end_clock_ns);
        self
    }

    /// With the gaps on record: one that was accepted is not asked about again.
    pub(crate) fn knowing(mut self, gaps: &[Gap]) -> Self {
        self.accepted = accepted(gaps, self.id, &self.position);
        self
    }

    /// Reads packs until the budget of bytes is used up or something stops it.
    pub(crate) fn poll<R: Record>(
        &mut self,
        tick: &Tick,
        budget: &mut u64,
        down: &mut Downstream<R>,
        (config, metrics): (&JobConfig, &Metrics),
    ) -> Result<Stop, JobError> {
        let window_ns = i64::try_from(config.rows.window_secs).unwrap_or(i64::MAX) * SECOND_NS;
        while *budget > 0 {
            if self.at_end() {
                return Ok(Stop::End);
            }
            if self.position.clock_ns > tick.slow_ns.saturating_add(2 * window_ns) {
                return Ok(Stop::Paused);
            }
            let record = match self.reader.peek() {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(Stop::Empty),
                Err(TopicError::Gap { url, earliest, .. }) => {
                    self.pass(url, earliest, (config, metrics))?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            // The end may lie in a hole, which the reader has gone over.
            if self.end.is_some_and(|end| record.offset >= end) {
                return Ok(Stop::End);
            }
            let bad = read_pack(&record, config, &mut self.pack);
            if FlowEnds::are_wanted(config.rows.rollups) {
                FlowEnds::read(&record, config.rows.framing, &mut self.ends);
            }
            let before = self.position.clock_ns;
            let (clock, replaced) = pack_clock(&record, &mut self.pack, before, config);
            if !self.pack.is_empty() {
                let reach = clock.saturating_add(window_ns);
                if acceptance::slot_of(reach, config.rows.window_secs) >= tick.fence_secs {
                    return Ok(Stop::Held(reach));
                }
            }
            let judged_by = if broken!(config, ClockWithoutOwnPack) {
                before
            } else {
                clock
            };
            let first = self.position.last_record.is_none();
            let retired_secs = if broken!(config, NewPartitionNotRetired) && first {
                0
            } else {
                tick.retired_secs
            };
            let replay = config.replay.as_deref();
            let recorded_secs = replay.map_or(0, |r| r.retired_secs(self.id, record.offset));
            let mut accepted = 0;
            let mut ends = self.ends.iter();
            for flow in &self.pack {
                let ends = ends.next();
                // After `pack_clock`, a flow's receive time is the trusted one.
                let received = i64::try_from(flow.received_ns).unwrap_or(0);
                let slot = acceptance::flow_slot(flow, received, &config.rows);
                let verdict = match replay {
                    None => acceptance::judge(flow, slot, judged_by, retired_secs, &config.rows),
                    Some(replay) => {
                        let by = (judged_by, recorded_secs);
                        match replay.judge(flow, slot, by, &config.rows) {
                            Some(verdict) => verdict,
                            None => continue,
                        }
                    }
                };
                if verdict == Verdict::Counts {
                    accepted += 1;
                    self.tallies.entry(slot).or_default().flows += 1;
                    down.enricher.push(slot, (flow, ends), &mut down.sums);
                } else {
                    let tally = self
                        .tallies
                        .entry(acceptance::counted_under(slot, judged_by))
                        .or_default();
                    tally.refuse(verdict);
                    metrics.refused(verdict);
                }
            }
            let size = u64::try_from(record.payload.len()).unwrap_or(u64::MAX);
            *budget = budget.saturating_sub(size.max(1));
            metrics.record(size, self.pack.len(), replaced);
            for (index, why) in bad {
                let place = (self.id, record.offset, index);
                self.unreadable.tell(place, why, metrics);
            }
            metrics.accepted.inc_by(accepted);
            if let Some(passed) = self.gap.take() {
                // A record without a readable flow moves no clock; the topic's timestamp says as much.
                let (stamp, _) = acceptance::trusted_ns(0, record.timestamp_millis);
                let after = if self.pack.is_empty() { stamp } else { clock };
                let known = (passed.to_offset, Some(after));
                self.met
                    .push(Met::Gap(gap(self.id, &self.position, known, &config.rows)));
            }
            if before == i64::MIN && clock > before {
                self.met.push(Met::First(clock));
            }
            self.position = Position {
                offset: record.offset + 1,
                clock_ns: clock,
                last_record: Some((record.offset, record.timestamp_millis, fingerprint(&record))),
            };
            self.reader.advance();
        }
        Ok(Stop::Budget)
    }

    /// Goes on at the first offset that retention has left.
    fn pass(
        &mut self,
        url: String,
        earliest: u64,
        (config, metrics): (&JobConfig, &Metrics),
    ) -> Result<(), JobError> {
        self.reader.seek(earliest)?;
        let partition = self.id;
        if self.position.clock_ns == i64::MIN {
            // Nothing was read that could be missed from here on: it is begun later than thought.
            tracing::warn!(
                partition,
                offset = earliest,
                "retention was faster than the first look at this partition"
            );
            self.position.offset = earliest;
            self.met.push(Met::Begun(earliest));
            return Ok(());
        }
        if !config.accept_gap && earliest > self.accepted {
            let known = (earliest, next_ns(self.reader.as_mut())?);
            let gap = gap(partition, &self.position, known, &config.rows);
            return Err(JobError::Gap { url, gap, more: 0 });
        }
        let counted = self.gap.map_or(0, |gap| gap.offsets);
        let gap = gap(partition, &self.position, (earliest, None), &config.rows);
        metrics.gap(partition, gap.offsets - counted);
        tracing::warn!(
            partition,
            from = gap.from_offset,
            to = gap.to_offset,
            offsets = gap.offsets,
            "a gap: retention has deleted these offsets before they were read; the slots that may lack flows are marked"
        );
        if broken!(config, GapNotDeclared) {
            return Ok(());
        }
        self.met.push(Met::Gap(gap));
        self.gap = Some(gap);
        Ok(())
    }

    /// Has `wake` called when there may be more to read.
    pub(crate) fn wake_by(&mut self, wake: Wake) {
        self.reader.wake_by(wake);
    }

    fn at_end(&self) -> bool {
        self.position.clock_ns >= self.end_clock_ns
            || self.end.is_some_and(|end| self.reader.position() >= end)
    }

    /// The tick ends here: its cut, and a clean slate for the next.
    pub(crate) fn cut(&mut self, tick: u64) -> Cut {
        // A partition that can't be reached counts as unread: the watermark must not pass it.
        let unread = !self.at_end() && self.reader.unread().unwrap_or(true);
        Cut {
            tick,
            partition: self.id,
            position: self.position,
            unread,
            tallies: std::mem::take(&mut self.tallies).into_iter().collect(),
            met: std::mem::take(&mut self.met),
        }
    }
}

impl Tally {
    fn refuse(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Counts => {}
            Verdict::TooEarly => self.too_early += 1,
            Verdict::TooLate => self.too_late += 1,
            Verdict::Implausible => self.implausible += 1,
        }
    }
}

/// A message, by its place in the record, or the whole record, and why it could not be read.
pub(crate) type Bad = (Option<usize>, Why);

/// A record of more messages than this is no pack. A byte of a record may be a message, and a compressed record of any
/// size a few bytes: law 8.
const MOST_MESSAGES: usize = 1 << 18;

/// Splits a record into flows. Returns the messages, or whole packs, that could not be read.
pub(crate) fn read_pack(
    record: &RecordRef<'_>,
    config: &JobConfig,
    pack: &mut Vec<FlowCore>,
) -> Vec<Bad> {
    pack.clear();
    let mut bad = Vec::new();
    let (name, value) = PACK_HEADER;
    let ours = record.headers.get(name) == Some(value);
    match messages(record.payload, ours, config.rows.framing) {
        Err(error) => bad.push((None, error.into())),
        Ok(all) => {
            for (index, message) in all.enumerate() {
                if index == MOST_MESSAGES {
                    *pack = Vec::new();
                    bad = vec![(None, Why::TooMany(MOST_MESSAGES))];
                    break;
                }
                match FlowCore::decode(message) {
                    Ok(mut flow) => {
                        if let Some(replay) = &config.replay {
                            replay.rates.put(message, &mut flow);
                        }
                        pack.push(flow);
                    }
                    Err(error) => bad.push((Some(index), error.into())),
                }
            }
        }
    }
    bad
}

/// Puts each flow's trusted receive time in place of the sent one; returns the partition's clock, this pack
/// included, and how many times were replaced. A record without a readable flow moves no clock.
pub(crate) fn pack_clock(
    record: &RecordRef<'_>,
    pack: &mut [FlowCore],
    clock: i64,
    config: &JobConfig,
) -> (i64, u64) {
    let (mut clock, mut replaced) = (clock, 0);
    for flow in pack {
        let (mut time, poisoned) =
            acceptance::trusted_ns(flow.received_ns, record.timestamp_millis);
        if broken!(config, PoisonTrusted) && flow.received_ns != 0 {
            time = i64::try_from(flow.received_ns).unwrap_or(time);
        }
        replaced += u64::from(poisoned);
        flow.received_ns = u64::try_from(time).unwrap_or(0);
        clock = clock.max(time);
    }
    (clock, replaced)
}

/// Recognises a record again: crc32 of its length and its first 256 bytes.
pub(crate) fn fingerprint(record: &RecordRef<'_>) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&record.payload.len().to_le_bytes());
    crc.update(record.payload.get(..256).unwrap_or(record.payload));
    crc.finalize()
}
