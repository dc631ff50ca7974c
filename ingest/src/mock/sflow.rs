//! sFlow version 5 datagrams: flow samples with the sampled header and what switch and router know.
//!
//! Law: samples are numbered, the pool grows by the sampling rate with each, datagrams are numbered by themselves.

use flow_proto::{Addr, Flow};

use super::encoder::{Device, Encoder, MAX_DATAGRAM_BYTES, Put};
use super::packet;

/// A frame's checksum is counted in its length, and not sent.
const STRIPPED_BYTES: u64 = 4;

/// Encodes for one exporter.
pub(super) struct Sflow {
    device: Device,
    datagrams: u32,
    samples: u32,
    pool: u32,
    sample: Vec<u8>,
}

impl Sflow {
    pub(super) fn new(device: Device) -> Sflow {
        Sflow {
            device,
            datagrams: 0,
            samples: 0,
            pool: 0,
            sample: Vec::new(),
        }
    }

    fn build(&mut self, flow: &Flow) {
        let rate = u32::try_from(flow.sampling_rate).unwrap_or(u32::MAX);
        let rate = if flow.sampling_rate_assumed { 0 } else { rate };
        let out = &mut self.sample;
        out.clear();
        let numbers = [
            self.samples,
            flow.in_if & 0xff_ffff,
            rate,
            self.pool.wrapping_add(rate),
            0,
        ];
        for number in numbers {
            out.put_u32(u64::from(number));
        }
        out.put_u32(u64::from(flow.in_if & 0x3fff_ffff));
        out.put_u32(u64::from(flow.out_if & 0x3fff_ffff));
        let count = out.len();
        out.put_u32(0);
        let mut records = 1;
        raw_header(flow, out);
        if flow.src_vlan != 0 || flow.dst_vlan != 0 {
            let start = open(1001, out);
            for value in [flow.src_vlan, 0, flow.dst_vlan, 0] {
                out.put_u32(u64::from(value));
            }
            close(start, out);
            records += 1;
        }
        if flow.next_hop.is_set() || flow.src_net != 0 || flow.dst_net != 0 {
            let start = open(1002, out);
            address(flow.next_hop, out);
            out.put_u32(u64::from(flow.src_net));
            out.put_u32(u64::from(flow.dst_net));
            close(start, out);
            records += 1;
        }
        if flow.src_as != 0 || flow.dst_as != 0 {
            gateway(flow, out);
            records += 1;
        }
        out.set_u16(count + 2, records);
    }
}

/// Appends a record's or sample's header; where it begins.
fn open(format: u32, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.put_u32(u64::from(format));
    out.put_u32(0);
    start
}

/// Writes the length of what was opened at `start`; all are far below 64 KiB.
fn close(start: usize, out: &mut Vec<u8>) {
    out.set_u16(start + 6, out.len() - start - 8);
}

fn address(address: Addr, out: &mut Vec<u8>) {
    let kind = match (address.is_set(), address.as_v4()) {
        (false, _) => return out.put_u32(0),
        (true, Some(_)) => 1,
        (true, None) => 2,
    };
    out.put_u32(kind);
    out.put_address(address);
}

/// Format 1: Ethernet, frame length, bytes stripped, the header padded to four bytes.
fn raw_header(flow: &Flow, out: &mut Vec<u8>) {
    let start = open(1, out);
    for value in [1, flow.bytes, STRIPPED_BYTES, 0] {
        out.put_u32(value);
    }
    let header = out.len();
    packet::headers(flow, out);
    out.set_u16(header - 2, out.len() - header);
    while !(out.len() - header).is_multiple_of(4) {
        out.push(0);
    }
    close(start, out);
}

/// Format 1003. A destination inside the router's own AS has an empty path.
fn gateway(flow: &Flow, out: &mut Vec<u8>) {
    let start = open(1003, out);
    let path = flow.as_path.as_slice();
    let own = if path.is_empty() {
        flow.dst_as
    } else {
        flow.src_as
    };
    address(flow.bgp_next_hop, out);
    for asn in [own, flow.src_as, 0] {
        out.put_u32(u64::from(asn));
    }
    if path.is_empty() {
        out.put_u32(0);
    } else {
        // One segment, an ordered sequence.
        out.put_u32(1);
        out.put_u32(2);
        list(path, out);
    }
    list(flow.bgp_communities.as_slice(), out);
    // Local preference.
    out.put_u32(100);
    close(start, out);
}

fn list(items: &[u32], out: &mut Vec<u8>) {
    out.put_u32(items.len() as u64);
    for item in items {
        out.put_u32(u64::from(*item));
    }
}

impl Encoder for Sflow {
    fn encode(&mut self, flows: &[Flow], export_ns: u64, out: &mut Vec<u8>) -> usize {
        out.clear();
        out.put_u32(5);
        address(self.device.address, out);
        out.put_u32(u64::from(self.device.domain));
        out.put_u32(u64::from(self.datagrams));
        out.put_u32(u64::from(self.device.uptime_ms(export_ns)));
        let count = out.len();
        out.put_u32(0);
        let mut taken = 0;
        for flow in flows {
            self.build(flow);
            if out.len() + 8 + self.sample.len() > MAX_DATAGRAM_BYTES {
                break;
            }
            let start = open(1, out);
            out.extend_from_slice(&self.sample);
            close(start, out);
            self.samples = self.samples.wrapping_add(1);
            let rate = u32::try_from(flow.sampling_rate).unwrap_or(u32::MAX);
            self.pool = self.pool.wrapping_add(rate);
            taken += 1;
        }
        out.set_u16(count + 2, taken);
        self.datagrams = self.datagrams.wrapping_add(1);
        taken
    }
}
