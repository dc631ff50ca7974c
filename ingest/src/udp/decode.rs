//! A decoding thread: the datagrams of one socket in, packs out.
//!
//! Each socket has its own, so that the datagrams of an exporter's port stay in order; the state of the exporters is
//! shared by all. Law: every flow decoded is in a pack that goes to the writer; a pack waits for more flows for at most
//! `pack_wait`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, SyncSender};
use std::time::Duration;

use flow_proto::{Addr, Flow};

use super::Clock;
use super::batch::Batch;
use super::listen::Listen;
use super::queue::Exit;
use super::write::Parcel;
use crate::goflow::{Arrived, Counts};
use crate::metrics::Metrics;
use crate::pack::{Pack, Packer};
use crate::wire::{SharedDecoder, assume_rate};

/// How long the thread sleeps when there is nothing to do but to wait for a pack's time.
const PACK_WAIT: Duration = Duration::from_millis(10);
/// And when there is nothing at all.
const IDLE_WAIT: Duration = Duration::from_millis(500);

/// What a decoding thread owns.
pub(super) struct Decoding {
    pub(super) exit: Exit,
    pub(super) decoder: Arc<SharedDecoder>,
    pub(super) packer: Packer,
    pub(super) packs: SyncSender<Parcel>,
    pub(super) listen: Listen,
    /// Set once one of the listener's threads has told that it gets what its scheme does not name.
    pub(super) warned: Arc<AtomicBool>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    /// What this thread has seen, in GoFlow's terms.
    pub(super) goflow: Counts,
    /// Dropped when the thread ends: the keeper waits for it.
    pub(super) alive: Sender<()>,
}

impl Decoding {
    /// Decodes until the receiver has ended and the queue is empty.
    pub(super) fn run(mut self) {
        let mut flows = Vec::new();
        loop {
            let wait = match self.packer.waiting() {
                0 => IDLE_WAIT,
                _ => PACK_WAIT,
            };
            let taken = self.exit.take(wait);
            let mut now_ns = (self.clock)();
            match taken {
                Ok(batch) => self.decode(&batch, &mut now_ns, &mut flows),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let Ok(_) = self.packer.poll(now_ns, &mut hand_over(&self.packs));
        }
        let now_ns = (self.clock)();
        let Ok(_) = self.packer.flush(now_ns, &mut hand_over(&self.packs));
        drop(self.alive);
    }

    fn decode(&mut self, batch: &Batch, now_ns: &mut u64, flows: &mut Vec<Flow>) {
        for (source, payload) in batch.iter() {
            let begun_ns = *now_ns;
            let exporter = Addr::from(source.ip());
            let outcome = self
                .decoder
                .decode(exporter, batch.received_ns, payload, flows);
            let decoded_ns = (self.clock)();
            self.metrics.decoded(&outcome);
            self.warn_once(source, payload);
            let mut out = hand_over(&self.packs);
            for flow in flows.iter_mut() {
                assume_rate(flow);
                let Ok(_) = self.packer.push(flow, decoded_ns, &mut out);
            }
            *now_ns = (self.clock)();
            self.goflow.add(&Arrived {
                source,
                bytes: payload.len(),
                outcome: &outcome,
                flows,
                begun_ns,
                decoded_ns,
                done_ns: *now_ns,
            });
            flows.clear();
        }
    }

    /// Tells once per listener that it gets what its scheme does not name.
    fn warn_once(&self, source: SocketAddr, payload: &[u8]) {
        let Some(protocol) = crate::wire::detect(payload) else {
            return;
        };
        if self.listen.scheme.expects(protocol) {
            return;
        }
        self.metrics.unexpected_protocol.inc();
        if !self.warned.swap(true, Ordering::Relaxed) {
            let (listen, source, protocol) = (&self.listen, source.ip(), protocol.label());
            tracing::warn!(%listen, %source, protocol, "unexpected protocol; decoded all the same");
        }
    }
}

/// Waits for the writer if it is behind; the queue in front of us then fills, and drops are counted there.
fn hand_over(
    packs: &SyncSender<Parcel>,
) -> impl FnMut(&Pack<'_>) -> Result<(), std::convert::Infallible> {
    |pack| {
        // The writer ends only after us.
        let _ = packs.send(Parcel::from(pack));
        Ok(())
    }
}
