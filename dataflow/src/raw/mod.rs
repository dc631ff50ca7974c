//! The raw writer's side of the topic: every flow of a span of records, judged and enriched as the job did.
//!
//! It exists so that stores can hold single flows beside the rows: a plain loop for one partition, by the same decode,
//! clock, acceptance and enrichment functions as the dataflow. Law 1: what it gives is a pure function of the records,
//! the partition's clock before them and the timeline; so a span read twice gives the same flows, and the
//! counted ones sum up to the rows.

mod again;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use flow_proto::{Coordinate, EnrichedFlow, Flow, FlowCore, PACK_HEADER, Verdict, messages};
use flow_state::{Gap, Position, SlotSecs, Timeline};
use flow_topic::{Reader, RecordRef, Topic, TopicError};

use crate::acceptance;
use crate::config::{JobConfig, SECOND_NS, broken};
use crate::failure::JobError;
use crate::partition::{pack_clock, read_pack};
use crate::shelf::TableShelf;
pub use again::Again;
use tables::{Version, version_of};

/// How long a record that is known to be there may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks for a record that a topic does not know of yet.
const LOOK: Duration = Duration::from_millis(20);
/// So many looks.
const LOOKS: usize = 150;

/// Records of one partition between two checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct RawSpan<'a> {
    /// The partition.
    pub partition: u32,
    /// Where it begins, with the partition's clock there.
    pub from: Position,
    /// Offset after its last record.
    pub end_offset: u64,
    /// The timeline of a checkpoint whose cut is `end_offset` or above.
    pub timeline: &'a Timeline,
    /// The gaps of that checkpoint: what the job has not read is not read here either, should the topic still show it.
    pub gaps: &'a [Gap],
}

/// What a walk has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawRead {
    /// Flows handed over.
    pub flows: u64,
    /// Offsets that retention has removed from the topic before they could be read.
    pub missing_offsets: u64,
    /// Offset after the last one that was looked at.
    pub end_offset: u64,
}

/// Reads raw flows of a topic. Holds a few table versions and a reader for each partition.
pub struct RawReader {
    topic: Arc<dyn Topic>,
    config: JobConfig,
    tables: TableShelf,
    /// By partition, each where it was left: spans mostly follow one another.
    readers: Mutex<BTreeMap<u32, Box<dyn Reader>>>,
}

impl fmt::Debug for RawReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawReader")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl RawReader {
    /// Of a job's topic; `tables` are the job's own, so that no set is loaded a second time.
    pub fn new(topic: Arc<dyn Topic>, config: JobConfig, tables: TableShelf) -> RawReader {
        RawReader {
            topic,
            config,
            tables,
            readers: Mutex::default(),
        }
    }

    /// The topic's URL without secrets.
    pub fn url(&self) -> String {
        self.topic.url()
    }

    /// Hands each flow of the span to `take`, in the order of offsets, then indexes, until it breaks.
    ///
    /// # Errors
    /// The topic's, the table archive's.
    pub fn read(
        &self,
        span: &RawSpan<'_>,
        take: &mut dyn FnMut(&EnrichedFlow) -> ControlFlow<()>,
    ) -> Result<RawRead, JobError> {
        self.walk((span, None), &mut |flow, _| take(flow))
    }

    /// As `read`, of the flows of some slots alone; with each comes the partition's clock before its record.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_again(
        &self,
        span: &RawSpan<'_>,
        again: &Again<'_>,
        take: &mut dyn FnMut(&EnrichedFlow, i64) -> ControlFlow<()>,
    ) -> Result<RawRead, JobError> {
        self.walk((span, Some(again)), take)
    }

    fn walk(
        &self,
        (span, again): (&RawSpan<'_>, Option<&Again<'_>>),
        take: &mut Take<'_>,
    ) -> Result<RawRead, JobError> {
        let mut read = RawRead::default();
        let mut walk = Walk {
            reader: self,
            span,
            again,
            clock_ns: span.from.clock_ns,
            retired: Retired::new(span, broken!(self.config, RawRetirementOfTheEnd)),
            pack: Vec::new(),
            flow: EnrichedFlow::default(),
            version: None,
        };
        let mut records = self.open(span, &mut read)?;
        while records.position() < span.end_offset && !walk.is_over() {
            let before = records.position();
            match records.peek() {
                Ok(Some(record))
                    if span
                        .gaps
                        .iter()
                        .any(|g| g.holds(span.partition, record.offset)) =>
                {
                    read.missing_offsets += 1;
                }
                Ok(Some(record)) if record.offset < span.end_offset => {
                    if walk.record(&record, &mut read, take)?.is_break() {
                        return Ok(read);
                    }
                }
                // Holes up to the end, as transactions and compaction leave them.
                Ok(Some(_)) => break,
                Ok(None) => {
                    self.still_to_come(span, records.as_mut())?;
                    continue;
                }
                Err(TopicError::Gap { earliest, .. }) => {
                    let earliest = earliest.min(span.end_offset);
                    read.missing_offsets += earliest.saturating_sub(before);
                    records.seek(earliest)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            records.advance();
        }
        read.end_offset = match walk.is_over() {
            true => records.position().min(span.end_offset),
            false => span.end_offset,
        };
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.insert(span.partition, records);
        Ok(read)
    }

    /// Waits for a record: the job has read it, so it is there, whatever the topic believes at this moment.
    fn still_to_come(&self, span: &RawSpan<'_>, records: &mut dyn Reader) -> Result<(), JobError> {
        for _ in 0..LOOKS {
            if records.wait(PATIENCE)? {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        Err(JobError::OtherTopic {
            url: self.topic.url(),
            partition: span.partition,
            what: format!(
                "it ends at offset {}, the state has read up to {}",
                records.position(),
                span.end_offset
            ),
        })
    }

    /// A reader at the span's first record that is still there: the one of the span before, if this follows it.
    fn open(&self, span: &RawSpan<'_>, read: &mut RawRead) -> Result<Box<dyn Reader>, JobError> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = readers.remove(&span.partition);
        if let Some(before) = before.filter(|held| held.position() == span.from.offset) {
            return Ok(before);
        }
        let earliest = self.topic.bounds(span.partition)?.earliest;
        let first = earliest.min(span.end_offset).max(span.from.offset);
        read.missing_offsets = first - span.from.offset;
        Ok(self.topic.reader(span.partition, first)?)
    }
}

/// The retirement lines of a partition, by the offsets from which they hold.
struct Retired {
    secs: u64,
    later: std::vec::IntoIter<(u64, u64)>,
    next: Option<(u64, u64)>,
}

impl Retired {
    fn new(span: &RawSpan<'_>, all_at_once: bool) -> Retired {
        let from = |offsets: &BTreeMap<u32, u64>| match offsets.get(&span.partition) {
            Some(from) if !all_at_once => *from,
            _ => 0,
        };
        let mut lines: Vec<(u64, u64)> = span
            .timeline
            .retirements
            .iter()
            .map(|line| (from(&line.offsets), line.line_secs))
            .collect();
        lines.sort_unstable();
        let mut later = lines.into_iter();
        let next = later.next();
        let mut retired = Retired {
            secs: 0,
            later,
            next,
        };
        retired.at(span.from.offset);
        retired
    }

    /// R for the flows of the record at `offset`; offsets come in ascending order.
    fn at(&mut self, offset: u64) -> u64 {
        while let Some((_, secs)) = self.next.filter(|(from, _)| *from <= offset) {
            self.secs = self.secs.max(secs);
            self.next = self.later.next();
        }
        self.secs
    }
}

/// Takes a flow, and the clock before its record.
type Take<'a> = dyn FnMut(&EnrichedFlow, i64) -> ControlFlow<()> + 'a;

/// A walk under way.
struct Walk<'a> {
    reader: &'a RawReader,
    span: &'a RawSpan<'a>,
    again: Option<&'a Again<'a>>,
    clock_ns: i64,
    retired: Retired,
    pack: Vec<FlowCore>,
    flow: EnrichedFlow,
    /// The slot of the flow before, and its version: most flows have the same.
    version: Option<(SlotSecs, Option<Version>)>,
}

impl Walk<'_> {
    fn record(
        &mut self,
        record: &RecordRef<'_>,
        read: &mut RawRead,
        take: &mut Take<'_>,
    ) -> Result<ControlFlow<()>, JobError> {
        let before_ns = self.clock_ns;
        let config = &self.reader.config;
        let bad: BTreeSet<_> = read_pack(record, config, &mut self.pack)
            .into_iter()
            .map(|(index, _)| index)
            .collect();
        (self.clock_ns, _) = pack_clock(record, &mut self.pack, self.clock_ns, config);
        let retired_secs = self.retired.at(record.offset);
        let (name, value) = PACK_HEADER;
        let ours = record.headers.get(name) == Some(value);
        // A record that cannot be split has been told by the job, and holds no flow.
        let all = messages(record.payload, ours, config.rows.framing);
        let whole = all.into_iter().flatten().enumerate();
        let readable = whole.filter(|(index, _)| !bad.contains(&Some(*index)));
        let pack = std::mem::take(&mut self.pack);
        for ((index, message), core) in readable.zip(&pack) {
            if self.again.is_some_and(|again| !again.wants(core, config)) {
                continue;
            }
            let Ok(flow) = Flow::decode(message) else {
                continue; // both decoders refuse the same messages
            };
            self.flow.flow = flow;
            self.flow.at = Coordinate {
                partition: self.span.partition,
                offset: record.offset,
                index: u32::try_from(index).unwrap_or(u32::MAX),
            };
            self.judge(core, retired_secs)?;
            read.flows += 1;
            if take(&self.flow, before_ns).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.pack = pack;
        Ok(ControlFlow::Continue(()))
    }

    /// The verdict, and what the tables say. After `pack_clock`, a core's receive time is the trusted one.
    fn judge(&mut self, core: &FlowCore, retired_secs: u64) -> Result<(), JobError> {
        let rows = &self.reader.config.rows;
        let received = i64::try_from(core.received_ns).unwrap_or(0);
        let slot = acceptance::flow_slot(core, received, rows);
        let flow = &mut self.flow;
        flow.verdict = acceptance::judge(core, slot, self.clock_ns, retired_secs, rows);
        if let Some(again) = self.again {
            flow.verdict = again.verdict(flow.verdict, (slot, self.clock_ns), flow.at);
        }
        flow.received_ns = core.received_ns;
        flow.slot_secs = slot;
        flow.flow.sampling_rate = core.sampling_rate;
        (flow.src_as, flow.dst_as) = (core.src_as, core.dst_as);
        (flow.src_country, flow.dst_country, flow.table_version) = (0, 0, 0);
        flow.forget_texts();
        if flow.verdict != Verdict::Counts && !self.has_version(slot) {
            return Ok(());
        }
        if self.version.as_ref().is_none_or(|(of, _)| *of != slot) {
            let version = version_of(&self.reader.tables, self.span.timeline, slot)?;
            self.version = Some((slot, version));
        }
        if let Some((_, Some(version))) = &self.version {
            version.enrich(core, &mut self.flow);
        }
        Ok(())
    }

    /// Whether no flow that is wanted can follow.
    fn is_over(&self) -> bool {
        self.again
            .is_some_and(|again| self.clock_ns >= again.end_clock_ns)
    }

    /// Law 3: the version of a slot is fixed once no pack can reach it that L does not hold back; an implausible flow
    /// may name a later one. A slot that is counted under `elsewhere` would only have old tables loaded.
    fn has_version(&self, slot: SlotSecs) -> bool {
        let window_ns = i128::from(self.reader.config.rows.window_secs) * i128::from(SECOND_NS);
        let start_ns = i128::from(slot) * i128::from(SECOND_NS);
        let early = start_ns > i128::from(self.clock_ns) + window_ns;
        // A flow sent as of 1970 is far away, too: its slot has the number of `elsewhere` by chance.
        let far =
            slot == acceptance::ELSEWHERE || acceptance::counted_under(slot, self.clock_ns) != slot;
        !early && !far
    }
}
