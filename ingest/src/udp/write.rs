//! The writing thread: packs into the topic.
//!
//! Apart from the decoder, since making records durable takes milliseconds in which datagrams go on arriving.
//! Law: a flow counts as written once the topic says that it is durable. When the topic fails, the flows not yet
//! durable count as dropped (some of them may be there all the same), and it is tried again a second later.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use flow_topic::{Topic, TopicError, Writer};

use super::Clock;
use crate::metrics::Metrics;
use crate::pack::{Form, Pack};

/// At most that long is a pack kept from being durable.
const FLUSH_NS: u64 = 50_000_000;
/// How long a failed topic is left alone.
const RETRY_NS: u64 = 1_000_000_000;
/// How often a lasting failure is logged.
const LOG_NS: u64 = 10_000_000_000;

/// A pack on its way from a decoding thread.
#[derive(Debug)]
pub(super) struct Parcel {
    partition: u32,
    payload: Box<[u8]>,
    flows: u64,
}

impl From<&Pack<'_>> for Parcel {
    fn from(pack: &Pack<'_>) -> Parcel {
        Parcel {
            partition: pack.partition,
            payload: pack.payload.into(),
            flows: pack.flows,
        }
    }
}

/// What the writing thread owns.
pub(super) struct Writing {
    topic: Arc<dyn Topic>,
    form: Form,
    clock: Clock,
    metrics: Metrics,
    writer: Option<Box<dyn Writer>>,
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
        form: Form,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Writing, TopicError> {
        let writer = Some(topic.writer()?);
        Ok(Writing {
            topic,
            form,
            clock,
            metrics,
            writer,
            pending_flows: 0,
            pending_packs: 0,
            pending_since_ns: 0,
            failed_ns: 0,
            logged_ns: 0,
        })
    }

    /// Writes until all decoding threads have ended.
    pub(super) fn run(mut self, packs: &Receiver<Parcel>) {
        loop {
            match packs.recv_timeout(Duration::from_nanos(FLUSH_NS)) {
                Ok(parcel) => {
                    let now_ns = (self.clock)();
                    self.append(&parcel, now_ns);
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

    fn append(&mut self, parcel: &Parcel, now_ns: u64) {
        if self.pending_packs == 0 {
            self.pending_since_ns = now_ns;
        }
        self.pending_flows += parcel.flows;
        self.pending_packs += 1;
        // Stamped here, where all threads' packs come together: a partition's timestamps do not go back.
        let pack = Pack {
            partition: parcel.partition,
            at_ns: now_ns,
            payload: &parcel.payload,
            flows: parcel.flows,
        };
        let form = self.form;
        let appended = match self.writer(now_ns) {
            Some(Ok(writer)) => pack.append(form, writer.as_mut()),
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
