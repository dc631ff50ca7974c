//! The job's metrics, each declared once.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::acceptance::Verdict;

/// Label of `source_undecodable`: as many values as the topic has partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelSet)]
struct InPartition {
    partition: u32,
}

/// Label of `window_refused_flows`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelSet)]
pub struct Reason {
    /// `too_early`, `too_late` or `implausible`.
    pub reason: &'static str,
}

/// Label of `tables_swaps`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelSet)]
struct SwapResult {
    result: &'static str,
}

/// Counters and gauges of sources, windows and checkpoints. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Records read.
    pub records: Counter,
    /// Bytes of their payloads.
    pub bytes: Counter,
    /// Flows decoded.
    pub flows: Counter,
    /// Flows that count: they are in rows, or will be when their slot completes.
    pub accepted: Counter,
    undecodable: Family<InPartition, Counter>,
    all_undecodable: Counter,
    gaps: Family<InPartition, Counter>,
    missing_offsets: Family<InPartition, Counter>,
    /// Receive times replaced by the topic's timestamp.
    pub untrusted: Counter,
    refused: Family<Reason, Counter>,
    /// Partitions being read.
    pub partitions: Gauge,
    /// Number of the newest tick.
    pub tick: Gauge,
    /// Watermark, seconds since 1970.
    pub watermark_secs: Gauge,
    /// Keys held by all workers.
    pub open_keys: Gauge,
    /// Number of the newest durable checkpoint.
    pub checkpoint: Gauge,
    /// Tries to write a segment or a checkpoint that have failed.
    pub failed_writes: Counter,
    /// Number of the newest table version.
    pub table_version: Gauge,
    swaps: Family<SwapResult, Counter>,
}

impl Metrics {
    /// Declares them all.
    pub fn register(registry: &mut Registry) -> Metrics {
        let m = Metrics::default();
        let r = registry;
        r.register(
            "source_records",
            "Records read from the topic",
            m.records.clone(),
        );
        r.register("source_bytes", "Bytes of the records read", m.bytes.clone());
        r.register("source_flows", "Flows decoded", m.flows.clone());
        r.register(
            "window_accepted_flows",
            "Flows that are in rows, or will be when their slot completes",
            m.accepted.clone(),
        );
        r.register(
            "source_undecodable",
            "Records, or messages in them, that could not be read",
            m.undecodable.clone(),
        );
        r.register(
            "source_gaps",
            "Times that retention had deleted offsets before they were read",
            m.gaps.clone(),
        );
        r.register(
            "source_missing_offsets",
            "Offsets that retention had deleted before they were read",
            m.missing_offsets.clone(),
        );
        r.register(
            "source_untrusted_times",
            "Receive times replaced by the topic's timestamp",
            m.untrusted.clone(),
        );
        r.register(
            "window_refused_flows",
            "Flows kept out of rows",
            m.refused.clone(),
        );
        r.register(
            "source_partitions",
            "Partitions being read",
            m.partitions.clone(),
        );
        r.register("job_tick", "Number of the newest tick", m.tick.clone());
        r.register(
            "job_watermark_seconds",
            "Watermark, seconds since 1970",
            m.watermark_secs.clone(),
        );
        r.register(
            "window_open_keys",
            "Keys held in open slots",
            m.open_keys.clone(),
        );
        r.register(
            "checkpoint_number",
            "Newest durable checkpoint",
            m.checkpoint.clone(),
        );
        r.register(
            "checkpoint_failed_writes",
            "Tries to write a segment or a checkpoint that have failed; each is made again",
            m.failed_writes.clone(),
        );
        r.register(
            "tables_version",
            "Newest version of the tables on record; in process 0",
            m.table_version.clone(),
        );
        r.register(
            "tables_swaps",
            "Requests for other tables that were decided while the job ran, by what came of it; in process 0",
            m.swaps.clone(),
        );
        for is_granted in [true, false] {
            m.swap(is_granted, 0);
        }
        m
    }

    /// Flows refused for this reason so far.
    pub fn refused_flows(&self, reason: &'static str) -> u64 {
        self.refused.get_or_create(&Reason { reason }).get()
    }

    /// Records, or messages in them, that could not be read so far.
    pub fn undecodable_messages(&self) -> u64 {
        self.all_undecodable.get()
    }

    /// Shows every metric with a label, at 0 before anything has happened: for the reference.
    pub fn announce(&self) {
        let _ = self.refused_flows(Verdict::TooLate.refused());
        for family in [&self.undecodable, &self.gaps, &self.missing_offsets] {
            let _ = family.get_or_create(&InPartition { partition: 0 });
        }
    }

    /// So many requests for other tables were granted, or refused.
    pub(crate) fn swap(&self, is_granted: bool, count: u64) {
        let result = if is_granted { "granted" } else { "refused" };
        self.swaps
            .get_or_create(&SwapResult { result })
            .inc_by(count);
    }

    /// Offsets of a partition that retention had deleted before they were read, so far.
    pub fn missing_offsets(&self, partition: u32) -> u64 {
        let counter = self
            .missing_offsets
            .get_or_create(&InPartition { partition });
        counter.get()
    }

    pub(crate) fn gap(&self, partition: u32, offsets: u64) {
        self.gaps.get_or_create(&InPartition { partition }).inc();
        let missing = self
            .missing_offsets
            .get_or_create(&InPartition { partition });
        missing.inc_by(offsets);
    }

    pub(crate) fn undecodable(&self, partition: u32) {
        self.all_undecodable.inc();
        self.undecodable
            .get_or_create(&InPartition { partition })
            .inc();
    }

    pub(crate) fn refused(&self, verdict: Verdict) {
        let reason = verdict.refused();
        if reason.is_empty() {
            return;
        }
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn record(&self, bytes: u64, flows: usize, untrusted: u64) {
        self.records.inc();
        self.bytes.inc_by(bytes);
        self.flows.inc_by(u64::try_from(flows).unwrap_or(u64::MAX));
        if untrusted > 0 {
            self.untrusted.inc_by(untrusted);
        }
    }
}
