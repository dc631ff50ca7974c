//! Counters of topics, declared once: the embedded log's here, those of Kafka's clients in `kafka`.
//!
//! Why here: the writer is the only one who knows what it has made durable and what retention took away.
//! Law: a record is counted as appended when it is durable, not when it was handed over.

pub(crate) mod kafka;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

pub use kafka::KafkaMetrics;

/// What the writers of a process have done. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Records made durable.
    pub appended_records: Counter,
    /// Their bytes on disk, frames included.
    pub appended_bytes: Counter,
    /// How long a flush took that had something to write, in seconds.
    pub flush_seconds: Histogram,
    /// Bytes of segments that retention has removed.
    pub retention_removed_bytes: Counter,
    /// Bytes cut off when a writer opened the topic after a crash.
    pub torn_tail_bytes: Counter,
    /// What Kafka's clients have done.
    pub kafka: KafkaMetrics,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            appended_records: Counter::default(),
            appended_bytes: Counter::default(),
            flush_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 14)),
            retention_removed_bytes: Counter::default(),
            torn_tail_bytes: Counter::default(),
            kafka: KafkaMetrics::default(),
        }
    }
}

impl Metrics {
    /// Registers them as `topic_…` and `kafka_…`.
    pub fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let Metrics {
            appended_records,
            appended_bytes,
            flush_seconds,
            retention_removed_bytes,
            torn_tail_bytes,
            kafka,
        } = metrics.clone();
        registry.register(
            "topic_appended_records",
            "Records made durable in the embedded log",
            appended_records,
        );
        registry.register(
            "topic_appended_bytes",
            "Bytes made durable in the embedded log",
            appended_bytes,
        );
        registry.register(
            "topic_flush_seconds",
            "Time to make appended records durable",
            flush_seconds,
        );
        let what = "Bytes of segments removed by retention";
        registry.register(
            "topic_retention_removed_bytes",
            what,
            retention_removed_bytes,
        );
        let what = "Bytes of unfinished records cut off after a crash";
        registry.register("topic_torn_tail_bytes", what, torn_tail_bytes);
        kafka.register(registry);
        metrics
    }
}
