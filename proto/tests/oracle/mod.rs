//! The oracle: the same schema as prost's derive reads it, with the rules of the dialects applied afterwards.
//!
//! Shares no code with the decoders.

#![allow(dead_code, reason = "each test and benchmark uses its part")]

use flow_proto::{Addr, Flow, FlowCore, FlowType, List, Mac};
use prost::Message;

/// `FlowMessage`; 38 wide enough for either meaning.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FlowMessage {
    #[prost(int32, tag = "1")]
    pub(crate) type_: i32,
    #[prost(uint64, tag = "2")]
    pub(crate) time_received: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) sampling_rate: u64,
    #[prost(uint32, tag = "4")]
    pub(crate) sequence_num: u32,
    #[prost(uint64, tag = "5")]
    pub(crate) time_flow_end: u64,
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) src_addr: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) dst_addr: Vec<u8>,
    #[prost(uint64, tag = "9")]
    pub(crate) bytes: u64,
    #[prost(uint64, tag = "10")]
    pub(crate) packets: u64,
    #[prost(bytes = "vec", tag = "11")]
    pub(crate) sampler_address: Vec<u8>,
    #[prost(bytes = "vec", tag = "12")]
    pub(crate) next_hop: Vec<u8>,
    #[prost(uint32, tag = "13")]
    pub(crate) next_hop_as: u32,
    #[prost(uint32, tag = "14")]
    pub(crate) src_as: u32,
    #[prost(uint32, tag = "15")]
    pub(crate) dst_as: u32,
    #[prost(uint32, tag = "16")]
    pub(crate) src_net: u32,
    #[prost(uint32, tag = "17")]
    pub(crate) dst_net: u32,
    #[prost(uint32, tag = "18")]
    pub(crate) in_if: u32,
    #[prost(uint32, tag = "19")]
    pub(crate) out_if: u32,
    #[prost(uint32, tag = "20")]
    pub(crate) proto: u32,
    #[prost(uint32, tag = "21")]
    pub(crate) src_port: u32,
    #[prost(uint32, tag = "22")]
    pub(crate) dst_port: u32,
    #[prost(uint32, tag = "23")]
    pub(crate) ip_tos: u32,
    #[prost(uint32, tag = "24")]
    pub(crate) forwarding_status: u32,
    #[prost(uint32, tag = "25")]
    pub(crate) ip_ttl: u32,
    #[prost(uint32, tag = "26")]
    pub(crate) tcp_flags: u32,
    #[prost(uint64, tag = "27")]
    pub(crate) src_mac: u64,
    #[prost(uint64, tag = "28")]
    pub(crate) dst_mac: u64,
    #[prost(uint32, tag = "29")]
    pub(crate) vlan_id: u32,
    #[prost(uint32, tag = "30")]
    pub(crate) etype: u32,
    #[prost(uint32, tag = "31")]
    pub(crate) icmp_type: u32,
    #[prost(uint32, tag = "32")]
    pub(crate) icmp_code: u32,
    #[prost(uint32, tag = "33")]
    pub(crate) src_vlan: u32,
    #[prost(uint32, tag = "34")]
    pub(crate) dst_vlan: u32,
    #[prost(uint32, tag = "35")]
    pub(crate) fragment_id: u32,
    #[prost(uint32, tag = "36")]
    pub(crate) fragment_offset: u32,
    #[prost(uint32, tag = "37")]
    pub(crate) ipv6_flow_label: u32,
    #[prost(uint64, tag = "38")]
    pub(crate) flags_or_start: u64,
    #[prost(uint32, tag = "39")]
    pub(crate) ingress_vrf_id: u32,
    #[prost(uint32, tag = "40")]
    pub(crate) egress_vrf_id: u32,
    #[prost(uint32, tag = "42")]
    pub(crate) flow_direction: u32,
    #[prost(uint32, tag = "70")]
    pub(crate) observation_domain_id: u32,
    #[prost(uint32, tag = "71")]
    pub(crate) observation_point_id: u32,
    #[prost(uint32, repeated, tag = "80")]
    pub(crate) mpls_ttl: Vec<u32>,
    #[prost(uint32, repeated, tag = "81")]
    pub(crate) mpls_label: Vec<u32>,
    #[prost(bytes = "vec", tag = "100")]
    pub(crate) bgp_next_hop: Vec<u8>,
    #[prost(uint32, repeated, tag = "101")]
    pub(crate) bgp_communities: Vec<u32>,
    #[prost(uint32, repeated, tag = "102")]
    pub(crate) as_path: Vec<u32>,
    #[prost(uint64, optional, tag = "110")]
    pub(crate) time_received_ns: Option<u64>,
    #[prost(uint64, tag = "111")]
    pub(crate) time_flow_start_ns: u64,
    #[prost(uint64, tag = "112")]
    pub(crate) time_flow_end_ns: u64,
    #[prost(bool, tag = "1010")]
    pub(crate) sampling_rate_assumed: bool,
}

/// The message, or `None` where prost refuses.
pub(crate) fn decode(bytes: &[u8]) -> Option<FlowMessage> {
    FlowMessage::decode(bytes).ok()
}

fn addr(bytes: &[u8]) -> Addr {
    match bytes.len() {
        4 => Addr::v4([bytes[0], bytes[1], bytes[2], bytes[3]]),
        16 => Addr(bytes.try_into().expect("16 bytes")),
        _ => Addr::NONE,
    }
}

fn list<const N: usize>(items: &[u32]) -> List<N> {
    let mut list = List::default();
    for item in items.iter().take(N) {
        list.push(*item);
    }
    list
}

fn pick(ns: u64, secs: u64) -> u64 {
    if ns == 0 {
        u64::try_from(u128::from(secs) * 1_000_000_000).unwrap_or(u64::MAX)
    } else {
        ns
    }
}

/// Received, start, end, flags by the rules of `schema/flow.proto`.
fn times(m: &FlowMessage) -> (u64, u64, u64, u32) {
    let (start_secs, flags) = match m.time_received_ns {
        Some(_) => (0, m.flags_or_start as u32),
        None => (m.flags_or_start, 0),
    };
    (
        pick(m.time_received_ns.unwrap_or(0), m.time_received),
        pick(m.time_flow_start_ns, start_secs),
        pick(m.time_flow_end_ns, m.time_flow_end),
        flags,
    )
}

/// What `FlowCore::decode` is to give.
pub(crate) fn core(m: &FlowMessage) -> FlowCore {
    let (received_ns, start_ns, end_ns, _) = times(m);
    FlowCore {
        received_ns,
        start_ns,
        end_ns,
        bytes: m.bytes,
        packets: m.packets,
        sampling_rate: if m.sampling_rate_assumed {
            0
        } else {
            m.sampling_rate
        },
        src_addr: addr(&m.src_addr),
        dst_addr: addr(&m.dst_addr),
        exporter: addr(&m.sampler_address),
        src_as: m.src_as,
        dst_as: m.dst_as,
        etype: m.etype,
    }
}

/// What `Flow::decode` is to give.
pub(crate) fn flow(m: &FlowMessage) -> Flow {
    let (time_received_ns, time_flow_start_ns, time_flow_end_ns, ip_flags) = times(m);
    let type_ = match m.type_ {
        1 => FlowType::Sflow5,
        2 => FlowType::NetflowV5,
        3 => FlowType::NetflowV9,
        4 => FlowType::Ipfix,
        _ => FlowType::Unknown,
    };
    let mut flow = numbers(m);
    flow.type_ = type_;
    flow.time_received_ns = time_received_ns;
    flow.time_flow_start_ns = time_flow_start_ns;
    flow.time_flow_end_ns = time_flow_end_ns;
    flow.ip_flags = ip_flags;
    flow.src_addr = addr(&m.src_addr);
    flow.dst_addr = addr(&m.dst_addr);
    flow.sampler_address = addr(&m.sampler_address);
    flow.next_hop = addr(&m.next_hop);
    flow.bgp_next_hop = addr(&m.bgp_next_hop);
    flow.src_mac = Mac(m.src_mac);
    flow.dst_mac = Mac(m.dst_mac);
    flow.mpls_ttl = list(&m.mpls_ttl);
    flow.mpls_label = list(&m.mpls_label);
    flow.bgp_communities = list(&m.bgp_communities);
    flow.as_path = list(&m.as_path);
    flow.sampling_rate_assumed = m.sampling_rate_assumed;
    flow
}

macro_rules! same_names {
    ($m:expr; $($name:ident)*) => { Flow { $($name: $m.$name,)* ..Flow::default() } };
}

fn numbers(m: &FlowMessage) -> Flow {
    same_names!(m; sampling_rate sequence_num bytes packets next_hop_as src_as dst_as src_net dst_net in_if
        out_if proto src_port dst_port ip_tos forwarding_status ip_ttl tcp_flags vlan_id etype icmp_type
        icmp_code src_vlan dst_vlan fragment_id fragment_offset ipv6_flow_label ingress_vrf_id egress_vrf_id
        flow_direction observation_domain_id observation_point_id)
}
