//! `FlowMessage` by `prost`, in both dialects, and the framings of a record.
//!
//! Numbers and types are those of goflow2's and GoFlow's published schemas. All fields that the project reads stand
//! here, since a message with a wrong wire type in any of them is unreadable. `optional`: presence matters.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use prost::Message as _;
use prost::encoding::decode_varint;

use super::Record;

#[derive(Clone, PartialEq, prost::Message)]
pub struct Message {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(uint64, tag = "2")]
    pub time_received: u64,
    #[prost(uint64, tag = "3")]
    pub sampling_rate: u64,
    #[prost(uint32, tag = "4")]
    pub sequence_num: u32,
    #[prost(uint64, tag = "5")]
    pub time_flow_end: u64,
    #[prost(bytes = "vec", tag = "6")]
    pub src_addr: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    pub dst_addr: Vec<u8>,
    #[prost(uint64, tag = "9")]
    pub bytes: u64,
    #[prost(uint64, tag = "10")]
    pub packets: u64,
    #[prost(bytes = "vec", tag = "11")]
    pub sampler_address: Vec<u8>,
    #[prost(bytes = "vec", tag = "12")]
    pub next_hop: Vec<u8>,
    #[prost(uint32, tag = "13")]
    pub next_hop_as: u32,
    #[prost(uint32, tag = "14")]
    pub src_as: u32,
    #[prost(uint32, tag = "15")]
    pub dst_as: u32,
    #[prost(uint32, tag = "16")]
    pub src_net: u32,
    #[prost(uint32, tag = "17")]
    pub dst_net: u32,
    #[prost(uint32, tag = "18")]
    pub in_if: u32,
    #[prost(uint32, tag = "19")]
    pub out_if: u32,
    #[prost(uint32, tag = "20")]
    pub proto: u32,
    #[prost(uint32, tag = "21")]
    pub src_port: u32,
    #[prost(uint32, tag = "22")]
    pub dst_port: u32,
    #[prost(uint32, tag = "23")]
    pub ip_tos: u32,
    #[prost(uint32, tag = "24")]
    pub forwarding_status: u32,
    #[prost(uint32, tag = "25")]
    pub ip_ttl: u32,
    #[prost(uint32, tag = "26")]
    pub tcp_flags: u32,
    #[prost(uint64, tag = "27")]
    pub src_mac: u64,
    #[prost(uint64, tag = "28")]
    pub dst_mac: u64,
    #[prost(uint32, tag = "29")]
    pub vlan_id: u32,
    #[prost(uint32, tag = "30")]
    pub etype: u32,
    #[prost(uint32, tag = "31")]
    pub icmp_type: u32,
    #[prost(uint32, tag = "32")]
    pub icmp_code: u32,
    #[prost(uint32, tag = "33")]
    pub src_vlan: u32,
    #[prost(uint32, tag = "34")]
    pub dst_vlan: u32,
    #[prost(uint32, tag = "35")]
    pub fragment_id: u32,
    #[prost(uint32, tag = "36")]
    pub fragment_offset: u32,
    #[prost(uint32, tag = "37")]
    pub ipv6_flow_label: u32,
    /// Start in seconds, or flags.
    #[prost(uint64, tag = "38")]
    pub start_or_flags: u64,
    #[prost(uint32, tag = "39")]
    pub ingress_vrf_id: u32,
    #[prost(uint32, tag = "40")]
    pub egress_vrf_id: u32,
    #[prost(uint32, tag = "42")]
    pub flow_direction: u32,
    #[prost(uint32, tag = "70")]
    pub observation_domain_id: u32,
    #[prost(uint32, tag = "71")]
    pub observation_point_id: u32,
    #[prost(uint32, repeated, tag = "80")]
    pub mpls_ttl: Vec<u32>,
    #[prost(uint32, repeated, tag = "81")]
    pub mpls_label: Vec<u32>,
    #[prost(bytes = "vec", tag = "100")]
    pub bgp_next_hop: Vec<u8>,
    #[prost(uint32, repeated, tag = "101")]
    pub bgp_communities: Vec<u32>,
    #[prost(uint32, repeated, tag = "102")]
    pub as_path: Vec<u32>,
    #[prost(uint64, optional, tag = "110")]
    pub time_received_ns: Option<u64>,
    #[prost(uint64, tag = "111")]
    pub time_flow_start_ns: u64,
    #[prost(uint64, tag = "112")]
    pub time_flow_end_ns: u64,
    #[prost(bool, tag = "1010")]
    pub sampling_rate_assumed: bool,
}

/// Nanoseconds if given, else seconds if given.
fn either(ns: u64, secs: u64) -> Option<i128> {
    match (ns, secs) {
        (0, 0) => None,
        (0, secs) => Some(i128::from(secs) * 1_000_000_000),
        (ns, _) => Some(i128::from(ns)),
    }
}

impl Message {
    pub fn received_ns(&self) -> Option<i128> {
        either(self.time_received_ns.unwrap_or(0), self.time_received)
    }

    pub fn start_ns(&self) -> Option<i128> {
        let secs = if self.time_received_ns.is_some() {
            0
        } else {
            self.start_or_flags
        };
        either(self.time_flow_start_ns, secs)
    }

    pub fn end_ns(&self) -> Option<i128> {
        either(self.time_flow_end_ns, self.time_flow_end)
    }

    /// The sampling rate to count with, and whether it is unknown.
    pub fn rate(&self) -> (u64, bool) {
        if self.sampling_rate == 0 || self.sampling_rate_assumed {
            (1, true)
        } else {
            (self.sampling_rate, false)
        }
    }

    pub fn source(&self) -> Option<IpAddr> {
        address(&self.src_addr)
    }

    pub fn exporter(&self) -> Option<IpAddr> {
        address(&self.sampler_address)
    }

    pub fn destination(&self) -> Option<IpAddr> {
        address(&self.dst_addr)
    }
}

/// 4 or 16 bytes; the unspecified IPv6 address is none.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    let address = Ipv6Addr::from(sixteen);
    (!address.is_unspecified()).then(|| IpAddr::V6(address).to_canonical())
}

/// How records without our header are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Auto,
    Delimited,
    Bare,
}

/// The flows of a record, each with its place in it; `None`: a chain that is cut or too long, refused as a whole. A message that can't
/// be read is left out and takes none of its neighbours with it.
pub fn record_messages(record: &Record, framing: Framing) -> Option<Vec<(u32, Message)>> {
    if record.payload.is_empty() {
        return Some(Vec::new());
    }
    let chain = chain(&record.payload);
    let parts = match (record.ours, framing) {
        (true, _) | (false, Framing::Delimited) => chain?,
        (false, Framing::Auto) => chain.unwrap_or_else(|| vec![&record.payload]),
        (false, Framing::Bare) => vec![&record.payload[..]],
    };
    if parts.len() > 262_144 {
        return None;
    }
    let readable = (0u32..)
        .zip(parts)
        .filter_map(|(index, part)| Some((index, Message::decode(part).ok()?)));
    Some(readable.collect::<Vec<_>>()).filter(|messages| !messages.is_empty())
}

/// Length-prefixed messages that end exactly where the bytes end.
fn chain(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        let (part, after) = rest.split_at_checked(length)?;
        parts.push(part);
        rest = after;
    }
    Some(parts)
}
