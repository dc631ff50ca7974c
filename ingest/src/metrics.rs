//! Metrics of the collector, each declared once.
//!
//! Laws, at every moment when nothing is in flight: `ingest_received_datagrams` = `decode_datagrams` +
//! `ingest_dropped_datagrams{queue_full}`; `decode_flows` = `ingest_written_flows` + `ingest_dropped_flows`.
//! What the kernel dropped was never received; it is counted beside.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use crate::goflow::Goflow;
use crate::wire::{Outcome, Protocol, Reason};

type Label = [(&'static str, &'static str); 1];

/// The collector's metrics. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Datagrams taken from sockets.
    pub received_datagrams: Counter,
    /// Their payload.
    pub received_bytes: Counter,
    /// Failed receive calls.
    pub receive_errors: Counter,
    /// Datagrams that the kernel dropped, its receive buffer being full.
    pub kernel_drops: Counter,
    /// Receive buffer asked of the kernel for each socket, bytes.
    pub asked_buffer_bytes: Gauge,
    /// The least that it granted one, bytes.
    pub granted_buffer_bytes: Gauge,
    /// Sockets of all listeners.
    pub sockets: Gauge,
    /// Datagrams that found the queue to the decoder full.
    pub queue_drops: Counter,
    /// Bytes in the queues to the decoders.
    pub queue_bytes: Gauge,
    /// Datagrams of another protocol than their listener's scheme names; decoded all the same.
    pub unexpected_protocol: Counter,
    /// Exporters that hold state in the decoder.
    pub exporters: Gauge,
    /// Bytes of data sets that wait for their template.
    pub early_bytes: Gauge,
    /// Templates restored at the start.
    pub restored_templates: Counter,
    /// Failed attempts to save templates.
    pub state_errors: Counter,
    /// The same counts in GoFlow's terms; not registered, since a scrape must ask for them.
    pub goflow: Goflow,
    /// Flows in packs that the topic has made durable.
    pub written_flows: Counter,
    /// These packs.
    pub written_packs: Counter,
    /// Flows that the topic did not take.
    pub topic_drops: Counter,
    decoded: Decoded,
}

/// What became of datagrams in the decoder; the vectors are in the order of `Protocol::ALL` and `Reason::ALL`.
#[derive(Clone, Debug)]
struct Decoded {
    /// One more than there are protocols: none of them.
    datagrams: Vec<Counter>,
    flows: Vec<Counter>,
    missing: Vec<Counter>,
    errors: Vec<Counter>,
    late: Counter,
    unknown_rate_flows: Counter,
    waiting_sets: Counter,
    /// What became of them: decoded later, dropped.
    early_sets: Vec<Counter>,
    templates: Counter,
    clamped_times: Counter,
}

fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// One counter per value of a label, all present from the start.
fn labelled(
    registry: &mut Registry,
    (name, help): (&str, &str),
    label: &'static str,
    values: impl IntoIterator<Item = &'static str>,
) -> Vec<Counter> {
    let family = Family::<Label, Counter>::default();
    registry.register(name, help, family.clone());
    values
        .into_iter()
        .map(|value| family.get_or_create_owned(&[(label, value)]))
        .collect()
}

fn sum(counters: &[Counter]) -> u64 {
    counters.iter().map(Counter::get).sum()
}

impl Decoded {
    fn register(registry: &mut Registry) -> Decoded {
        let protocols = || Protocol::ALL.map(Protocol::label).into_iter();
        let datagrams = (
            "decode_datagrams",
            "Datagrams given to the decoder, by protocol found",
        );
        let flows = ("decode_flows", "Flows decoded");
        let missing = (
            "decode_sequence_missing",
            "Missing by sequence numbers: flows (v5), records (IPFIX), datagrams (v9, sFlow)",
        );
        let errors = (
            "decode_errors",
            "Parts of datagrams that were left out, by reason",
        );
        let late = "Units once counted as missing that came late";
        let unknown = "Flows of unknown sampling rate, written with rate 1 and marked";
        let waiting = "Data sets whose template had not come";
        let early = (
            "decode_early_sets",
            "What became of them: decoded once the template came, or dropped for lack of room or by age",
        );
        Decoded {
            datagrams: labelled(registry, datagrams, "protocol", protocols().chain(["none"])),
            flows: labelled(registry, flows, "protocol", protocols()),
            missing: labelled(registry, missing, "protocol", protocols()),
            errors: labelled(registry, errors, "reason", Reason::ALL.map(Reason::label)),
            late: register(registry, "decode_sequence_late", late),
            unknown_rate_flows: register(registry, "decode_unknown_rate_flows", unknown),
            waiting_sets: register(registry, "decode_waiting_sets", waiting),
            early_sets: labelled(registry, early, "outcome", ["decoded", "dropped"]),
            templates: register(
                registry,
                "decode_templates",
                "Templates learned or confirmed",
            ),
            clamped_times: register(
                registry,
                "decode_clamped_times",
                "Flow times out of reason, clamped",
            ),
        }
    }
}

impl Metrics {
    /// Registers them as `ingest_…` and `decode_…`.
    pub fn register(registry: &mut Registry) -> Metrics {
        let dropped = (
            "ingest_dropped_datagrams",
            "Datagrams dropped before decoding, by the place",
        );
        let dropped = labelled(registry, dropped, "reason", ["kernel", "queue_full"]);
        let refused = (
            "ingest_dropped_flows",
            "Decoded flows dropped before the topic, by reason",
        );
        let refused = labelled(registry, refused, "reason", ["topic_failed"]);
        let nth = |of: &[Counter], at: usize| of.get(at).cloned().unwrap_or_default();
        let received = "Datagrams taken from sockets";
        let bytes = "Payload of datagrams taken from sockets";
        let unexpected =
            "Datagrams of another protocol than their listener names, decoded all the same";
        Metrics {
            received_datagrams: register(registry, "ingest_received_datagrams", received),
            received_bytes: register(registry, "ingest_received_bytes", bytes),
            receive_errors: register(
                registry,
                "ingest_receive_errors",
                "Failed receive calls on sockets",
            ),
            kernel_drops: nth(&dropped, 0),
            queue_drops: nth(&dropped, 1),
            asked_buffer_bytes: register(
                registry,
                "ingest_receive_buffer_asked_bytes",
                "Receive buffer asked of the kernel for each socket",
            ),
            granted_buffer_bytes: register(
                registry,
                "ingest_receive_buffer_granted_bytes",
                "The least receive buffer that the kernel granted a socket",
            ),
            sockets: register(registry, "ingest_sockets", "Sockets of all listeners"),
            queue_bytes: register(
                registry,
                "ingest_queue_bytes",
                "Bytes waiting for the decoders",
            ),
            early_bytes: register(
                registry,
                "decode_early_bytes",
                "Bytes of data sets that wait for their template",
            ),
            restored_templates: register(
                registry,
                "decode_restored_templates",
                "Templates restored from the state file at the start",
            ),
            state_errors: register(
                registry,
                "decode_state_errors",
                "Failed attempts to save templates to the state file",
            ),
            goflow: Goflow::default(),
            unexpected_protocol: register(registry, "ingest_unexpected_datagrams", unexpected),
            exporters: register(
                registry,
                "ingest_exporters",
                "Exporters with state in the decoder",
            ),
            written_flows: register(
                registry,
                "ingest_written_flows",
                "Flows made durable in the topic",
            ),
            written_packs: register(
                registry,
                "ingest_written_packs",
                "Packs made durable in the topic",
            ),
            topic_drops: nth(&refused, 0),
            decoded: Decoded::register(registry),
        }
    }

    /// Counts what became of one datagram.
    pub fn decoded(&self, outcome: &Outcome) {
        let known = outcome
            .protocol
            .and_then(|p| Protocol::ALL.iter().position(|q| *q == p));
        let at = known.unwrap_or(Protocol::ALL.len());
        let add = |counters: &[Counter], n: u64| counters.get(at).map(|counter| counter.inc_by(n));
        add(&self.decoded.datagrams, 1);
        add(&self.decoded.flows, u64::from(outcome.flows));
        add(&self.decoded.missing, outcome.sequence_missing);
        for (counter, n) in self
            .decoded
            .errors
            .iter()
            .zip(outcome.errors)
            .filter(|(_, n)| *n > 0)
        {
            counter.inc_by(u64::from(n));
        }
        self.decoded.late.inc_by(outcome.sequence_late);
        self.decoded
            .unknown_rate_flows
            .inc_by(u64::from(outcome.unknown_rate_flows));
        self.decoded.waiting_sets.inc_by(u64::from(outcome.waiting));
        let early = [outcome.early_decoded, outcome.early_dropped];
        for (counter, n) in self.decoded.early_sets.iter().zip(early) {
            counter.inc_by(u64::from(n));
        }
        self.decoded.templates.inc_by(u64::from(outcome.templates));
        self.decoded
            .clamped_times
            .inc_by(u64::from(outcome.clamped_times));
    }

    /// All of them as they stand.
    pub fn totals(&self) -> Totals {
        let decoded = &self.decoded;
        let errors = Reason::ALL
            .into_iter()
            .zip(decoded.errors.iter().map(Counter::get));
        Totals {
            datagrams_received: self.received_datagrams.get(),
            kernel_drops: self.kernel_drops.get(),
            queue_drops: self.queue_drops.get(),
            receive_errors: self.receive_errors.get(),
            datagrams_decoded: sum(&decoded.datagrams),
            flows_decoded: sum(&decoded.flows),
            unknown_rate_flows: decoded.unknown_rate_flows.get(),
            flows_written: self.written_flows.get(),
            packs_written: self.written_packs.get(),
            topic_drops: self.topic_drops.get(),
            waiting_sets: decoded.waiting_sets.get(),
            early_sets_decoded: decoded.early_sets.first().map_or(0, Counter::get),
            early_sets_dropped: decoded.early_sets.get(1).map_or(0, Counter::get),
            sequence_missing: sum(&decoded.missing).saturating_sub(decoded.late.get()),
            errors: errors.filter(|(_, n)| *n > 0).collect(),
        }
    }
}

/// What the collector has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Datagrams taken from sockets.
    pub datagrams_received: u64,
    /// Datagrams that the kernel dropped: never received.
    pub kernel_drops: u64,
    /// Received datagrams that found the queue full.
    pub queue_drops: u64,
    /// Failed receive calls.
    pub receive_errors: u64,
    /// Datagrams given to the decoder.
    pub datagrams_decoded: u64,
    /// Flows that came out of it.
    pub flows_decoded: u64,
    /// Of these, flows of unknown sampling rate.
    pub unknown_rate_flows: u64,
    /// Flows that the topic has made durable.
    pub flows_written: u64,
    /// The packs they are in.
    pub packs_written: u64,
    /// Decoded flows that the topic did not take.
    pub topic_drops: u64,
    /// Data sets whose template had not come.
    pub waiting_sets: u64,
    /// Of these, those that were decoded once it came.
    pub early_sets_decoded: u64,
    /// And those that were dropped; the rest still waits.
    pub early_sets_dropped: u64,
    /// Missing by sequence numbers and not come since: flows (v5), records (IPFIX), datagrams (v9, sFlow).
    pub sequence_missing: u64,
    /// Parts of datagrams left out, by reason.
    pub errors: Vec<(Reason, u64)>,
}

impl Totals {
    /// Whether in = out + dropped at both stages; true once nothing is in flight.
    pub fn balance(&self) -> bool {
        self.datagrams_received == self.datagrams_decoded + self.queue_drops
            && self.flows_decoded == self.flows_written + self.topic_drops
    }
}
