//! The decoding thread: datagrams in, packs out.
//!
//! One thread holds the state of all exporters. It also watches for silence, since it sees what comes of the
//! datagrams. Law: every flow decoded is in a pack that goes to the writer; a pack waits for more flows for at
//! most `pack_wait`.

use std::sync::mpsc::{RecvTimeoutError, SyncSender};
use std::time::Duration;

use flow_proto::{Addr, Flow, PackBuilder};

use super::Clock;
use super::listen::Listen;
use super::queue::{Datagram, Exit};
use super::watch::Watch;
use super::write::Pack;
use crate::metrics::Metrics;
use crate::wire::{Decoder, assume_rate};

/// How long the thread sleeps when there is nothing to do.
const IDLE_WAIT: Duration = Duration::from_millis(10);

/// What the decoding thread owns.
pub(super) struct Decoding {
    pub(super) exit: Exit,
    pub(super) decoder: Decoder,
    pub(super) pack: PackBuilder,
    /// A pack whose first flow is older goes as it is.
    pub(super) pack_wait_ns: u64,
    pub(super) packs: SyncSender<Pack>,
    pub(super) listeners: Vec<Listen>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
}

impl Decoding {
    /// Decodes until all receivers have ended and the queue is empty.
    pub(super) fn run(mut self) {
        let mut now_ns = (self.clock)();
        let mut watch = Watch::new(now_ns);
        let mut warned = vec![false; self.listeners.len()];
        let mut flows = Vec::new();
        let mut begun_ns = now_ns;
        loop {
            let taken = self.exit.take(IDLE_WAIT);
            now_ns = (self.clock)();
            match taken {
                Ok(datagram) => {
                    self.decode(&datagram, now_ns, &mut flows, &mut watch);
                    self.warn_once(&datagram, &mut warned);
                    for flow in flows.drain(..) {
                        if self.pack.is_empty() {
                            begun_ns = now_ns;
                        }
                        if self.pack.push(&flow) {
                            hand_over(&mut self.pack, &self.packs);
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if now_ns.saturating_sub(begun_ns) >= self.pack_wait_ns {
                hand_over(&mut self.pack, &self.packs);
            }
            if let Some(notice) = watch.notice(now_ns) {
                tracing::warn!(listening = %self.listening(), "{notice}");
            }
        }
        hand_over(&mut self.pack, &self.packs);
        self.idle();
    }

    fn decode(
        &mut self,
        datagram: &Datagram,
        now_ns: u64,
        flows: &mut Vec<Flow>,
        watch: &mut Watch,
    ) {
        let source = Addr::from(datagram.source);
        let outcome = self
            .decoder
            .decode(source, datagram.received_ns, &datagram.payload, flows);
        flows.iter_mut().for_each(assume_rate);
        self.metrics.decoded(&outcome);
        watch.decoded(now_ns, outcome.flows, outcome.waiting);
    }

    /// Tells once per listener that it gets what its scheme does not name.
    fn warn_once(&self, datagram: &Datagram, warned: &mut [bool]) {
        let Some(protocol) = crate::wire::detect(&datagram.payload) else {
            return;
        };
        let Some(listen) = self.listeners.get(datagram.listener) else {
            return;
        };
        if listen.scheme.expects(protocol) {
            return;
        }
        self.metrics.unexpected_protocol.inc();
        if let Some(warned @ false) = warned.get_mut(datagram.listener) {
            *warned = true;
            let (protocol, source) = (protocol.label(), datagram.source);
            tracing::warn!(%listen, %source, protocol, "unexpected protocol; decoded all the same");
        }
    }

    fn idle(&self) {
        self.metrics
            .queue_bytes
            .set(i64::try_from(self.exit.bytes()).unwrap_or(i64::MAX));
        self.metrics
            .exporters
            .set(i64::try_from(self.decoder.exporters()).unwrap_or(i64::MAX));
    }

    fn listening(&self) -> String {
        self.listeners
            .iter()
            .map(Listen::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Waits for the writer if it is behind; the queue in front of us then fills, and drops are counted there.
fn hand_over(pack: &mut PackBuilder, packs: &SyncSender<Pack>) {
    if pack.is_empty() {
        return;
    }
    let flows = pack.flows();
    let payload = pack.take(<[u8]>::to_vec).into_boxed_slice();
    // The writer ends only after us.
    let _ = packs.send(Pack { payload, flows });
}
