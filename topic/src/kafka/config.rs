//! The properties each client starts with: ours, then those of the URL, then those the laws rest on.
//!
//! Why in one place: a property set at one client and forgotten at another is a law kept by half.
//! Law 8 (everything is bounded): the queues inside librdkafka are, too, by bytes.

use std::sync::Arc;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use super::url::Address;

/// Name under which offsets are committed, for lag displays only.
const GROUP: &str = "flow-pipeline";

/// Records fetched ahead, for each partition. librdkafka's own 64 MiB are too many for hundreds of partitions.
const FETCHED_AHEAD_KBYTES: &str = "16384";
/// Records not yet acknowledged, of one writer. librdkafka's own is 1 GiB.
const QUEUED_KBYTES: &str = "65536";

/// Makes the clients' configurations.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) address: Arc<Address>,
}

impl Settings {
    /// Defaults that the URL may replace, then the URL's, then what is not for choice.
    fn build(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        // A connection that the broker closes in peace is told at this level, and may be why nothing works.
        config.set_log_level(RDKafkaLogLevel::Info);
        for (name, value) in [("client.id", GROUP), ("statistics.interval.ms", "5000")] {
            config.set(name, value);
        }
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        config.extend(self.address.properties.clone());
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        config.set("bootstrap.servers", &self.address.hosts);
        config
    }

    /// For readers, and for every question about the topic.
    pub(super) fn consumer(&self) -> ClientConfig {
        let defaults = [
            ("group.id", GROUP),
            ("queued.max.messages.kbytes", FETCHED_AHEAD_KBYTES),
            // A full queue is looked at again at once: librdkafka's own second is a stall when catching up.
            ("fetch.queue.backoff.ms", "10"),
        ];
        let fixed = [
            ("auto.offset.reset", "error"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("allow.auto.create.topics", "false"),
            // What a broker's disk has changed must not become a flow.
            ("check.crcs", "true"),
        ];
        self.build(&defaults, &fixed)
    }

    /// For a writer of records of at most `limit_bytes`.
    ///
    /// A record not acknowledged within `message.timeout.ms` (librdkafka's 5 minutes, unless the URL says
    /// otherwise) is given up, and `flush` says so: a writer must come to its end without a broker, too.
    pub(super) fn producer(&self, limit_bytes: usize) -> ClientConfig {
        let limit = limit_bytes.clamp(1_000, 1_000_000_000).to_string(); // what librdkafka takes
        let defaults = [
            ("compression.codec", "lz4"),
            ("queue.buffering.max.kbytes", QUEUED_KBYTES),
            ("message.max.bytes", limit.as_str()),
        ];
        self.build(
            &defaults,
            &[("acks", "all"), ("enable.idempotence", "true")],
        )
    }

    /// For making and describing topics.
    pub(super) fn admin(&self) -> ClientConfig {
        self.build(&[("statistics.interval.ms", "0")], &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_replaces_defaults() {
        let url = "kafka://h/t?compression.codec=zstd&group.id=mine";
        let settings = Settings {
            address: Arc::new(Address::parse(url).unwrap()),
        };
        let producer = settings.producer(77_777);
        assert_eq!(producer.get("compression.codec"), Some("zstd"));
        assert_eq!(producer.get("acks"), Some("all"));
        assert_eq!(producer.get("message.max.bytes"), Some("77777"));
        assert_eq!(settings.consumer().get("group.id"), Some("mine"));
        assert_eq!(settings.consumer().get("bootstrap.servers"), Some("h"));
        for config in [producer, settings.consumer(), settings.admin()] {
            assert!(config.create_native_config().is_ok());
        }
    }
}
