//! Records of an sFlow flow sample: sampled headers and what the switch and router knew.
//!
//! Law: whatever the order of records, the sampled header wins over the IPv4, IPv6 and Ethernet records, and
//! its frame length (layer 2, maybe with checksum) is the flow's bytes.

use flow_proto::{Addr, Flow, List};

use super::outcome::{Outcome, Reason};
use super::packet::{self, Layer};
use super::reader::{Reader, length};
use super::sflow::address;
use super::{ETYPE_IPV4, ETYPE_IPV6};

/// Sampled packets of a sample, kept until all records have been seen.
#[derive(Default)]
struct Sampled<'a> {
    header: Option<&'a [u8]>,
    ip: Option<(u32, &'a [u8])>,
    ethernet: Option<&'a [u8]>,
}

/// Reads `count` records, or as many as there are.
pub(super) fn decode(reader: &mut Reader<'_>, count: u32, flow: &mut Flow, outcome: &mut Outcome) {
    let mut sampled = Sampled::default();
    for _ in 0..count {
        let (Some(format), Some(bytes)) = (reader.u32(), reader.u32()) else {
            outcome.count(Reason::BadSample);
            break;
        };
        let Some(body) = reader.take(length(bytes)) else {
            outcome.count(Reason::BadSampleRecord);
            break;
        };
        let read = match format {
            1..=4 => sampled.keep(format, body),
            1001 => switch(body, flow),
            1002 => router(body, flow),
            1003 => gateway(body, flow),
            _ => Some(()),
        };
        if read.is_none() {
            outcome.count(Reason::BadSampleRecord);
        }
    }
    sampled.finish(flow, outcome);
}

impl<'a> Sampled<'a> {
    fn keep(&mut self, format: u32, body: &'a [u8]) -> Option<()> {
        match format {
            1 => self.header = Some(body),
            2 => self.ethernet = Some(body),
            3 => self.ip = Some((ETYPE_IPV4, body)),
            _ => self.ip = Some((ETYPE_IPV6, body)),
        }
        Some(())
    }

    fn finish(&self, flow: &mut Flow, outcome: &mut Outcome) {
        let ethernet = self
            .ethernet
            .map_or(Some(()), |body| sampled_ethernet(body, flow));
        let ip = self
            .ip
            .map_or(Some(()), |(etype, body)| sampled_ip(etype, body, flow));
        for read in [ethernet, ip] {
            if read.is_none() {
                outcome.count(Reason::BadSampleRecord);
            }
        }
        if let Some(Err(reason)) = self.header.map(|body| raw_header(body, flow)) {
            outcome.count(reason);
        }
    }
}

/// Format 1: protocol, frame length, bytes stripped, header.
fn raw_header(body: &[u8], flow: &mut Flow) -> Result<(), Reason> {
    let mut reader = Reader::new(body);
    let mut fields = || Some((reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?));
    let (protocol, frame_bytes, _, header_bytes) = fields().ok_or(Reason::BadSampleRecord)?;
    flow.bytes = u64::from(frame_bytes);
    // Some agents count padding or forget it: the record's own end is the bound.
    let header = reader.take(length(header_bytes)).unwrap_or(reader.rest());
    let layer = match protocol {
        1 => Layer::Ethernet,
        11 | 12 => Layer::Ip,
        13 => Layer::Mpls,
        // Token ring, PPP, frame relay and so on: counted as a flow without addresses.
        _ => return Err(Reason::BadPacket),
    };
    packet::decode(layer, header, flow).ok_or(Reason::BadPacket)
}

/// Format 2: length, addresses padded to 8 bytes, type.
fn sampled_ethernet(body: &[u8], flow: &mut Flow) -> Option<()> {
    let mut reader = Reader::new(body);
    let bytes = reader.u32()?;
    let [a, b, c, d, e, f, _, _] = reader.array()?;
    let [g, h, i, j, k, l, _, _] = reader.array()?;
    flow.etype = reader.u32()?;
    flow.bytes = u64::from(bytes);
    flow.src_mac = packet::mac([a, b, c, d, e, f]);
    flow.dst_mac = packet::mac([g, h, i, j, k, l]);
    Some(())
}

/// Formats 3 and 4: length, protocol, addresses, ports, flags, type of service or priority.
fn sampled_ip(etype: u32, body: &[u8], flow: &mut Flow) -> Option<()> {
    let mut reader = Reader::new(body);
    let (bytes, proto) = (reader.u32()?, reader.u32()?);
    let (source, destination) = match etype {
        ETYPE_IPV4 => (Addr::v4(reader.array()?), Addr::v4(reader.array()?)),
        _ => (Addr(reader.array()?), Addr(reader.array()?)),
    };
    let (src_port, dst_port) = (reader.u32()?, reader.u32()?);
    let (tcp_flags, tos) = (reader.u32()?, reader.u32()?);
    flow.etype = etype;
    flow.bytes = u64::from(bytes);
    flow.proto = proto;
    flow.src_addr = source;
    flow.dst_addr = destination;
    flow.src_port = src_port;
    flow.dst_port = dst_port;
    flow.tcp_flags = tcp_flags;
    flow.ip_tos = tos;
    Some(())
}

/// Format 1001: VLAN and priority on either side.
fn switch(body: &[u8], flow: &mut Flow) -> Option<()> {
    let mut reader = Reader::new(body);
    let (source, _, destination) = (reader.u32()?, reader.u32()?, reader.u32()?);
    flow.src_vlan = source;
    flow.dst_vlan = destination;
    Some(())
}

/// Format 1002: next hop and prefix lengths.
fn router(body: &[u8], flow: &mut Flow) -> Option<()> {
    let mut reader = Reader::new(body);
    flow.next_hop = address(&mut reader)?;
    flow.src_net = reader.u32()?;
    flow.dst_net = reader.u32()?;
    Some(())
}

/// Format 1003: next hop, router's AS, source AS, source peer AS, AS path in segments, communities.
///
/// The destination is the last AS of the whole path, the first segment is what fits `as_path`; a path or
/// list longer than the flow's place for it keeps its beginning.
fn gateway(body: &[u8], flow: &mut Flow) -> Option<()> {
    let mut reader = Reader::new(body);
    let next_hop = address(&mut reader)?;
    let (own, source, _peer) = (reader.u32()?, reader.u32()?, reader.u32()?);
    flow.bgp_next_hop = next_hop;
    flow.src_as = if source > 0 { source } else { own };
    flow.dst_as = own;
    let segments = reader.u32()?;
    let mut path = List::default();
    let (mut first, mut last) = (None, None);
    for segment in 0..segments {
        let _kind = reader.u32()?;
        for _ in 0..reader.u32()? {
            let number = reader.u32()?;
            first = first.or(Some(number));
            last = Some(number);
            if segment == 0 {
                path.push(number);
            }
        }
    }
    flow.as_path = path;
    flow.next_hop_as = first.unwrap_or(0);
    flow.dst_as = last.unwrap_or(own);
    let mut communities = List::default();
    for _ in 0..reader.u32()? {
        communities.push(reader.u32()?);
    }
    flow.bgp_communities = communities;
    Some(())
}
