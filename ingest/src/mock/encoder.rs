//! `Encoder`: flows of one exporter to its datagrams.
//!
//! Law: a datagram has at most 1,400 bytes; every flow taken is in exactly one datagram; sequence numbers count what
//! the protocol says (datagrams or records).

use flow_proto::{Addr, Flow, FlowType};

use super::ipfix::Ipfix;
use super::netflow_v5::NetflowV5;
use super::netflow_v9::NetflowV9;
use super::sflow::Sflow;

/// Bytes of a datagram at most: below every usual MTU, tunnels included.
pub const MAX_DATAGRAM_BYTES: usize = 1400;

/// An exporter, as its datagrams describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its address; stands in sFlow's datagrams only.
    pub address: Addr,
    /// Observation domain: source id, engine (16 bits), sub-agent.
    pub domain: u32,
    /// Packets per sampled packet, told once for all flows (sFlow: with each sample, from the flow); 0: not told.
    pub sampling_rate: u64,
    /// When it was switched on: ns since 1970.
    pub started_ns: u64,
}

impl Device {
    /// Milliseconds since it was switched on, at `at_ns`; wraps as exporters' counters do.
    pub(super) fn uptime_ms(&self, at_ns: u64) -> u32 {
        let ms = (at_ns / 1_000_000).wrapping_sub(self.started_ns / 1_000_000);
        u32::try_from(ms & 0xffff_ffff).unwrap_or(0)
    }
}

/// Builds the datagrams of one exporter.
pub trait Encoder: Send {
    /// Builds one datagram, exported at `export_ns` (ns since 1970), of flows from the front of `flows`, in place of
    /// what was in `out`. Returns how many it took: all that fit, at least one if there is one.
    fn encode(&mut self, flows: &[Flow], export_ns: u64, out: &mut Vec<u8>) -> usize;
}

/// The encoder of a protocol; `None` for the type that is none.
pub fn encoder(protocol: FlowType, device: Device) -> Option<Box<dyn Encoder>> {
    Some(match protocol {
        FlowType::Unknown => return None,
        FlowType::Sflow5 => Box::new(Sflow::new(device)),
        FlowType::NetflowV5 => Box::new(NetflowV5::new(device)),
        FlowType::NetflowV9 => Box::new(NetflowV9::new(device)),
        FlowType::Ipfix => Box::new(Ipfix::new(device)),
    })
}

/// Appends numbers in network byte order, each at the width of its field; what does not fit becomes the largest.
pub(super) trait Put {
    fn put_u8(&mut self, value: u32);
    fn put_u16(&mut self, value: u32);
    fn put_u32(&mut self, value: u64);
    fn put_address(&mut self, address: Addr);
    /// Overwrites two bytes.
    fn set_u16(&mut self, at: usize, value: usize);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u32) {
        self.push(u8::try_from(value).unwrap_or(u8::MAX));
    }

    fn put_u16(&mut self, value: u32) {
        self.extend_from_slice(&u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes());
    }

    fn put_u32(&mut self, value: u64) {
        self.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
    }

    fn put_address(&mut self, address: Addr) {
        match address.as_v4() {
            Some(v4) => self.extend_from_slice(&v4),
            None => self.extend_from_slice(&address.0),
        }
    }

    fn set_u16(&mut self, at: usize, value: usize) {
        let bytes = u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes();
        if let Some(place) = self.get_mut(at..at + 2) {
            place.copy_from_slice(&bytes);
        }
    }
}
