//! NetFlow version 5 datagrams: a header of 24 bytes, records of 48.
//!
//! The format has 16 bits for interfaces and AS numbers, 32 for counters, and no place for IPv6.
//! Law: what does not fit becomes the largest value that does, an IPv6 address becomes 0.0.0.0.

use flow_proto::{Addr, Flow};

use super::encoder::{Device, Encoder, MAX_DATAGRAM_BYTES, Put};

const HEADER_BYTES: usize = 24;
const RECORD_BYTES: usize = 48;
const MOST_RECORDS: usize = (MAX_DATAGRAM_BYTES - HEADER_BYTES) / RECORD_BYTES;
/// Deterministic sampling, in the two top bits.
const MODE: u32 = 1 << 14;

/// Encodes for one exporter.
pub(super) struct NetflowV5 {
    device: Device,
    sequence: u32,
}

impl NetflowV5 {
    pub(super) fn new(device: Device) -> NetflowV5 {
        NetflowV5 {
            device,
            sequence: 0,
        }
    }

    fn record(&self, flow: &Flow, out: &mut Vec<u8>) {
        for address in [flow.src_addr, flow.dst_addr, flow.next_hop] {
            out.extend_from_slice(&v4(address));
        }
        out.put_u16(flow.in_if);
        out.put_u16(flow.out_if);
        out.put_u32(flow.packets);
        out.put_u32(flow.bytes);
        out.put_u32(u64::from(self.device.uptime_ms(flow.time_flow_start_ns)));
        out.put_u32(u64::from(self.device.uptime_ms(flow.time_flow_end_ns)));
        out.put_u16(flow.src_port);
        out.put_u16(flow.dst_port);
        for value in [0, flow.tcp_flags, flow.proto, flow.ip_tos] {
            out.put_u8(value);
        }
        out.put_u16(flow.src_as);
        out.put_u16(flow.dst_as);
        for value in [flow.src_net, flow.dst_net, 0, 0] {
            out.put_u8(value);
        }
    }
}

fn v4(address: Addr) -> [u8; 4] {
    address.as_v4().unwrap_or([0; 4])
}

impl Encoder for NetflowV5 {
    fn encode(&mut self, flows: &[Flow], export_ns: u64, out: &mut Vec<u8>) -> usize {
        let flows = flows.get(..MOST_RECORDS).unwrap_or(flows);
        out.clear();
        out.put_u16(5);
        out.put_u16(u32::try_from(flows.len()).unwrap_or(0));
        // Whole milliseconds, as the uptime: times of flows come out as they went in.
        let export_ms = export_ns / 1_000_000;
        out.put_u32(u64::from(self.device.uptime_ms(export_ns)));
        out.put_u32(export_ms / 1000);
        out.put_u32(export_ms % 1000 * 1_000_000);
        out.put_u32(u64::from(self.sequence));
        out.put_u16(self.device.domain);
        let rate = u32::try_from(self.device.sampling_rate)
            .unwrap_or(u32::MAX)
            .min(MODE - 1);
        out.put_u16(if rate == 0 { 0 } else { MODE | rate });
        for flow in flows {
            self.record(flow, out);
        }
        self.sequence = self
            .sequence
            .wrapping_add(u32::try_from(flows.len()).unwrap_or(0));
        flows.len()
    }
}
