//! IPFIX messages (RFC 7011): templates, sampling as options data (RFC 5477), data.
//!
//! Law: the sequence number counts data records, options data included, and stands before the message's own.

use flow_proto::Flow;

use super::encoder::{Device, Encoder, Put};
use super::sets::{OPTIONS_TEMPLATE, Sets, close_set, open_set};

/// Encodes for one exporter.
pub(super) struct Ipfix {
    sets: Sets,
    sequence: u32,
}

impl Ipfix {
    pub(super) fn new(device: Device) -> Ipfix {
        // flowStartMilliseconds, flowEndMilliseconds.
        let milliseconds = |_: &Device, ns: u64| ns / 1_000_000;
        Ipfix {
            sets: Sets::new(device, [(152, 8), (153, 8)], milliseconds, 2),
            sequence: 0,
        }
    }

    /// Of each interval of one packet, rate - 1 packets are left out (305, 306; scope: the domain, 149).
    fn options(&self, out: &mut Vec<u8>) -> u32 {
        let device = &self.sets.device;
        if device.sampling_rate == 0 {
            return 0;
        }
        let template = open_set(3, out);
        // Id, fields, scopes among them, then elements with their lengths.
        for value in [u32::from(OPTIONS_TEMPLATE), 3, 1, 149, 4, 305, 4, 306, 4] {
            out.put_u16(value);
        }
        close_set(template, out);
        let data = open_set(OPTIONS_TEMPLATE, out);
        out.put_u32(u64::from(device.domain));
        out.put_u32(1);
        out.put_u32(device.sampling_rate - 1);
        close_set(data, out);
        1
    }
}

impl Encoder for Ipfix {
    fn encode(&mut self, flows: &[Flow], export_ns: u64, out: &mut Vec<u8>) -> usize {
        out.clear();
        out.put_u16(10);
        out.put_u16(0);
        out.put_u32(export_ns / 1_000_000_000);
        out.put_u32(u64::from(self.sequence));
        out.put_u32(u64::from(self.sets.device.domain));
        let mut records = 0;
        if self.sets.templates_due(export_ns) {
            self.sets.templates(out);
            records += self.options(out);
        }
        let taken = self.sets.data(flows, out);
        out.set_u16(2, out.len());
        records += u32::try_from(taken).unwrap_or(0);
        self.sequence = self.sequence.wrapping_add(records);
        taken
    }
}
