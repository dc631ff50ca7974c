//! IPFIX (RFC 7011): a header of 16 bytes, then sets.
//!
//! Law: a message is as long as it says, or as the datagram if that is shorter; whatever differs is counted.

use flow_proto::Flow;

use super::exporter::DomainKey;
use super::message::{self, Header};
use super::outcome::{Outcome, Protocol, Reason};
use super::reader::Reader;
use super::times::{self, Export};
use super::{Arrival, Decoder};

/// Of the message header (RFC 7011 3.1).
const HEADER_BYTES: usize = 16;

fn header(reader: &mut Reader<'_>) -> Option<(Header, usize)> {
    reader.u16()?;
    let length = usize::from(reader.u16()?);
    let export = Export {
        export_ns: times::seconds(reader.u32()?),
        uptime_ms: None,
    };
    let sequence = reader.u32()?;
    let domain_id = reader.u32()?;
    let (protocol, key) = (Protocol::Ipfix, DomainKey::Ipfix(domain_id));
    Some((
        Header {
            protocol,
            export,
            sequence,
            domain_id,
            key,
        },
        length,
    ))
}

pub(super) fn decode(
    decoder: &mut Decoder,
    arrival: &Arrival<'_>,
    out: &mut Vec<Flow>,
    outcome: &mut Outcome,
) {
    let mut reader = Reader::new(arrival.datagram);
    let Some((header, length)) = header(&mut reader) else {
        return outcome.count(Reason::BadHeader);
    };
    if length != arrival.datagram.len() {
        outcome.count(Reason::BadLength);
    }
    // A length shorter than the header is no length: then the datagram's own counts.
    let body = length
        .checked_sub(HEADER_BYTES)
        .and_then(|length| reader.take(length));
    let body = body.unwrap_or(reader.rest());
    let Some(records) = message::decode(decoder, arrival, (&header, body), out, outcome) else {
        return;
    };
    // Data records are counted (RFC 7011 3.1).
    let (who, clock) = ((arrival, header.key), (records.counted, None));
    decoder
        .exporters
        .sequence(who, header.sequence, clock, outcome);
}
