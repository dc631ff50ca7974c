//! Templates and data sets that NetFlow v9 and IPFIX have in common.
//!
//! One list of elements a family gives template and record alike, so that they cannot differ.
//! Law: a set is padded to four bytes, and opened only for a record that fits behind it.

use flow_proto::{Addr, Flow};

use super::encoder::{Device, MAX_DATAGRAM_BYTES, Put};

/// An element's number and length in bytes.
pub(super) type Element = (u16, u16);

/// Templates are sent again after so many datagrams …
const DATAGRAMS: u32 = 20;
/// … or so long, whichever comes first.
const REFRESH_NS: u64 = 5_000_000_000;

pub(super) const IPV4_TEMPLATE: u16 = 256;
pub(super) const IPV6_TEMPLATE: u16 = 257;
pub(super) const OPTIONS_TEMPLATE: u16 = 258;

const IPV4: [Element; 6] = [(8, 4), (12, 4), (15, 4), (18, 4), (9, 1), (13, 1)];
const IPV6: [Element; 7] = [
    (27, 16),
    (28, 16),
    (62, 16),
    (63, 16),
    (29, 1),
    (30, 1),
    (31, 4),
];
const COMMON: [Element; 20] = [
    (1, 8),
    (2, 8),
    (4, 1),
    (5, 1),
    (6, 2),
    (7, 2),
    (11, 2),
    (10, 4),
    (14, 4),
    (16, 4),
    (17, 4),
    (128, 4),
    (52, 1),
    (54, 4),
    (56, 6),
    (80, 6),
    (58, 2),
    (59, 2),
    (61, 1),
    (89, 1),
];

fn is_ipv6(flow: &Flow) -> bool {
    flow.etype == 0x86dd
}

/// Elements of a family's records; times and ICMP at the end, as the protocol writes them.
fn elements(ipv6: bool, times: &[Element; 2]) -> impl Iterator<Item = Element> {
    let family: &'static [Element] = if ipv6 { &IPV6 } else { &IPV4 };
    let icmp = if ipv6 { (139, 2) } else { (32, 2) };
    family
        .iter()
        .chain(&COMMON)
        .copied()
        .chain(*times)
        .chain([icmp])
}

/// An element's value; times and addresses are written by `record`.
fn value(flow: &Flow, element: u16) -> u64 {
    let (wide, narrow) = match element {
        1 => (flow.bytes, 0),
        2 => (flow.packets, 0),
        56 => (flow.src_mac.0, 0),
        80 => (flow.dst_mac.0, 0),
        4 => (0, flow.proto),
        5 => (0, flow.ip_tos),
        6 => (0, flow.tcp_flags),
        7 => (0, flow.src_port),
        9 | 29 => (0, flow.src_net),
        10 => (0, flow.in_if),
        11 => (0, flow.dst_port),
        13 | 30 => (0, flow.dst_net),
        14 => (0, flow.out_if),
        16 => (0, flow.src_as),
        17 => (0, flow.dst_as),
        31 => (0, flow.ipv6_flow_label),
        32 | 139 => (0, flow.icmp_type << 8 | flow.icmp_code),
        52 => (0, flow.ip_ttl),
        54 => (0, flow.fragment_id),
        58 => (0, flow.vlan_id),
        59 => (0, flow.dst_vlan),
        61 => (0, flow.flow_direction),
        89 => (0, flow.forwarding_status),
        128 => (0, flow.next_hop_as),
        _ => (0, 0),
    };
    wide | u64::from(narrow)
}

fn address(flow: &Flow, element: u16) -> Option<Addr> {
    match element {
        8 | 27 => Some(flow.src_addr),
        12 | 28 => Some(flow.dst_addr),
        15 | 62 => Some(flow.next_hop),
        18 | 63 => Some(flow.bgp_next_hop),
        _ => None,
    }
}

/// Big endian, in the low `length` bytes of eight.
fn put(value: u64, length: u16, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    let from = bytes.len().saturating_sub(usize::from(length));
    out.extend_from_slice(bytes.get(from..).unwrap_or(&bytes));
}

/// How a protocol writes what both have.
pub(super) struct Sets {
    pub(super) device: Device,
    /// Elements of start and end.
    pub(super) times: [Element; 2],
    /// A time of a flow as the protocol writes it.
    pub(super) time: fn(&Device, u64) -> u64,
    /// Id of the template set.
    pub(super) template_set: u16,
    since_templates: u32,
    templates_ns: Option<u64>,
}

impl Sets {
    pub(super) fn new(
        device: Device,
        times: [Element; 2],
        time: fn(&Device, u64) -> u64,
        template_set: u16,
    ) -> Sets {
        Sets {
            device,
            times,
            time,
            template_set,
            since_templates: 0,
            templates_ns: None,
        }
    }

    /// Whether the templates are to be sent with the datagram exported at `at_ns`.
    pub(super) fn templates_due(&mut self, at_ns: u64) -> bool {
        let old = self
            .templates_ns
            .is_none_or(|sent| at_ns.saturating_sub(sent) >= REFRESH_NS);
        if old || self.since_templates >= DATAGRAMS {
            (self.since_templates, self.templates_ns) = (0, Some(at_ns));
        }
        self.since_templates += 1;
        self.since_templates == 1
    }

    /// Appends the template set: IPv4 and IPv6. Returns how many templates.
    pub(super) fn templates(&self, out: &mut Vec<u8>) -> u32 {
        let start = open_set(self.template_set, out);
        for (id, ipv6) in [(IPV4_TEMPLATE, false), (IPV6_TEMPLATE, true)] {
            out.put_u16(u32::from(id));
            let count = elements(ipv6, &self.times).count();
            out.put_u16(u32::try_from(count).unwrap_or(0));
            for (element, length) in elements(ipv6, &self.times) {
                out.put_u16(u32::from(element));
                out.put_u16(u32::from(length));
            }
        }
        close_set(start, out);
        2
    }

    /// Appends data sets of flows from the front, in their order; how many fitted.
    pub(super) fn data(&self, flows: &[Flow], out: &mut Vec<u8>) -> usize {
        let (mut taken, mut set) = (0, None);
        for flow in flows {
            let ipv6 = is_ipv6(flow);
            let bytes: usize = elements(ipv6, &self.times)
                .map(|(_, n)| usize::from(n))
                .sum();
            // A new set's header, and padding.
            if out.len() + bytes + 4 + 3 > MAX_DATAGRAM_BYTES {
                break;
            }
            set = match set {
                Some((start, family)) if family == ipv6 => Some((start, family)),
                other => {
                    if let Some((start, _)) = other {
                        close_set(start, out);
                    }
                    let id = if ipv6 { IPV6_TEMPLATE } else { IPV4_TEMPLATE };
                    Some((open_set(id, out), ipv6))
                }
            };
            self.record(flow, ipv6, out);
            taken += 1;
        }
        if let Some((start, _)) = set {
            close_set(start, out);
        }
        taken
    }

    fn record(&self, flow: &Flow, ipv6: bool, out: &mut Vec<u8>) {
        let [(start, _), (end, _)] = self.times;
        for (element, length) in elements(ipv6, &self.times) {
            if let Some(address) = address(flow, element) {
                let v4 = address.as_v4().unwrap_or([0; 4]);
                out.extend_from_slice(if length == 4 { &v4 } else { &address.0 });
                continue;
            }
            let value = match element {
                e if e == start => (self.time)(&self.device, flow.time_flow_start_ns),
                e if e == end => (self.time)(&self.device, flow.time_flow_end_ns),
                _ => value(flow, element),
            };
            put(value, length, out);
        }
    }
}

/// Appends a set's header; where the set begins.
pub(super) fn open_set(id: u16, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.put_u16(u32::from(id));
    out.put_u16(0);
    start
}

/// Pads the set that begins at `start`, and writes its length.
pub(super) fn close_set(start: usize, out: &mut Vec<u8>) {
    while !(out.len() - start).is_multiple_of(4) {
        out.push(0);
    }
    out.set_u16(start + 2, out.len() - start);
}
