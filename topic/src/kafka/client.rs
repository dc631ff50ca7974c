//! What librdkafka tells a client beside records: errors, log lines, statistics, how commits went.
//!
//! Law 8: a broker that is away for a day costs a line every ten seconds, not one for each try.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::errors;
use crate::metrics::KafkaMetrics;
use crate::metrics::kafka::{OfClient, WithCode};

/// Between two lines about the same client.
const QUIET: Duration = Duration::from_secs(10);

/// An error, in librdkafka's words.
pub(super) type Complaint = (Option<RDKafkaErrorCode>, String);

/// What a client has said, and counts.
pub(super) struct Voice {
    kind: &'static str,
    url: String,
    metrics: KafkaMetrics,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    /// The last error of a connection.
    last: Option<Complaint>,
    logged: Option<Instant>,
    unlogged: u64,
    seen: Seen,
}

/// librdkafka's totals as of its last statistics: counters grow by the difference.
#[derive(Clone, Copy, Default)]
struct Seen {
    fetched_records: i64,
    fetched_bytes: i64,
    retries: u64,
    queued_records: i64,
    queued_bytes: i64,
}

impl Voice {
    /// `kind`: `consumer`, `producer` or `admin`.
    pub(super) fn new(kind: &'static str, url: &str, metrics: KafkaMetrics) -> Voice {
        Voice {
            kind,
            url: url.to_owned(),
            metrics,
            said: Mutex::default(),
        }
    }

    pub(super) fn metrics(&self) -> &KafkaMetrics {
        &self.metrics
    }

    /// The last thing a connection has complained of.
    pub(super) fn last(&self) -> Option<Complaint> {
        self.said().last.clone()
    }

    /// Counts an error that is tried again, and now and then logs it.
    pub(super) fn transient(&self, code: Option<RDKafkaErrorCode>, reason: &str) {
        let name = code.map_or_else(|| "Other".to_owned(), |code| format!("{code:?}"));
        let counter = WithCode { code: name };
        self.metrics.errors.get_or_create(&counter).inc();
        let mut said = self.said();
        // That all brokers are down comes after the reason why the last one is.
        let all_down = code == Some(RDKafkaErrorCode::AllBrokersDown);
        let last = match &said.last {
            Some(last) if all_down => last.clone(),
            _ => (code, reason.to_owned()),
        };
        let reason = last.1.clone();
        said.last = Some(last);
        if said.logged.is_some_and(|at| at.elapsed() < QUIET) {
            said.unlogged += 1;
            return;
        }
        let more = std::mem::take(&mut said.unlogged);
        said.logged = Some(Instant::now());
        drop(said);
        tracing::warn!(topic = %self.url, client = self.kind, more, "{reason}; trying again");
    }

    /// Keeps why a connection was closed, unless something better is known: what the broker said of our rights.
    fn closed(&self, reason: &str) {
        let mut said = self.said();
        let code = said.last.as_ref().and_then(|(code, _)| *code);
        if !code.is_some_and(errors::is_denied) {
            let closed = RDKafkaErrorCode::BrokerTransportFailure;
            said.last = Some((Some(closed), reason.to_owned()));
        }
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the queue gauges from what this client had put into them.
    fn queue(&self, seen: &mut Seen, records: i64, bytes: i64) {
        self.metrics
            .queued_records
            .inc_by(records - seen.queued_records);
        self.metrics.queued_bytes.inc_by(bytes - seen.queued_bytes);
        (seen.queued_records, seen.queued_bytes) = (records, bytes);
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        let mut seen = self.said().seen;
        self.queue(&mut seen, 0, 0);
    }
}

impl ClientContext for Voice {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        // Failed connections come as errors, too, but for those that the broker has closed: a listener that wants TLS
        // or a password does that. A consumer's property that a producer does not know is meant.
        if fac == "FAIL" {
            let reason = message.split_once("]: ").map_or(message, |(_, rest)| rest);
            self.closed(reason);
        }
        tracing::debug!(topic = %self.url, client = self.kind, ?level, fac, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        // Both come to the reader as well, which knows what they mean.
        let known = [
            RDKafkaErrorCode::PartitionEOF,
            RDKafkaErrorCode::AutoOffsetReset,
        ];
        if !code.is_some_and(|code| known.contains(&code)) {
            self.transient(code, reason);
        }
    }

    fn stats(&self, now: Statistics) {
        let mut said = self.said();
        let seen = &mut said.seen;
        let grown = |now: i64, before: i64| u64::try_from(now - before).unwrap_or(0);
        let retries = now.brokers.values().map(|broker| broker.txretries).sum();
        let metrics = &self.metrics;
        metrics
            .fetched_records
            .inc_by(grown(now.rxmsgs, seen.fetched_records));
        metrics
            .fetched_bytes
            .inc_by(grown(now.rxmsg_bytes, seen.fetched_bytes));
        metrics
            .retried_requests
            .inc_by(u64::saturating_sub(retries, seen.retries));
        (seen.fetched_records, seen.fetched_bytes, seen.retries) =
            (now.rxmsgs, now.rxmsg_bytes, retries);
        if self.kind == "producer" {
            let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            self.queue(seen, whole(now.msg_cnt), whole(now.msg_size));
        }
        let round_trips = now
            .brokers
            .values()
            .filter_map(|broker| broker.rtt.as_ref());
        let micros = round_trips.map(|window| window.avg).max().unwrap_or(0);
        let seconds = Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64();
        let client = OfClient { client: self.kind };
        metrics
            .round_trip_seconds
            .get_or_create(&client)
            .set(seconds);
    }
}

impl ConsumerContext for Voice {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            // For lag displays only: nothing depends on it.
            self.metrics.failed_commits.inc();
            tracing::debug!(topic = %self.url, %error, "offsets not committed");
        }
    }
}
