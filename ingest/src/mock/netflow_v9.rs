//! NetFlow version 9 datagrams (RFC 3954): templates, sampling rate as options data, data.
//!
//! Law: the sequence number counts datagrams, the header's count records and templates.

use flow_proto::Flow;

use super::encoder::{Device, Encoder, Put};
use super::sets::{OPTIONS_TEMPLATE, Sets, close_set, open_set};

/// Encodes for one exporter.
pub(super) struct NetflowV9 {
    sets: Sets,
    sequence: u32,
}

impl NetflowV9 {
    pub(super) fn new(device: Device) -> NetflowV9 {
        // First and last switched, in milliseconds of uptime.
        let uptime = |device: &Device, ns: u64| u64::from(device.uptime_ms(ns));
        NetflowV9 {
            sets: Sets::new(device, [(22, 4), (21, 4)], uptime, 0),
            sequence: 0,
        }
    }

    /// The sampling interval (34) and algorithm (35: deterministic) of the whole system (scope 1).
    fn options(&self, out: &mut Vec<u8>) -> u32 {
        let rate = self.sets.device.sampling_rate;
        if rate == 0 {
            return 0;
        }
        let template = open_set(1, out);
        // Id, bytes of scopes, bytes of options, then scope and options with their lengths.
        for value in [u32::from(OPTIONS_TEMPLATE), 4, 8, 1, 4, 34, 4, 35, 1] {
            out.put_u16(value);
        }
        close_set(template, out);
        let data = open_set(OPTIONS_TEMPLATE, out);
        out.put_u32(u64::from(self.sets.device.domain));
        out.put_u32(rate);
        out.put_u8(1);
        close_set(data, out);
        2
    }
}

impl Encoder for NetflowV9 {
    fn encode(&mut self, flows: &[Flow], export_ns: u64, out: &mut Vec<u8>) -> usize {
        // The header has whole seconds: the uptime is of the same moment, so that times come out as they went in.
        let export_secs = export_ns / 1_000_000_000;
        out.clear();
        out.put_u16(9);
        out.put_u16(0);
        out.put_u32(u64::from(
            self.sets.device.uptime_ms(export_secs * 1_000_000_000),
        ));
        out.put_u32(export_secs);
        out.put_u32(u64::from(self.sequence));
        out.put_u32(u64::from(self.sets.device.domain));
        let mut count = 0;
        if self.sets.templates_due(export_ns) {
            count += self.sets.templates(out);
            count += self.options(out);
        }
        let taken = self.sets.data(flows, out);
        out.set_u16(2, usize::try_from(count).unwrap_or(0) + taken);
        self.sequence = self.sequence.wrapping_add(1);
        taken
    }
}
