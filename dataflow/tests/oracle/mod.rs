//! The oracle: what rows and counts ought to be, from topic content and recorded timeline, written plainly.
//!
//! One thread, `prost`, `BTreeMap`, wide integers; no code of the job, of its decoder or of its tables, so that a
//! mistake would have to be made twice. Laws 2 and 3 are `Oracle::judge` and `Oracle::tables_of`.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "test code; each test uses a part of it"
)]

pub mod message;
pub mod tables;

use std::collections::BTreeMap;

use message::Message;
pub use message::{Framing, record_messages};
pub use tables::Tables;

const SECOND: i128 = 1_000_000_000;
const TEN_MINUTES: i128 = 600 * SECOND;
const DAY: i128 = 86_400 * SECOND;
const PLAUSIBLE: u128 = 1 << 50;

/// One record of the topic.
#[derive(Clone, Debug)]
pub struct Record {
    pub offset: u64,
    pub timestamp_millis: i64,
    /// Whether it carries the header `flow-pipeline: 1`.
    pub ours: bool,
    pub payload: Vec<u8>,
}

/// One recorded retirement: slots that end at or below `line_secs`, for flows from `offsets` on (0 if not named).
#[derive(Clone, Debug)]
pub struct Retired {
    pub line_secs: u64,
    pub offsets: BTreeMap<u32, u64>,
}

/// Records of a partition that the job has declared as gone before it could read them.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    pub partition: u32,
    pub from: u64,
    pub to: u64,
}

/// Which time names a flow's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    Received,
    Start,
    End,
}

/// What decides rows.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub window_secs: u64,
    pub lateness_secs: u64,
    pub slot_time: Time,
    pub framing: Framing,
    /// Flows that are too early or too late count, too, unless they belong to `elsewhere`.
    pub every: bool,
    /// Rollups beside the first two, numbered from 2 on.
    pub more: &'static [More],
}

/// A rollup by some of source AS, destination AS and EtherType, in longer slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct More {
    /// Which of the three, in the order of its key.
    pub parts: &'static [usize],
    pub window_secs: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            window_secs: 300,
            lateness_secs: 3_600,
            slot_time: Time::Received,
            framing: Framing::Auto,
            every: false,
            more: &[],
        }
    }
}

/// Everything a row depends on. Only records below the cut belong in here.
#[derive(Clone, Debug, Default)]
pub struct Input {
    pub partitions: BTreeMap<u32, Vec<Record>>,
    pub retirements: Vec<Retired>,
    /// Records below these offsets were not there when the job began.
    pub starts: BTreeMap<u32, u64>,
    pub lost: Vec<Lost>,
    /// From which slot on which tables hold, ascending. None: no tables.
    pub versions: Vec<(u64, Tables)>,
    pub config: Config,
    /// Whether what became of each single flow is asked for, too.
    pub fates: bool,
}

/// (rollup: 0 AS, 1 country; slot; key).
pub type Key = (u16, u64, [u32; 3]);
/// Bytes, packets, flows, scaled bytes, scaled packets, flows of unknown rate.
pub type Sums = [u64; 6];

/// What is known of a slot; slot 0: `elsewhere`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Flows in rows of the first rollup.
    pub flows: u64,
    pub too_early: u64,
    pub too_late: u64,
    pub implausible: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub rows: BTreeMap<Key, Sums>,
    /// Slots with any count.
    pub slots: BTreeMap<u64, Slot>,
    /// Clock of each partition that has a readable flow, ns since 1970.
    pub clocks: BTreeMap<u32, i128>,
    pub records: u64,
    pub undecodable_records: u64,
    /// Flows of readable records: in rows or refused.
    pub flows: u64,
    /// Partition, first and last slot of which flows may be missing.
    pub missing: Vec<(u32, u64, u64)>,
    /// What became of each flow, by partition, offset and place in the record, if `Input::fates`.
    pub fates: BTreeMap<(u32, u64, u32), Fated>,
}

/// What became of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fated {
    pub fate: Fate,
    pub slot: u64,
    /// Trusted receive time, ns.
    pub received: i128,
    /// Number of the entry in `Input::versions` that holds for its slot; `None`: not fixed, or no concern of it.
    pub version: Option<usize>,
    /// Source and destination AS.
    pub by_as: [u32; 2],
}

impl Output {
    /// Partitions of which flows of a slot may be missing.
    pub fn missing_in(&self, slot: u64) -> Vec<u32> {
        let meets = |(_, first, last): &&(u32, u64, u64)| (*first..=*last).contains(&slot);
        let partitions: std::collections::BTreeSet<u32> =
            self.missing.iter().filter(meets).map(|m| m.0).collect();
        partitions.into_iter().collect()
    }

    /// Counts of all slots together.
    pub fn total(&self) -> Slot {
        self.slots.values().fold(Slot::default(), |a, b| Slot {
            flows: a.flows + b.flows,
            too_early: a.too_early + b.too_early,
            too_late: a.too_late + b.too_late,
            implausible: a.implausible + b.implausible,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Counts,
    Implausible,
    TooEarly,
    TooLate,
}

/// Where a flow stands: partition, offset, place in the record, and the partition's clock, its own pack included.
struct Place {
    partition: u32,
    offset: u64,
    index: u32,
    clock: i128,
}

pub struct Oracle<'a> {
    input: &'a Input,
    none: Tables,
    out: Output,
}

/// Rows and counts.
pub fn run(input: &Input) -> Output {
    let mut oracle = Oracle {
        input,
        none: Tables::default(),
        out: Output::default(),
    };
    for (&partition, records) in &input.partitions {
        oracle.partition(partition, records);
    }
    oracle.out
}

impl Oracle<'_> {
    fn partition(&mut self, partition: u32, records: &[Record]) {
        let mut clock = i128::MIN;
        let mut clock_before_loss = None;
        for record in records {
            if self.not_there(partition, record.offset) {
                continue;
            }
            if self.lost(partition, record.offset) {
                clock_before_loss.get_or_insert(clock);
                continue;
            }
            self.out.records += 1;
            let flows = record_messages(record, self.input.config.framing);
            for (_, flow) in flows.iter().flatten() {
                clock = clock.max(trusted(flow, record));
            }
            if let Some(before) = clock_before_loss.take() {
                let stamp = i128::from(record.timestamp_millis) * 1_000_000;
                let silent = flows.as_ref().is_none_or(Vec::is_empty);
                self.miss(partition, before, Some(if silent { stamp } else { clock }));
            }
            let Some(flows) = flows else {
                self.out.undecodable_records += 1;
                continue;
            };
            if flows.is_empty() {
                continue;
            }
            self.out.clocks.insert(partition, clock);
            for (index, flow) in &flows {
                let place = Place {
                    partition,
                    offset: record.offset,
                    index: *index,
                    clock,
                };
                self.flow(flow, trusted(flow, record), &place);
            }
        }
        if let Some(before) = clock_before_loss {
            self.miss(partition, before, None);
        }
    }

    fn not_there(&self, partition: u32, offset: u64) -> bool {
        self.input
            .starts
            .get(&partition)
            .is_some_and(|start| offset < *start)
    }

    fn lost(&self, partition: u32, offset: u64) -> bool {
        let holds = |l: &&Lost| l.partition == partition && l.from <= offset && offset < l.to;
        self.input.lost.iter().find(holds).is_some()
    }

    /// A slot misses flows if one with a clock between the two could have counted in it.
    fn miss(&mut self, partition: u32, before: i128, after: Option<i128>) {
        let window = i128::from(self.input.config.window_secs);
        let lateness = i128::from(self.input.config.lateness_secs);
        let slot = |secs: i128| u64::try_from(secs.max(0) / window * window).unwrap();
        // The first slot whose end + lateness is above the clock.
        let first = slot(before.div_euclid(SECOND) - lateness);
        let last = after.map_or(u64::MAX, |after| {
            slot(after.max(before).div_euclid(SECOND) + window)
        });
        self.out.missing.push((partition, first, last));
    }

    fn flow(&mut self, flow: &Message, received: i128, place: &Place) {
        self.out.flows += 1;
        let time = match self.input.config.slot_time {
            Time::Received => received,
            Time::Start => flow.start_ns().unwrap_or(received),
            Time::End => flow.end_ns().unwrap_or(received),
        };
        let window = i128::from(self.input.config.window_secs);
        let start = (time.max(0) / SECOND / window * window) * SECOND;
        let slot = u64::try_from(start / SECOND).unwrap();
        let far = (start - place.clock).abs() > DAY;
        let fate = match self.judge(flow, start, place) {
            Fate::TooEarly | Fate::TooLate if self.input.config.every && !far => Fate::Counts,
            fate => fate,
        };
        let refused_in = if far { 0 } else { slot };
        if self.input.fates {
            let early = start > place.clock + window * SECOND;
            let at = (place.partition, place.offset, place.index);
            let fated = self.fated(flow, fate, slot, !far && !early);
            self.out.fates.insert(at, Fated { received, ..fated });
        }
        match fate {
            Fate::Implausible => self.slot(refused_in).implausible += 1,
            Fate::TooEarly => self.slot(refused_in).too_early += 1,
            Fate::TooLate => self.slot(refused_in).too_late += 1,
            Fate::Counts => {
                self.slot(slot).flows += 1;
                self.count(flow, slot);
            }
        }
    }

    /// A flow as it stands among the raw ones. Its version is fixed unless its slot is too early or far away.
    fn fated(&self, flow: &Message, fate: Fate, slot: u64, fixed: bool) -> Fated {
        let versions = &self.input.versions;
        let version = versions.iter().rposition(|(from, _)| *from <= slot);
        let version = version.filter(|_| fixed);
        let tables = version.map_or(&self.none, |version| &versions[version].1);
        Fated {
            fate,
            slot,
            received: 0,
            version,
            by_as: by_as(flow, tables),
        }
    }

    fn slot(&mut self, slot: u64) -> &mut Slot {
        self.out.slots.entry(slot).or_default()
    }

    /// Law 2. `start`: of the slot, ns.
    fn judge(&self, flow: &Message, start: i128, place: &Place) -> Fate {
        let config = &self.input.config;
        let (rate, _) = flow.rate();
        let too_much = |n: u64| u128::from(n) * u128::from(rate) > PLAUSIBLE;
        if too_much(flow.bytes) || too_much(flow.packets) {
            return Fate::Implausible;
        }
        let window = i128::from(config.window_secs) * SECOND;
        if start > place.clock + window {
            return Fate::TooEarly;
        }
        let end = start + window;
        let retired = self.input.retirements.iter().any(|r| {
            let from = r.offsets.get(&place.partition).copied().unwrap_or(0);
            end <= i128::from(r.line_secs) * SECOND && place.offset >= from
        });
        if retired || end + i128::from(config.lateness_secs) * SECOND <= place.clock {
            return Fate::TooLate;
        }
        Fate::Counts
    }

    /// Law 3: the version of a slot depends on the slot alone.
    fn tables_of(&self, slot: u64) -> &Tables {
        let version = self
            .input
            .versions
            .iter()
            .rev()
            .find(|(from, _)| *from <= slot);
        version.map_or(&self.none, |(_, tables)| tables)
    }

    fn count(&mut self, flow: &Message, slot: u64) {
        let tables = self.tables_of(slot);
        let (src, dst) = (flow.source(), flow.destination());
        let [src_as, dst_as] = by_as(flow, tables);
        let by_as = [src_as, dst_as, flow.etype];
        let by_country = [tables.country(src), tables.country(dst), flow.etype];
        let with_country = tables.has_country();
        let (rate, unknown) = flow.rate();
        let sums = [
            flow.bytes,
            flow.packets,
            1,
            flow.bytes * rate,
            flow.packets * rate,
            u64::from(unknown),
        ];
        self.add((0, slot, by_as), sums);
        if with_country {
            self.add((1, slot, by_country), sums);
        }
        for (number, more) in (2..).zip(self.input.config.more) {
            let mut key = [0; 3];
            for (word, part) in key.iter_mut().zip(more.parts) {
                *word = by_as[*part];
            }
            self.add(
                (number, slot / more.window_secs * more.window_secs, key),
                sums,
            );
        }
    }

    fn add(&mut self, key: Key, sums: Sums) {
        let row = self.out.rows.entry(key).or_default();
        for (total, n) in row.iter_mut().zip(sums) {
            *total += n;
        }
    }
}

/// The AS of each side: of the tables and the flow's own the first that is not 0, in the order for the exporter.
fn by_as(flow: &Message, tables: &Tables) -> [u32; 2] {
    let asked = tables.asked(flow.exporter());
    let asn = |address, sent| {
        let answer = |asked: &&str| match *asked {
            "table" => tables.asn(address),
            _ => sent,
        };
        asked.iter().map(answer).find(|asn| *asn != 0).unwrap_or(0)
    };
    [
        asn(flow.source(), flow.src_as),
        asn(flow.destination(), flow.dst_as),
    ]
}

/// The flow's receive time if it is within ten minutes of the topic's timestamp, else that timestamp.
fn trusted(flow: &Message, record: &Record) -> i128 {
    let stamp = i128::from(record.timestamp_millis) * 1_000_000;
    match flow.received_ns() {
        Some(received) if (received - stamp).abs() <= TEN_MINUTES => received,
        _ => stamp,
    }
}
