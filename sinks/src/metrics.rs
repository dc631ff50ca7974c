//! The sinks' metrics, each declared once.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Which sink: as many label values as the command line has sinks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabel {
    sink: String,
}

type Seconds = Counter<f64, std::sync::atomic::AtomicU64>;

/// Counters and gauges of all sinks. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    rows: Family<SinkLabel, Counter>,
    transactions: Family<SinkLabel, Counter>,
    seconds: Family<SinkLabel, Seconds>,
    retries: Family<SinkLabel, Counter>,
    moved: Family<SinkLabel, Counter>,
    cursor: Family<SinkLabel, Gauge>,
    lag: Family<SinkLabel, Gauge>,
    age: Family<SinkLabel, Gauge>,
    raw: RawFamilies,
}

#[derive(Clone, Debug, Default)]
struct RawFamilies {
    flows: Family<SinkLabel, Counter>,
    blocks: Family<SinkLabel, Counter>,
    seconds: Family<SinkLabel, Seconds>,
    retries: Family<SinkLabel, Counter>,
    moved: Family<SinkLabel, Counter>,
    missing: Family<SinkLabel, Counter>,
    gaps: Family<SinkLabel, Counter>,
    cursor: Family<SinkLabel, Gauge>,
    lag: Family<SinkLabel, Gauge>,
    age: Family<SinkLabel, Gauge>,
}

/// One sink's.
#[derive(Clone, Debug)]
pub(crate) struct SinkMetrics {
    pub(crate) rows: Counter,
    pub(crate) transactions: Counter,
    pub(crate) seconds: Seconds,
    pub(crate) retries: Counter,
    pub(crate) moved: Counter,
    pub(crate) cursor: Gauge,
    pub(crate) lag: Gauge,
    pub(crate) age: Gauge,
}

/// One sink's of raw flows.
#[derive(Clone, Debug)]
pub(crate) struct RawMetrics {
    pub(crate) flows: Counter,
    pub(crate) blocks: Counter,
    pub(crate) seconds: Seconds,
    pub(crate) retries: Counter,
    pub(crate) moved: Counter,
    pub(crate) missing: Counter,
    pub(crate) gaps: Counter,
    pub(crate) cursor: Gauge,
    pub(crate) lag: Gauge,
    pub(crate) age: Gauge,
}

impl Metrics {
    /// Declares them all.
    pub fn register(registry: &mut Registry) -> Metrics {
        let m = Metrics::default();
        let r = registry;
        r.register(
            "sink_rows_written",
            "Rows handed to the store",
            m.rows.clone(),
        );
        r.register(
            "sink_transactions",
            "Deltas written",
            m.transactions.clone(),
        );
        r.register(
            "sink_write_seconds",
            "Time spent in writing deltas",
            m.seconds.clone(),
        );
        r.register(
            "sink_retries",
            "Tries that failed and were repeated",
            m.retries.clone(),
        );
        r.register(
            "sink_cursor_conflicts",
            "Deltas not written because another writer had moved the cursor",
            m.moved.clone(),
        );
        r.register(
            "sink_cursor",
            "Last checkpoint acknowledged over all shards",
            m.cursor.clone(),
        );
        r.register(
            "sink_lag_checkpoints",
            "Newest checkpoint number less the last acknowledged one",
            m.lag.clone(),
        );
        r.register(
            "sink_lag_seconds",
            "How long a checkpoint has been waiting for this sink; 0: caught up",
            m.age.clone(),
        );
        m.raw.register(r);
        m
    }

    /// Rows handed to a sink so far.
    pub fn rows_written(&self, sink: &str) -> u64 {
        self.rows
            .get_or_create(&SinkLabel {
                sink: sink.to_owned(),
            })
            .get()
    }

    /// Raw flows handed to a sink so far.
    pub fn raw_flows_written(&self, sink: &str) -> u64 {
        let label = SinkLabel {
            sink: sink.to_owned(),
        };
        self.raw.flows.get_or_create(&label).get()
    }

    /// Shows every metric of a sink, at 0 before anything has happened: for the reference.
    pub fn announce(&self, sink: &str) {
        let _ = self.of(sink);
        let _ = self.of_raw(sink);
    }

    pub(crate) fn of_raw(&self, sink: &str) -> RawMetrics {
        let label = SinkLabel {
            sink: sink.to_owned(),
        };
        let raw = &self.raw;
        RawMetrics {
            flows: raw.flows.get_or_create_owned(&label),
            blocks: raw.blocks.get_or_create_owned(&label),
            seconds: raw.seconds.get_or_create_owned(&label),
            retries: raw.retries.get_or_create_owned(&label),
            moved: raw.moved.get_or_create_owned(&label),
            missing: raw.missing.get_or_create_owned(&label),
            gaps: raw.gaps.get_or_create_owned(&label),
            cursor: raw.cursor.get_or_create_owned(&label),
            lag: raw.lag.get_or_create_owned(&label),
            age: raw.age.get_or_create_owned(&label),
        }
    }

    pub(crate) fn of(&self, sink: &str) -> SinkMetrics {
        let label = SinkLabel {
            sink: sink.to_owned(),
        };
        SinkMetrics {
            rows: self.rows.get_or_create_owned(&label),
            transactions: self.transactions.get_or_create_owned(&label),
            seconds: self.seconds.get_or_create_owned(&label),
            retries: self.retries.get_or_create_owned(&label),
            moved: self.moved.get_or_create_owned(&label),
            cursor: self.cursor.get_or_create_owned(&label),
            lag: self.lag.get_or_create_owned(&label),
            age: self.age.get_or_create_owned(&label),
        }
    }
}

impl RawFamilies {
    fn register(&self, r: &mut Registry) {
        r.register(
            "sink_raw_flows_written",
            "Raw flows handed to the store",
            self.flows.clone(),
        );
        r.register(
            "sink_raw_blocks",
            "Blocks of raw flows written",
            self.blocks.clone(),
        );
        r.register(
            "sink_raw_write_seconds",
            "Time spent in reading blocks again and writing them",
            self.seconds.clone(),
        );
        r.register(
            "sink_raw_retries",
            "Tries at raw flows that failed and were repeated",
            self.retries.clone(),
        );
        r.register(
            "sink_raw_cursor_conflicts",
            "Blocks not written because another writer had moved the cursor",
            self.moved.clone(),
        );
        r.register(
            "sink_raw_missing_offsets",
            "Offsets that retention had removed from the topic before their raw flows were written",
            self.missing.clone(),
        );
        r.register(
            "sink_raw_gaps",
            "Times that raw flows began anywhere else than where they had ended",
            self.gaps.clone(),
        );
        r.register(
            "sink_raw_cursor",
            "Last checkpoint up to which no raw flow is missing, over all partitions",
            self.cursor.clone(),
        );
        r.register(
            "sink_raw_lag_checkpoints",
            "Newest checkpoint number less the one up to which no raw flow is missing",
            self.lag.clone(),
        );
        r.register(
            "sink_raw_lag_seconds",
            "How long a checkpoint has been waiting for its raw flows to be written; 0: caught up",
            self.age.clone(),
        );
    }
}
