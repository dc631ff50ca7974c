//! The writing thread: packs into the topic.
//!
//! Apart from the decoder, since making records durable takes milliseconds in which datagrams go on arriving.
//! Law: a flow counts as written once the topic says that it is durable. When the topic fails, the flows not yet
//! durable count as dropped (some of them may be there all the same), and it is tried again a second later.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use flow_proto::PACK_HEADER;
use flow_topic::{NewRecord, Topic, TopicError, Writer};

use super::Clock;
use crate::metrics::Metrics;

/// At most that long is a pack kept from being durable.
const FLUSH_NS: u64 = 50_000_000;
/// How long a failed topic is left alone.
const RETRY_NS: u64 = 1_000_000_000;
/// How often a lasting failure is logged.
const LOG_NS: u64 = 10_000_000_000;

/// Encoded flows.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) payload: Box<[u8]>,
    pub(super) flows: u64,
}

/// What the writing thread owns.
pub(super) struct Writing {
    topic: Arc<dyn Topic>,
    partitions: u32,
    clock: Clock,
    metrics: Metrics,
    writer: Option<Box<dyn Writer>>,
    next_partition: u32,
    /// Taken by the topic, not yet durable.
    pending_flows: u64,
    pending_packs: u64,
    pending_since_ns: u64,
    failed_ns: u64,
    logged_ns: u64,
}

impl Writing {
    /// Takes the topic's writer.
    ///
    /// # Errors
    /// If the topic cannot be written, or another process writes it.
    pub(super) fn open(
        topic: Arc<dyn Topic>,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Writing, TopicError> {
        let writer = Some(topic.writer()?);
        let partitions = topic.partitions()?.max(1);
        Ok(Writing {
            topic,
            partitions,
            clock,
            metrics,
            writer,
            next_partition: 0,
            pending_flows: 0,
            pending_packs: 0,
            pending_since_ns: 0,
            failed_ns: 0,
            logged_ns: 0,
        })
    }

    /// Writes until the decoder has ended.
    pub(super) fn run(mut self, packs: &Receiver<Pack>) {
        loop {
            match packs.recv_timeout(Duration::from_nanos(FLUSH_NS)) {
                Ok(pack) => {
                    let now_ns = (self.clock)();
                    self.append(&pack, now_ns);
                    if now_ns.saturating_sub(self.pending_since_ns) >= FLUSH_NS {
                        self.flush();
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.flush();
    }

    fn append(&mut self, pack: &Pack, now_ns: u64) {
        if self.pending_packs == 0 {
            self.pending_since_ns = now_ns;
        }
        self.pending_flows += pack.flows;
        self.pending_packs += 1;
        let partition = self.next_partition;
        self.next_partition = (partition + 1) % self.partitions;
        let record = NewRecord {
            timestamp_millis: i64::try_from(now_ns / 1_000_000).unwrap_or(i64::MAX),
            headers: &[PACK_HEADER],
            payload: &pack.payload,
        };
        let appended = match self.writer(now_ns) {
            Some(Ok(writer)) => writer.append(partition, record),
            Some(Err(error)) => Err(error),
            None => return self.drop_pending(),
        };
        if let Err(error) = appended {
            self.failed(&error, now_ns);
        }
    }

    /// The writer; `None` while a failed topic is left alone.
    fn writer(&mut self, now_ns: u64) -> Option<Result<&mut Box<dyn Writer>, TopicError>> {
        if self.writer.is_none() {
            if now_ns.saturating_sub(self.failed_ns) < RETRY_NS {
                return None;
            }
            match self.topic.writer() {
                Ok(writer) => self.writer = Some(writer),
                Err(error) => return Some(Err(error)),
            }
        }
        self.writer.as_mut().map(Ok)
    }

    fn flush(&mut self) {
        if self.pending_packs == 0 {
            return;
        }
        let Some(writer) = &mut self.writer else {
            return self.drop_pending();
        };
        if let Err(error) = writer.flush() {
            let now_ns = (self.clock)();
            return self.failed(&error, now_ns);
        }
        self.metrics.written_flows.inc_by(self.pending_flows);
        self.metrics.written_packs.inc_by(self.pending_packs);
        (self.pending_flows, self.pending_packs) = (0, 0);
    }

    fn failed(&mut self, error: &TopicError, now_ns: u64) {
        self.writer = None;
        self.failed_ns = now_ns;
        if self.logged_ns == 0 || now_ns.saturating_sub(self.logged_ns) >= LOG_NS {
            self.logged_ns = now_ns;
            let dropped = self.metrics.topic_drops.get() + self.pending_flows;
            tracing::error!(%error, dropped_flows = dropped, "the topic does not take flows; trying again");
        }
        self.drop_pending();
    }

    fn drop_pending(&mut self) {
        self.metrics.topic_drops.inc_by(self.pending_flows);
        (self.pending_flows, self.pending_packs) = (0, 0);
    }
}
