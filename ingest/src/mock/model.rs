//! What a mock flow is made of: protocol, ports, sizes.
//!
//! Law: plausible for a network's edge: mostly TCP to few server ports, sizes of acknowledgements, full frames and
//! something between, a heavy tail of packets a flow.

use flow_proto::{Addr, Flow, FlowType};

use super::chance::Chance;

const TCP: u32 = 6;
const UDP: u32 = 17;
const TCP_PORTS: [u32; 10] = [443, 443, 443, 443, 443, 80, 80, 22, 25, 8443];
const UDP_PORTS: [u32; 8] = [443, 443, 443, 53, 53, 123, 4500, 3478];
/// Ethernet header without a tag.
const ETHERNET_BYTES: u64 = 14;

/// Sets protocol, ports, flags and what else the packet's headers say.
pub(super) fn headers(flow: &mut Flow, to_server: bool, chance: &mut Chance) {
    let ipv6 = flow.etype == 0x86dd;
    flow.ip_tos = chance.one_of(&[0, 0, 0, 0, 0, 0x20, 0x48, 0xb8]);
    let (proto, ports): (u32, &[u32]) = match chance.below(100) {
        0..74 => (TCP, &TCP_PORTS),
        74..95 => (UDP, &UDP_PORTS),
        95..99 => (if ipv6 { 58 } else { 1 }, &[]),
        _ => (47, &[]),
    };
    flow.proto = proto;
    if ports.is_empty() {
        if proto != 47 {
            let echo: [u32; 2] = if ipv6 { [128, 129] } else { [8, 0] };
            flow.icmp_type = chance.one_of(&echo);
        }
        return;
    }
    let server = chance.one_of(ports);
    let client = 32_768 + chance.below_u32(28_232);
    (flow.src_port, flow.dst_port) = if to_server {
        (client, server)
    } else {
        (server, client)
    };
    if proto == TCP {
        flow.tcp_flags = chance.one_of(&[0x10, 0x10, 0x18, 0x18, 0x1b, 0x02, 0x12, 0x11]);
    }
}

/// Sets bytes and packets: one sampled frame for sFlow, a whole flow for the others.
pub(super) fn sizes(flow: &mut Flow, chance: &mut Chance) {
    let headers: u64 = if flow.etype == 0x86dd { 60 } else { 40 };
    let payload = match chance.below(10) {
        0..4 => chance.below(30),
        4..8 => 1460 - headers + 20,
        _ => chance.below(1400),
    };
    let packet_bytes = (headers + payload).min(1500);
    if flow.type_ == FlowType::Sflow5 {
        flow.packets = 1;
        flow.bytes = packet_bytes + ETHERNET_BYTES;
        return;
    }
    // Half of the flows have one to four packets, one in a thousand has thousands.
    let doublings = (0..12).take_while(|_| chance.below(2) == 0).count() as u64;
    flow.packets = 1 + chance.below(4 << doublings);
    flow.bytes = flow.packets * packet_bytes;
}

/// Sets what the exporter's routing table adds: next hop, prefix lengths, for sFlow the AS path.
pub(super) fn routing(flow: &mut Flow, exporter: u32, chance: &mut Chance) {
    let (low, ipv6) = (exporter.to_be_bytes(), flow.etype == 0x86dd);
    flow.next_hop = if ipv6 {
        let mut bytes = [
            0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        (bytes[12], bytes[13], bytes[14], bytes[15]) = (low[0], low[1], low[2], low[3]);
        Addr(bytes)
    } else {
        Addr::v4([203, 0, 113, low[3]])
    };
    if flow.type_ != FlowType::NetflowV5 {
        flow.bgp_next_hop = flow.next_hop;
    }
    let lengths: [u32; 4] = if ipv6 {
        [32, 36, 44, 48]
    } else {
        [12, 16, 20, 24]
    };
    (flow.src_net, flow.dst_net) = (chance.one_of(&lengths), chance.one_of(&lengths));
    flow.in_if = 1 + chance.below_u32(16);
    flow.out_if = 17 + chance.below_u32(4);
    if flow.type_ == FlowType::Sflow5 && flow.dst_as != 0 {
        if chance.below(2) == 0 {
            flow.as_path.push(65_000 + chance.below_u32(14));
        }
        flow.as_path.push(flow.dst_as);
        flow.next_hop_as = flow.as_path.as_slice().first().copied().unwrap_or(0);
    }
}
