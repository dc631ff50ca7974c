//! NetFlow version 9 (RFC 3954): a header of 20 bytes, then sets.
//!
//! The header's count is not believed: some exporters count records, some sets, some only the templates, and
//! reading on to the end of the datagram finds what they left out.
//! Law: what is in the datagram is decoded, whatever its header counts.

use flow_proto::Flow;

use super::exporter::DomainKey;
use super::message::{self, Header};
use super::outcome::{Outcome, Protocol, Reason};
use super::reader::Reader;
use super::times::{self, Export};
use super::{Arrival, Decoder};

fn header(reader: &mut Reader<'_>) -> Option<(Header, u32)> {
    let _version_and_count = reader.u32()?;
    let uptime_ms = reader.u32()?;
    let export_ns = times::seconds(reader.u32()?);
    let sequence = reader.u32()?;
    let source_id = reader.u32()?;
    let export = Export {
        export_ns,
        uptime_ms: Some(uptime_ms),
    };
    let (protocol, key) = (Protocol::NetflowV9, DomainKey::NetflowV9(source_id));
    Some((
        Header {
            protocol,
            export,
            sequence,
            domain_id: source_id,
            key,
        },
        uptime_ms,
    ))
}

pub(super) fn decode(
    decoder: &mut Decoder,
    arrival: &Arrival<'_>,
    out: &mut Vec<Flow>,
    outcome: &mut Outcome,
) {
    let mut reader = Reader::new(arrival.datagram);
    let Some((header, uptime_ms)) = header(&mut reader) else {
        return outcome.count(Reason::BadHeader);
    };
    if message::decode(decoder, arrival, (&header, reader.rest()), out, outcome).is_none() {
        return;
    }
    // Datagrams are counted (RFC 3954 5.1).
    let (who, clock) = ((arrival, header.key), (Some(1), Some(uptime_ms)));
    decoder
        .exporters
        .sequence(who, header.sequence, clock, outcome);
}
