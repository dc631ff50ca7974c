//! Headers of a sampled packet: Ethernet, VLAN, MPLS, PPPoE, IPv4, IPv6, TCP, UDP, ICMP.
//!
//! Only the beginning of the packet is there, cut anywhere. The outermost addresses and ports are the flow's;
//! what a tunnel carries is not looked at.
//! Law: a header that is cut gives what is left of it; one that is not what it claims to be gives nothing.

use flow_proto::{Addr, Flow, Mac};

use super::reader::Reader;
use super::{ETYPE_IPV4, ETYPE_IPV6, transport};

/// What a sampled packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// Ethernet II or 802.3.
    Ethernet,
    /// IPv4 or IPv6, told by its first four bits.
    Ip,
    /// An MPLS stack.
    Mpls,
}

/// Fills the flow from the packet's headers; `None` if they cannot be read as what they claim to be.
pub(crate) fn decode(layer: Layer, bytes: &[u8], flow: &mut Flow) -> Option<()> {
    let mut reader = Reader::new(bytes);
    match layer {
        Layer::Ethernet => ethernet(&mut reader, flow),
        Layer::Ip => ip(&mut reader, flow),
        Layer::Mpls => mpls(&mut reader, flow),
    }
}

/// A MAC address of six bytes.
pub(crate) fn mac([a, b, c, d, e, f]: [u8; 6]) -> Mac {
    Mac(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

fn ethernet(reader: &mut Reader<'_>, flow: &mut Flow) -> Option<()> {
    flow.dst_mac = mac(reader.array()?);
    flow.src_mac = mac(reader.array()?);
    let etype = reader.u16()?;
    by_etype(reader, u32::from(etype), flow)
}

/// VLAN tags may be stacked (802.1ad); the last one's id stays.
fn by_etype(reader: &mut Reader<'_>, mut etype: u32, flow: &mut Flow) -> Option<()> {
    while matches!(etype, 0x8100 | 0x88a8 | 0x9100) {
        let (Some(tag), Some(next)) = (reader.u16(), reader.u16()) else {
            break;
        };
        flow.vlan_id = u32::from(tag & 0xfff);
        etype = u32::from(next);
    }
    if etype <= 1500 {
        // 802.3: a length, then LLC; SNAP (RFC 1042) carries an EtherType.
        let [0xaa, 0xaa, 0x03, _, _, _] = reader.array()? else {
            return Some(());
        };
        etype = u32::from(reader.u16()?);
    }
    flow.etype = etype;
    match etype {
        ETYPE_IPV4 | ETYPE_IPV6 => ip(reader, flow),
        0x8847 | 0x8848 => mpls(reader, flow),
        0x8864 => pppoe(reader, flow),
        _ => Some(()),
    }
}

/// RFC 2516: six bytes, then the PPP protocol.
fn pppoe(reader: &mut Reader<'_>, flow: &mut Flow) -> Option<()> {
    reader.take(6)?;
    match reader.u16()? {
        0x0021 | 0x0057 => ip(reader, flow),
        0x0281 | 0x0283 => mpls(reader, flow),
        _ => Some(()),
    }
}

/// The stack ends with the bottom-of-stack bit (RFC 3032 2.1); what follows is told by its first four bits.
fn mpls(reader: &mut Reader<'_>, flow: &mut Flow) -> Option<()> {
    flow.etype = 0x8847;
    loop {
        let entry = reader.u32()?;
        flow.mpls_label.push(entry >> 12);
        flow.mpls_ttl.push(entry & 0xff);
        if entry & 0x100 != 0 {
            break;
        }
    }
    match reader.rest().first().map(|byte| byte >> 4) {
        Some(4 | 6) => ip(reader, flow),
        _ => Some(()),
    }
}

fn ip(reader: &mut Reader<'_>, flow: &mut Flow) -> Option<()> {
    match reader.rest().first()? >> 4 {
        4 => ipv4(reader, flow),
        6 => ipv6(reader, flow),
        _ => None,
    }
}

/// RFC 791 3.1.
fn ipv4(reader: &mut Reader<'_>, flow: &mut Flow) -> Option<()> {
    let [first, tos] = reader.array()?;
    let options_bytes = usize::from(first & 0xf).checked_sub(5)? * 4;
    let [
        _,
        _,
        id_high,
        id_low,
        fragment_high,
        fragment_low,
        ttl,
        proto,
        _,
        _,
    ] = reader.array()?;
    let (source, destination) = (reader.array()?, reader.array()?);
    let fragment = u16::from_be_bytes([fragment_high, fragment_low]);
    flow.etype = ETYPE_IPV4;
    flow.ip_tos = u32::from(tos);
    flow.fragment_id = u32::from(u16::from_be_bytes([id_high, id_low]));
    flow.ip_flags = u32::from(fragment >> 13);
    flow.fragment_offset = u32::from(fragment & 0x1fff);
    flow.ip_ttl = u32::from(ttl);
    flow.proto = u32::from(proto);
    flow.src_addr = Addr::v4(source);
    flow.dst_addr = Addr::v4(destination);
    // Ports stand in the first fragment only.
    if flow.fragment_offset == 0 && reader.take(options_bytes).is_some() {
        transport::decode(proto, reader, flow);
    }
    Some(())
}

/// RFC 8200 3.
fn ipv6(reader: &mut Reader<'_>, flow: &mut Flow) -> Option<()> {
    let first = reader.u32()?;
    let [_, _, next_header, hop_limit] = reader.array()?;
    let (source, destination) = (reader.array()?, reader.array()?);
    flow.etype = ETYPE_IPV6;
    flow.ip_tos = first >> 20 & 0xff;
    flow.ipv6_flow_label = first & 0xf_ffff;
    flow.ip_ttl = u32::from(hop_limit);
    flow.src_addr = Addr(source);
    flow.dst_addr = Addr(destination);
    let proto = extension_headers(reader, next_header, flow);
    if flow.fragment_offset == 0
        && let Some(proto) = proto
    {
        transport::decode(proto, reader, flow);
    }
    Some(())
}

/// Steps over the extension headers; the protocol after them, `None` if the chain is cut.
fn extension_headers(reader: &mut Reader<'_>, first: u8, flow: &mut Flow) -> Option<u8> {
    let mut header = first;
    flow.proto = u32::from(header);
    loop {
        let (next, length) = match header {
            // Hop-by-hop, routing, destination options, mobility, HIP, shim6: units of 8 bytes.
            0 | 43 | 60 | 135 | 139 | 140 => {
                let [next, length] = reader.array()?;
                (next, usize::from(length) * 8 + 6)
            }
            // Authentication header: units of 4 bytes (RFC 4302 2.2).
            51 => {
                let [next, length] = reader.array()?;
                (next, usize::from(length) * 4 + 6)
            }
            44 => {
                let [next, _, high, low, id @ ..]: [u8; 8] = reader.array()?;
                flow.fragment_offset = u32::from(u16::from_be_bytes([high, low]) >> 3);
                flow.fragment_id = u32::from_be_bytes(id);
                (next, 0)
            }
            _ => return Some(header),
        };
        header = next;
        flow.proto = u32::from(header);
        // After the first fragment the next header is the last we can know.
        if flow.fragment_offset != 0 {
            return Some(header);
        }
        reader.take(length)?;
    }
}
