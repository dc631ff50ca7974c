//! Appends to a Kafka topic: an idempotent producer, and the thread that serves it.
//!
//! Why a thread: acknowledgements, statistics and errors come as events, which somebody must take also while nothing is
//! written. Law 8: `append` waits while the queue is full. Law: when `flush` returns, all replicas in sync have
//! every record taken before; a record given up is told once, with its cause, and the writer goes on. A wait for the
//! brokers ends when the owner of the writer gives up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::statistics::Statistics;

use super::client::{Complaint, Voice};
use super::topic::Inner;
use super::{errors, headers, link};
use crate::{GiveUp, NewRecord, Timestamps, TopicError, Writer};

/// Longest wait for an event.
const NAP: Duration = Duration::from_millis(100);
/// What a record costs beside its value and headers, at most: the batch's head and the record's own.
const OVERHEAD_BYTES: usize = 128;

/// Appends to a Kafka topic.
pub(super) struct KafkaWriter {
    topic: Arc<Inner>,
    producer: Arc<BaseProducer<Deliveries>>,
    taken: u64,
    given_up: GiveUp,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What has become of the records taken.
struct Deliveries {
    voice: Voice,
    state: Mutex<Delivered>,
    changed: Condvar,
}

#[derive(Default)]
struct Delivered {
    settled: u64,
    /// Given up since the last flush, and why the first was.
    failed: u64,
    cause: Option<KafkaError>,
    waiting: bool,
}

impl KafkaWriter {
    pub(super) fn open(topic: Arc<Inner>) -> Result<KafkaWriter, TopicError> {
        let deliveries = Deliveries {
            voice: Voice::new("producer", &topic.url(), topic.metrics().clone()),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        let config = topic.settings().producer(topic.limit_bytes());
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(deliveries)
            .map_err(|e| topic.error("write", &e))?;
        let (producer, stop) = (Arc::new(producer), Arc::new(AtomicBool::new(false)));
        let (served, ends) = (Arc::clone(&producer), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("kafka-producer".to_owned())
            .spawn(move || {
                while !ends.load(Ordering::Acquire) {
                    served.poll(NAP);
                }
            })
            .map_err(|source| TopicError::Io {
                what: "start a thread".to_owned(),
                source,
            })?;
        Ok(KafkaWriter {
            topic,
            producer,
            taken: 0,
            given_up: Arc::new(|| false),
            stop,
            thread: Some(thread),
        })
    }

    fn deliveries(&self) -> &Deliveries {
        self.producer.client().context()
    }

    /// Refuses what the brokers would refuse, before it is among others in a batch.
    fn check(&self, partition: u32, record: &NewRecord<'_>) -> Result<(), TopicError> {
        self.topic.check_partition(partition)?;
        let headers = record.headers.iter();
        let size_bytes = record.payload.len()
            + headers
                .map(|(name, value)| name.len() + value.len() + 10)
                .sum::<usize>();
        let limit_bytes = self.topic.limit_bytes().saturating_sub(OVERHEAD_BYTES);
        if size_bytes > limit_bytes {
            return Err(TopicError::TooLarge {
                url: self.topic.url(),
                size_bytes,
                limit_bytes,
            });
        }
        Ok(())
    }

    fn refused(&self, error: &KafkaError, size_bytes: usize) -> TopicError {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            return TopicError::TooLarge {
                url: self.topic.url(),
                size_bytes,
                limit_bytes: self.topic.limit_bytes(),
            };
        }
        errors::of(&self.topic.url(), "write", error, self.last())
    }

    /// What has ended the producer for good, as a missing right does, else what its connections have complained of last.
    fn last(&self) -> Option<Complaint> {
        let ended = self.producer.client().fatal_error();
        let ended = ended.map(|(code, why)| (Some(code), why));
        ended.or_else(|| self.deliveries().voice.last())
    }
}

impl Writer for KafkaWriter {
    fn append(&mut self, partition: u32, record: NewRecord<'_>) -> Result<(), TopicError> {
        self.check(partition, &record)?;
        let mut new = BaseRecord::<(), [u8]>::to(&self.topic.settings().address.topic)
            .partition(link::number(partition))
            .payload(record.payload);
        if self.topic.timestamps() == Timestamps::Create {
            // librdkafka takes 0 for "now".
            new = new.timestamp(record.timestamp_millis.max(1));
        }
        if !record.headers.is_empty() {
            let bad = || TopicError::BadHeader {
                url: self.topic.url(),
            };
            new = new.headers(headers::owned(record.headers).ok_or_else(bad)?);
        }
        loop {
            match self.producer.send(new) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again))
                    if !(self.given_up)() =>
                {
                    self.deliveries().wait();
                    new = again;
                }
                Err((error, _)) => return Err(self.refused(&error, record.payload.len())),
            }
        }
        self.taken += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TopicError> {
        let deliveries = self.deliveries();
        while deliveries.state().settled < self.taken && !(self.given_up)() {
            // What lingers leaves now.
            drop(self.producer.flush(Duration::ZERO));
            deliveries.wait_for(self.taken);
        }
        let mut state = deliveries.state();
        let unsettled = self.taken.saturating_sub(state.settled);
        let failed = std::mem::take(&mut state.failed) + unsettled;
        let silent = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        let cause = state.cause.take().or((unsettled > 0).then_some(silent));
        drop(state);
        match cause {
            None => Ok(()),
            Some(cause) => {
                let what = format!("write ({failed} records are given up)");
                Err(errors::of(&self.topic.url(), &what, &cause, self.last()))
            }
        }
    }

    fn give_up_when(&mut self, given_up: GiveUp) {
        self.given_up = given_up;
    }
}

impl Drop for KafkaWriter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Deliveries {
    fn state(&self) -> MutexGuard<'_, Delivered> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something was delivered, or a nap is over.
    fn wait(&self) {
        let settled = self.state().settled;
        self.wait_for(settled + 1);
    }

    /// Waits until so many are settled, or a nap is over.
    fn wait_for(&self, settled: u64) {
        let mut state = self.state();
        if state.settled < settled {
            state.waiting = true;
            let waited = self.changed.wait_timeout(state, NAP);
            waited.unwrap_or_else(PoisonError::into_inner).0.waiting = false;
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        let metrics = self.voice.metrics();
        let mut state = self.state();
        state.settled += 1;
        match result {
            Ok(message) => {
                metrics.produced_records.inc();
                let bytes = u64::try_from(message.payload_len()).unwrap_or(0);
                metrics.produced_bytes.inc_by(bytes);
            }
            Err((error, _)) => {
                metrics.failed_records.inc();
                state.failed += 1;
                state.cause.get_or_insert_with(|| error.clone());
            }
        }
        if state.waiting {
            self.changed.notify_all();
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.voice.log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.voice.stats(statistics);
    }
}
