//! The beginning of a packet that a flow describes: Ethernet, VLAN tag, IP, TCP, UDP or ICMP headers.
//!
//! What an sFlow agent would have sampled. Law: lengths and the IPv4 checksum are right; payload there is none.

use flow_proto::Flow;

use super::encoder::Put;

const ETHERNET_BYTES: u64 = 14;
const TAG_BYTES: u64 = 4;

/// Appends the headers.
pub(super) fn headers(flow: &Flow, out: &mut Vec<u8>) {
    for mac in [flow.dst_mac, flow.src_mac] {
        out.extend_from_slice(mac.0.to_be_bytes().get(2..).unwrap_or(&[0; 6]));
    }
    let mut link_bytes = ETHERNET_BYTES;
    if flow.vlan_id != 0 {
        out.put_u16(0x8100);
        out.put_u16(flow.vlan_id & 0xfff);
        link_bytes += TAG_BYTES;
    }
    out.put_u16(flow.etype);
    let ip_bytes = u32::try_from(flow.bytes.saturating_sub(link_bytes)).unwrap_or(u32::MAX);
    match flow.etype {
        0x0800 => ipv4(flow, ip_bytes, out),
        0x86dd => ipv6(flow, ip_bytes.saturating_sub(40), out),
        _ => return,
    }
    if flow.fragment_offset == 0 {
        transport(flow, out);
    }
}

fn ipv4(flow: &Flow, total_bytes: u32, out: &mut Vec<u8>) {
    let start = out.len();
    out.put_u8(0x45);
    out.put_u8(flow.ip_tos);
    out.put_u16(total_bytes);
    out.put_u16(flow.fragment_id);
    out.put_u16((flow.ip_flags & 7) << 13 | flow.fragment_offset & 0x1fff);
    out.put_u8(flow.ip_ttl);
    out.put_u8(flow.proto);
    out.put_u16(0);
    for address in [flow.src_addr, flow.dst_addr] {
        out.extend_from_slice(&address.as_v4().unwrap_or([0; 4]));
    }
    let checksum = checksum(out.get(start..).unwrap_or(&[]));
    out.set_u16(start + 10, usize::from(checksum));
}

/// RFC 1071: the complement of the ones' complement sum.
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn ipv6(flow: &Flow, payload_bytes: u32, out: &mut Vec<u8>) {
    let first = 6 << 28 | (flow.ip_tos & 0xff) << 20 | flow.ipv6_flow_label & 0xf_ffff;
    out.put_u32(u64::from(first));
    out.put_u16(payload_bytes);
    out.put_u8(flow.proto);
    out.put_u8(flow.ip_ttl);
    out.extend_from_slice(&flow.src_addr.0);
    out.extend_from_slice(&flow.dst_addr.0);
}

fn transport(flow: &Flow, out: &mut Vec<u8>) {
    match flow.proto {
        6 => {
            out.put_u16(flow.src_port);
            out.put_u16(flow.dst_port);
            // Sequence, acknowledgement; a header of five words; flags, window, checksum, urgent pointer.
            out.extend_from_slice(&[0; 8]);
            out.put_u8(0x50);
            out.put_u8(flow.tcp_flags);
            out.extend_from_slice(&[0xff, 0xff, 0, 0, 0, 0]);
        }
        17 => {
            out.put_u16(flow.src_port);
            out.put_u16(flow.dst_port);
            out.extend_from_slice(&[0; 4]);
        }
        1 | 58 => {
            out.put_u8(flow.icmp_type);
            out.put_u8(flow.icmp_code);
            out.extend_from_slice(&[0; 6]);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
    use flow_proto::{Addr, Mac};

    fn flow(etype: u32, proto: u32) -> Flow {
        let ipv6 = |last| Addr([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        let v4 = etype == 0x0800;
        Flow {
            src_addr: if v4 { Addr::v4([10, 1, 2, 3]) } else { ipv6(1) },
            dst_addr: if v4 { Addr::v4([10, 4, 5, 6]) } else { ipv6(2) },
            src_mac: Mac(0x0200_0000_0001),
            dst_mac: Mac(0x0200_0000_0002),
            src_port: 40_000,
            dst_port: 443,
            tcp_flags: 0x12,
            vlan_id: 77,
            bytes: 1000,
            ip_ttl: 60,
            etype,
            proto,
            ..Flow::default()
        }
    }

    #[test]
    fn another_parser_reads_what_was_meant() {
        for (etype, proto) in [(0x0800, 6), (0x0800, 17), (0x86dd, 6), (0x86dd, 17)] {
            let mut bytes = Vec::new();
            headers(&flow(etype, proto), &mut bytes);
            let packet = LaxSlicedPacket::from_ethernet(&bytes).unwrap();
            assert_eq!(packet.vlan_ids().first().map(|id| id.value()), Some(77));
            match packet.net {
                Some(LaxNetSlice::Ipv4(ip)) => {
                    let header = ip.header().to_header();
                    assert_eq!(header.header_checksum, header.calc_header_checksum());
                    assert_eq!((header.total_len, header.source), (982, [10, 1, 2, 3]));
                }
                Some(LaxNetSlice::Ipv6(ip)) => {
                    let header = ip.header().to_header();
                    assert_eq!((header.payload_length, header.hop_limit), (942, 60));
                    assert_eq!(header.destination[15], 2);
                }
                other => panic!("{other:?}"),
            }
            match packet.transport {
                Some(TransportSlice::Tcp(tcp)) => {
                    assert_eq!((tcp.source_port(), tcp.destination_port()), (40_000, 443));
                    assert!(tcp.syn() && tcp.ack() && !tcp.fin());
                }
                Some(TransportSlice::Udp(udp)) => assert_eq!(udp.destination_port(), 443),
                other => panic!("{other:?}"),
            }
        }
    }
}
