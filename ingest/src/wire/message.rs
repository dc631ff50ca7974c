//! A message of NetFlow v9 or IPFIX after its header: finds its exporter's state, reads the sets.
//!
//! Law: a message whose exporter has no room is refused whole and counted.

use flow_proto::Flow;

use super::exporter::DomainKey;
use super::outcome::{Outcome, Protocol, Reason};
use super::sets::Sets;
use super::times::Export;
use super::{Arrival, Decoder};

/// Flows of one message: at most one for so many bytes (source and destination address take as much), so
/// that what a datagram can make us allocate is a small multiple of its length …
pub(super) const LEAST_FLOW_BYTES: usize = 8;
/// … and these few in any case.
const FEW_FLOWS: usize = 16;

/// What v9 and IPFIX headers have in common.
pub(super) struct Header {
    pub(super) protocol: Protocol,
    pub(super) export: Export,
    pub(super) sequence: u32,
    pub(super) domain_id: u32,
    pub(super) key: DomainKey,
}

/// What the sets of a message held.
pub(super) struct Records {
    /// Data records; `None` if not all could be counted.
    pub(super) counted: Option<u32>,
}

/// Decodes a header's sets; `None` if there was no room for its exporter.
pub(super) fn decode(
    decoder: &mut Decoder,
    arrival: &Arrival<'_>,
    (header, body): (&Header, &[u8]),
    out: &mut Vec<Flow>,
    outcome: &mut Outcome,
) -> Option<Records> {
    let limits = decoder.exporters.limits;
    outcome.parts.domain_id = header.domain_id;
    let Some(found) = decoder.exporters.find(arrival, header.key) else {
        outcome.count(Reason::ExporterLimit);
        return None;
    };
    let mut sets = Sets {
        protocol: header.protocol,
        export: header.export,
        base: Flow {
            sequence_num: header.sequence,
            sampler_address: arrival.source,
            observation_domain_id: header.domain_id,
            ..arrival.flow(header.protocol)
        },
        exporter_rate: found.exporter_rate,
        limits,
        domain: found.domain,
        held: found.held,
        early_held: found.early_held,
        out,
        outcome,
        room: FEW_FLOWS + body.len() / LEAST_FLOW_BYTES,
        records: 0,
        countable: true,
        rate_changed: false,
    };
    sets.decode(body);
    let counted = sets.countable.then_some(sets.records);
    if sets.rate_changed {
        decoder.exporters.agree(arrival.source);
    }
    Some(Records { counted })
}
