//! NetFlow version 5: a header of 24 bytes and fixed records of 48.
//!
//! There is no RFC; layout after Cisco's published table. Law: the whole records that are there are decoded,
//! whatever the header's count says.

use flow_proto::{Addr, Flow};

use super::exporter::DomainKey;
use super::outcome::{Outcome, Protocol, Reason};
use super::reader::Reader;
use super::times;
use super::{Arrival, Decoder, ETYPE_IPV4};

const RECORD_BYTES: usize = 48;
/// The two top bits of the sampling word are the mode, the rest is the interval.
const INTERVAL_MASK: u16 = 0x3fff;

struct Header {
    count: u16,
    uptime_ms: u32,
    export_ns: u64,
    sequence: u32,
    engine: u16,
    sampling: u16,
}

fn header(reader: &mut Reader<'_>) -> Option<Header> {
    reader.u16()?;
    Some(Header {
        count: reader.u16()?,
        uptime_ms: reader.u32()?,
        export_ns: times::seconds(reader.u32()?).saturating_add(u64::from(reader.u32()?)),
        sequence: reader.u32()?,
        engine: reader.u16()?,
        sampling: reader.u16()?,
    })
}

pub(super) fn decode(
    decoder: &mut Decoder,
    arrival: &Arrival<'_>,
    out: &mut Vec<Flow>,
    outcome: &mut Outcome,
) {
    let mut reader = Reader::new(arrival.datagram);
    let Some(header) = header(&mut reader) else {
        return outcome.count(Reason::BadHeader);
    };
    let present = reader.len() / RECORD_BYTES;
    let count = usize::from(header.count);
    if count > present {
        outcome.count(Reason::CountMismatch);
    } else if reader.len() != count * RECORD_BYTES {
        outcome.count(Reason::TrailingBytes);
    }
    let base = Flow {
        sequence_num: header.sequence,
        sampling_rate: u64::from(header.sampling & INTERVAL_MASK),
        sampler_address: arrival.source,
        observation_domain_id: u32::from(header.engine),
        etype: ETYPE_IPV4,
        ..arrival.flow(Protocol::NetflowV5)
    };
    for _ in 0..count.min(present) {
        let mut flow = base.clone();
        if record(&mut reader, &header, &mut flow).is_some() {
            out.push(flow);
        }
    }
    // A count that is not to be believed makes the next sequence number unknown.
    let units = (count <= present).then_some(u32::from(header.count));
    let who = (arrival, DomainKey::NetflowV5(header.engine));
    decoder.exporters.sequence(
        who,
        header.sequence,
        (units, Some(header.uptime_ms)),
        outcome,
    );
}

fn record(reader: &mut Reader<'_>, header: &Header, flow: &mut Flow) -> Option<()> {
    flow.src_addr = Addr::v4(reader.array()?);
    flow.dst_addr = Addr::v4(reader.array()?);
    flow.next_hop = Addr::v4(reader.array()?);
    flow.in_if = u32::from(reader.u16()?);
    flow.out_if = u32::from(reader.u16()?);
    flow.packets = u64::from(reader.u32()?);
    flow.bytes = u64::from(reader.u32()?);
    flow.time_flow_start_ns = times::before(header.export_ns, header.uptime_ms, reader.u32()?);
    flow.time_flow_end_ns = times::before(header.export_ns, header.uptime_ms, reader.u32()?);
    flow.src_port = u32::from(reader.u16()?);
    flow.dst_port = u32::from(reader.u16()?);
    let [_, tcp_flags, proto, tos] = reader.array()?;
    flow.tcp_flags = u32::from(tcp_flags);
    flow.proto = u32::from(proto);
    flow.ip_tos = u32::from(tos);
    flow.src_as = u32::from(reader.u16()?);
    flow.dst_as = u32::from(reader.u16()?);
    let [src_net, dst_net, _, _] = reader.array()?;
    flow.src_net = u32::from(src_net);
    flow.dst_net = u32::from(dst_net);
    Some(())
}
