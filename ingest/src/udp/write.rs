//! The writing thread: packs into the topic.
//!
//! Apart from the decoder, since making records durable takes milliseconds in which datagrams go on arriving.
//! Law: a flow counts as written once the topic says that it is durable. When the topic fails, the flows not yet
//! durable count as dropped (some of them may be there all the same), and it is tried again a second later; what comes
//! meanwhile waits in the queues. Once the collector has given up on the topic, everything that is left counts as dropped.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use flow_topic::{GiveUp, Topic, TopicError, Writer};

use super::Clock;
use crate::metrics::Metrics;
use crate::pack::{Form, Pack};

/// At most that long is a pack kept from being durable.
const FLUSH_NS: u64 = 50_000_000;
/// How long a failed topic is left alone.
const RETRY_NS: u64 = 1_000_000_000;
/// Between two looks whether that time is over.
const NAP: Duration = Duration::from_millis(50);
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
    given_up: GiveUp,
    /// `None`: the topic has failed, or was given up.
    writer: Option<Box<dyn Writer>>,
    /// Taken by the topic, not yet durable.
    pending_flows: u64,
    pending_packs: u64,
    pending_since_ns: u64,
    /// The last flush has failed: each pack is made durable alone until one is, so that few are lost at a time.
    doubtful: bool,
    failed_ns: u64,
    logged_ns: u64,
}

impl Writing {
    /// Takes the topic's writer. `given_up`: whether to hand nothing more to the topic.
    ///
    /// # Errors
    /// If the topic cannot be written, or another process writes it.
    pub(super) fn open(
        topic: Arc<dyn Topic>,
        form: Form,
        (clock, given_up): (Clock, GiveUp),
        metrics: Metrics,
    ) -> Result<Writing, TopicError> {
        let mut writing = Writing {
            topic,
            form,
            clock,
            metrics,
            given_up,
            writer: None,
            pending_flows: 0,
            pending_packs: 0,
            pending_since_ns: 0,
            doubtful: false,
            failed_ns: 0,
            logged_ns: 0,
        };
        writing.take_writer()?;
        Ok(writing)
    }

    /// Writes until all decoding threads have ended.
    pub(super) fn run(mut self, packs: &Receiver<Parcel>) {
        while self.is_ready() {
            match packs.recv_timeout(Duration::from_nanos(FLUSH_NS)) {
                Ok(parcel) => {
                    let now_ns = (self.clock)();
                    self.append(&parcel, now_ns);
                    let waited_ns = now_ns.saturating_sub(self.pending_since_ns);
                    if self.doubtful || waited_ns >= FLUSH_NS {
                        self.flush();
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
        }
        self.flush();
        self.writer = None;
        for parcel in packs {
            self.metrics.topic_drops.inc_by(parcel.flows);
        }
    }

    /// Waits until the topic has a writer; false: it was given up.
    fn is_ready(&mut self) -> bool {
        while !(self.given_up)() {
            if self.writer.is_some() {
                return true;
            }
            let now_ns = (self.clock)();
            if now_ns.saturating_sub(self.failed_ns) < RETRY_NS {
                thread::sleep(NAP); // a failed topic tells nobody when it is well again
            } else if let Err(error) = self.take_writer() {
                self.failed(&error, now_ns);
            }
        }
        false
    }

    fn take_writer(&mut self) -> Result<(), TopicError> {
        let mut writer = self.topic.writer()?;
        writer.give_up_when(Arc::clone(&self.given_up));
        self.writer = Some(writer);
        Ok(())
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
        let Some(writer) = &mut self.writer else {
            return self.drop_pending();
        };
        if let Err(error) = pack.append(self.form, writer.as_mut()) {
            self.failed(&error, now_ns);
        }
    }

    fn flush(&mut self) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        if self.pending_packs == 0 {
            return;
        }
        if let Err(error) = writer.flush() {
            let now_ns = (self.clock)();
            return self.failed(&error, now_ns);
        }
        self.doubtful = false;
        self.metrics.written_flows.inc_by(self.pending_flows);
        self.metrics.written_packs.inc_by(self.pending_packs);
        (self.pending_flows, self.pending_packs) = (0, 0);
    }

    fn failed(&mut self, error: &TopicError, now_ns: u64) {
        self.writer = None;
        (self.doubtful, self.failed_ns) = (true, now_ns);
        self.drop_pending();
        let dropped_flows = self.metrics.topic_drops.get();
        if (self.given_up)() {
            tracing::error!(%error, "the topic does not take flows; given up");
        } else if self.logged_ns == 0 || now_ns.saturating_sub(self.logged_ns) >= LOG_NS {
            self.logged_ns = now_ns;
            tracing::error!(%error, dropped_flows, "the topic does not take flows; trying again");
        }
    }

    fn drop_pending(&mut self) {
        self.metrics.topic_drops.inc_by(self.pending_flows);
        (self.pending_flows, self.pending_packs) = (0, 0);
    }
}
