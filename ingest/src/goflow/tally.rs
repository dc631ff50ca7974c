//! `Tally`: what one decoding thread has seen, in GoFlow's terms.
//!
//! Law: bounded, whoever sends what: the first exporters, source ports, agents and templates have series of their own,
//! those beyond share one under the label `other`. No count is lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use flow_proto::{Addr, Flow};

use super::Arrived;
use super::summary::Summary;
use crate::udp::{Listen, Scheme};
use crate::wire::{Outcome, Protocol, Reason, SampleKind};

/// Exporters with series of their own.
const SOURCES: usize = 1024;
/// Source ports of one exporter.
const PORTS: usize = 4;
/// Agents of one exporter.
const AGENTS: usize = 64;
/// Templates of one exporter.
const TEMPLATES: usize = 256;

/// GoFlow's names of its three decoders.
pub(super) const NAMES: [&str; 3] = ["sFlow", "NetFlow", "NetFlowV5"];
/// Its names of errors: NetFlow's, sFlow's.
pub(super) const NF_ERRORS: [&str; 4] = [
    "error_version",
    "error_flow_id",
    "template_not_found",
    "error_decoding",
];
pub(super) const SF_ERRORS: [&str; 3] = ["error_version", "error_data_format", "error_decoding"];

/// Datagrams of one source port to one decoder.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic {
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) sizes: Summary,
}

/// NetFlow of one version.
#[derive(Clone, Debug, Default)]
pub(super) struct Netflow {
    pub(super) count: u64,
    /// Sets and records by `SetKind`.
    pub(super) sets: [(u64, u64); 4],
    pub(super) delay: Summary,
}

/// sFlow of one agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Sflow {
    pub(super) count: u64,
    /// Samples and records by `SampleKind`.
    pub(super) samples: [(u64, u64); 5],
}

/// A template's version, domain, id, and whether it is of options; `None`: one of many.
pub(super) type TemplateKey = (u8, Option<(u32, u16, bool)>);

/// One exporter, by the address its datagrams come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    /// By source port (`None`: one of many) and decoder.
    pub(super) traffic: BTreeMap<(Option<u16>, usize), Traffic>,
    /// By version.
    pub(super) netflow: BTreeMap<u8, Netflow>,
    pub(super) nf_errors: [u64; NF_ERRORS.len()],
    pub(super) sf_errors: [u64; SF_ERRORS.len()],
    pub(super) templates: BTreeMap<TemplateKey, u64>,
    /// By agent address; `None`: one of many.
    pub(super) agents: BTreeMap<Option<Addr>, Sflow>,
}

/// One of the three decoders in this thread.
#[derive(Clone, Debug, Default)]
pub(super) struct DecoderCounts {
    pub(super) good: u64,
    pub(super) bad: u64,
    pub(super) decoding_ns: Summary,
    pub(super) processing_ns: Summary,
}

/// What one decoding thread has seen.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) worker: usize,
    pub(super) local: SocketAddr,
    scheme: Scheme,
    /// By address; `None`: one of many.
    pub(super) sources: BTreeMap<Option<Addr>, Source>,
    /// By place in `NAMES`.
    pub(super) decoders: [DecoderCounts; NAMES.len()],
}

impl Tally {
    pub(super) fn new(worker: usize, listen: &Listen) -> Tally {
        Tally {
            worker,
            local: listen.address,
            scheme: listen.scheme,
            sources: BTreeMap::new(),
            decoders: Default::default(),
        }
    }

    /// Counts a datagram.
    pub(super) fn add(&mut self, arrived: &Arrived<'_>) {
        let outcome = arrived.outcome;
        let name = self.name(outcome.protocol);
        let error = error(outcome, name);
        if let Some(decoder) = self.decoders.get_mut(name) {
            let decoding_ns = arrived.decoded_ns.saturating_sub(arrived.begun_ns);
            decoder.decoding_ns.observe(decoding_ns, arrived.done_ns);
            if error.is_some() {
                decoder.bad += 1;
            } else {
                decoder.good += 1;
                let processing_ns = arrived.done_ns.saturating_sub(arrived.begun_ns);
                decoder
                    .processing_ns
                    .observe(processing_ns, arrived.done_ns);
            }
        }
        let address = Addr::from(arrived.source.ip());
        let known = self.sources.len() < SOURCES || self.sources.contains_key(&Some(address));
        let source = self.sources.entry(known.then_some(address)).or_default();
        source.traffic(arrived, name);
        match (error, name) {
            (Some(error), 0) => count(&mut source.sf_errors, error),
            (Some(error), _) => count(&mut source.nf_errors, error),
            _ => {}
        }
        match outcome.protocol {
            Some(Protocol::Sflow5) => source.sflow(outcome),
            Some(Protocol::NetflowV5) => source.netflow(5, arrived),
            Some(Protocol::NetflowV9) => source.netflow(9, arrived),
            Some(Protocol::Ipfix) => source.netflow(10, arrived),
            None => {}
        }
    }

    /// The decoder of a datagram, which is that of its listener if nothing can be read in it.
    fn name(&self, protocol: Option<Protocol>) -> usize {
        match (protocol, self.scheme) {
            (Some(Protocol::Sflow5), _) | (None, Scheme::Sflow) => 0,
            (Some(Protocol::NetflowV5), _) => 2,
            _ => 1,
        }
    }
}

impl Source {
    fn traffic(&mut self, arrived: &Arrived<'_>, name: usize) {
        let key = (Some(arrived.source.port()), name);
        let known = self.traffic.len() < PORTS || self.traffic.contains_key(&key);
        let key = if known { key } else { (None, name) };
        let traffic = self.traffic.entry(key).or_default();
        let bytes = arrived.bytes as u64;
        traffic.bytes += bytes;
        traffic.packets += 1;
        traffic.sizes.observe(bytes, arrived.done_ns);
    }

    fn netflow(&mut self, version: u8, arrived: &Arrived<'_>) {
        let parts = &arrived.outcome.parts;
        let netflow = self.netflow.entry(version).or_default();
        netflow.count += 1;
        if version == 5 {
            // GoFlow counts each record of v5 as a set.
            let [.., (sets, _)] = &mut netflow.sets;
            *sets += arrived.flows.len() as u64;
            return;
        }
        for ((sets, records), (_, count)) in netflow.sets.iter_mut().zip(parts.sets()) {
            *sets += u64::from(count.units);
            *records += u64::from(count.records);
        }
        for flow in arrived.flows {
            netflow.delay.observe(delay_secs(flow), arrived.done_ns);
        }
        for learned in &parts.learned {
            let key = (
                version,
                Some((parts.domain_id, learned.id, learned.options)),
            );
            let known = self.templates.len() < TEMPLATES || self.templates.contains_key(&key);
            let key = if known { key } else { (version, None) };
            *self.templates.entry(key).or_default() += 1;
        }
    }

    fn sflow(&mut self, outcome: &Outcome) {
        let agent = Some(outcome.parts.agent);
        let known = self.agents.len() < AGENTS || self.agents.contains_key(&agent);
        let sflow = self
            .agents
            .entry(if known { agent } else { None })
            .or_default();
        sflow.count += 1;
        for ((samples, records), (_, count)) in
            sflow.samples.iter_mut().zip(outcome.parts.samples())
        {
            *samples += u64::from(count.units);
            *records += u64::from(count.records);
        }
    }
}

/// From the end of a flow to its arrival; GoFlow counts whole seconds, too.
fn delay_secs(flow: &Flow) -> u64 {
    let (received, ended) = (flow.time_received_ns, flow.time_flow_end_ns);
    (received / 1_000_000_000).saturating_sub(ended / 1_000_000_000)
}

fn count(counters: &mut [u64], at: usize) {
    if let Some(counter) = counters.get_mut(at) {
        *counter += 1;
    }
}

/// The error GoFlow would have met, by its place among those of the decoder; it ends at the first. What only
/// contradicts its header it does not notice.
fn error(outcome: &Outcome, name: usize) -> Option<usize> {
    let unnoticed = [
        Reason::CountMismatch,
        Reason::TrailingBytes,
        Reason::BadLength,
        Reason::BadPacket,
    ];
    let undecoded = || outcome.reasons().any(|(r, _)| !unnoticed.contains(&r));
    let other_samples = || {
        let mut samples = outcome.parts.samples();
        samples.any(|(kind, count)| kind == SampleKind::Other && count.units > 0)
    };
    match name {
        _ if outcome.protocol.is_none() => Some(0),
        0 if other_samples() => Some(1),
        0 => undecoded().then_some(2),
        _ if outcome.waiting > 0 => Some(2),
        _ if outcome.error(Reason::ReservedSet) > 0 => Some(1),
        _ => undecoded().then_some(3),
    }
}
