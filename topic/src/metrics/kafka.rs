//! What Kafka's clients have done, and how far behind their readers are.
//!
//! Why gauges that only ever move by a difference: several clients of a process share them. Law: a record counts as
//! produced when the brokers have acknowledged it; labels are partitions, kinds of client, and codes of librdkafka.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A partition that a reader of this process stands in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct InPartition {
    pub(crate) partition: u32,
}

/// `consumer` or `producer`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfClient {
    pub(crate) client: &'static str,
}

/// The name of a librdkafka error code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct WithCode {
    pub(crate) code: String,
}

/// A time that may have a fraction.
pub(crate) type Seconds = Gauge<f64, AtomicU64>;

/// What the Kafka clients of a process have done. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct KafkaMetrics {
    pub(crate) lag_records: Family<InPartition, Gauge>,
    pub(crate) round_trip_seconds: Family<OfClient, Seconds>,
    pub(crate) errors: Family<WithCode, Counter>,
    pub(crate) fetched_records: Counter,
    pub(crate) fetched_bytes: Counter,
    pub(crate) produced_records: Counter,
    pub(crate) produced_bytes: Counter,
    pub(crate) failed_records: Counter,
    pub(crate) retried_requests: Counter,
    pub(crate) queued_records: Gauge,
    pub(crate) queued_bytes: Gauge,
    pub(crate) unreachable_partitions: Gauge,
    pub(crate) dropped_headers: Counter,
    pub(crate) failed_commits: Counter,
}

impl KafkaMetrics {
    /// Records between a reader's place and the end of its partition, if a reader stands in it.
    pub fn lag_records(&self, partition: u32) -> i64 {
        self.lag_records
            .get_or_create(&InPartition { partition })
            .get()
    }

    /// Records the brokers have acknowledged.
    pub fn produced_records(&self) -> u64 {
        self.produced_records.get()
    }

    /// Records given up.
    pub fn failed_records(&self) -> u64 {
        self.failed_records.get()
    }

    /// Shows every metric with a label, at 0 before anything has happened: for the reference.
    pub fn announce(&self) {
        let _ = self.lag_records(0);
        let client = OfClient { client: "consumer" };
        let _ = self.round_trip_seconds.get_or_create(&client);
        let code = String::new();
        let _ = self.errors.get_or_create(&WithCode { code });
    }

    pub(super) fn register(self, registry: &mut Registry) {
        let mut add =
            |name: &str, help: &str, counter: Counter| registry.register(name, help, counter);
        add(
            "kafka_fetched_records",
            "Records that consumers have fetched",
            self.fetched_records,
        );
        add(
            "kafka_fetched_bytes",
            "Bytes that consumers have fetched",
            self.fetched_bytes,
        );
        add(
            "kafka_produced_records",
            "Records that the brokers have acknowledged",
            self.produced_records,
        );
        add(
            "kafka_produced_bytes",
            "Bytes of the acknowledged records' values",
            self.produced_bytes,
        );
        add(
            "kafka_failed_records",
            "Records that were given up, the brokers not taking them",
            self.failed_records,
        );
        add(
            "kafka_retried_requests",
            "Requests to brokers that were sent again",
            self.retried_requests,
        );
        add(
            "kafka_dropped_headers",
            "Headers of foreign records that could not be kept",
            self.dropped_headers,
        );
        add(
            "kafka_failed_commits",
            "Commits of offsets for lag displays that failed",
            self.failed_commits,
        );
        let mut add = |name: &str, help: &str, gauge: Gauge| registry.register(name, help, gauge);
        add(
            "kafka_queued_records",
            "Records that producers hold, not yet acknowledged",
            self.queued_records,
        );
        add(
            "kafka_queued_bytes",
            "Bytes of the records that producers hold",
            self.queued_bytes,
        );
        let help = "Partitions with a reader whose end the brokers do not tell now";
        add(
            "kafka_unreachable_partitions",
            help,
            self.unreachable_partitions,
        );
        let help = "Records between the reader and the end of its partition";
        registry.register("kafka_lag_records", help, self.lag_records);
        let help = "Average round trip to the slowest broker";
        registry.register("kafka_round_trip_seconds", help, self.round_trip_seconds);
        registry.register(
            "kafka_errors",
            "Errors of the clients, by code",
            self.errors,
        );
    }
}
