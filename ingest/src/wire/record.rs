//! One data or option record of NetFlow v9 and IPFIX, on its way into a flow.
//!
//! Some elements depend on others that may come later (prefix length on the family, uptime on the start time,
//! the sampling rate on interfaces), so they wait here until the record has been read.
//! Law: the order of fields in a template does not change the flow, but where two say the same thing.

use flow_proto::{Flow, Mac};

use super::exporter::Domain;
use super::fields::Field;
use super::outcome::{Outcome, Reason};
use super::packet::{self, Layer};
use super::reader::{saturated, unsigned};
use super::sampling::Sampling;
use super::times::{Export, Time};
use super::{ETYPE_IPV4, ETYPE_IPV6};

/// What waits for the end of the record.
#[derive(Clone, Copy, Default)]
pub(crate) struct Record<'a> {
    start: Time,
    end: Time,
    event: Time,
    started_ms: u64,
    src_masks: (u32, u32),
    dst_masks: (u32, u32),
    packet: Option<(Layer, &'a [u8])>,
    pub(crate) sampling: Sampling,
}

/// A mask of the family `etype` in its place: IPv4 first, IPv6 second.
fn mask(place: &mut (u32, u32), etype: u32, bytes: &[u8]) {
    let value = saturated(unsigned(bytes));
    let side = if etype == ETYPE_IPV4 {
        &mut place.0
    } else {
        &mut place.1
    };
    *side = value;
}

fn mask_of(masks: (u32, u32), etype: u32) -> u32 {
    match etype {
        ETYPE_IPV4 => masks.0,
        ETYPE_IPV6 => masks.1,
        _ => masks.0.max(masks.1),
    }
}

/// What the message and its exporter add to a record.
pub(crate) struct Scene<'m> {
    pub(crate) export: Export,
    pub(crate) domain: &'m Domain,
    /// The rate that all the exporter's domains agree on; 0: none.
    pub(crate) exporter_rate: u64,
}

impl<'a> Record<'a> {
    /// Takes one field.
    #[inline]
    pub(crate) fn set(&mut self, flow: &mut Flow, field: Field, bytes: &'a [u8]) {
        match field {
            Field::Number(number) => number.set(flow, unsigned(bytes)),
            Field::Address(address) => address.set(flow, bytes),
            Field::Bytes => flow.bytes = unsigned(bytes),
            Field::Packets => flow.packets = unsigned(bytes),
            Field::Start(unit) => self.start.offer(unit, unsigned(bytes)),
            Field::End(unit) => self.end.offer(unit, unsigned(bytes)),
            Field::SrcMask(etype) => mask(&mut self.src_masks, etype, bytes),
            Field::DstMask(etype) => mask(&mut self.dst_masks, etype, bytes),
            Field::Sampling(part) => self.sampling.set(part, bytes),
            Field::Skip => {}
            rare => self.set_rare(flow, rare, bytes),
        }
    }

    fn set_rare(&mut self, flow: &mut Flow, field: Field, bytes: &'a [u8]) {
        let value = unsigned(bytes);
        match field {
            Field::SrcMac => flow.src_mac = Mac(value & 0xffff_ffff_ffff),
            Field::DstMac => flow.dst_mac = Mac(value & 0xffff_ffff_ffff),
            Field::Vlan => {
                flow.vlan_id = saturated(value) & 0xfff;
                flow.src_vlan = saturated(value);
            }
            Field::Dot1q => flow.vlan_id = saturated(value) & 0xfff,
            Field::IpVersion => match value {
                4 => flow.etype = ETYPE_IPV4,
                6 => flow.etype = ETYPE_IPV6,
                _ => {}
            },
            Field::Icmp => {
                flow.icmp_type = saturated(value >> 8 & 0xff);
                flow.icmp_code = saturated(value & 0xff);
            }
            Field::FragmentFlags => flow.ip_flags = saturated(value >> 5 & 7),
            Field::MplsLabel(place) => mpls_label(flow, place, value),
            Field::Event(unit) => self.event.offer(unit, value),
            Field::SystemInit => self.started_ms = value,
            Field::FrameSize => {
                flow.bytes = value;
                flow.packets = 1;
            }
            Field::Frame => self.packet = Some((Layer::Ethernet, bytes)),
            Field::IpPacket => self.packet = Some((Layer::Ip, bytes)),
            _ => {}
        }
    }

    /// Completes the flow.
    pub(crate) fn finish(&self, flow: &mut Flow, scene: &Scene<'_>, outcome: &mut Outcome) {
        if let Some((layer, bytes)) = self.packet {
            flow.packets = 1;
            if flow.bytes == 0 {
                flow.bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            }
            if packet::decode(layer, bytes, flow).is_none() {
                outcome.count(Reason::BadPacket);
            }
        }
        if self.src_masks != (0, 0) {
            flow.src_net = mask_of(self.src_masks, flow.etype);
        }
        if self.dst_masks != (0, 0) {
            flow.dst_net = mask_of(self.dst_masks, flow.etype);
        }
        self.times(flow, scene, outcome);
        let rates = &scene.domain.rates;
        flow.sampling_rate = rates.of(&self.sampling, flow.in_if, flow.out_if, scene.exporter_rate);
    }

    /// Without times of its own a flow happened when it was exported (or observed, for events).
    fn times(&self, flow: &mut Flow, scene: &Scene<'_>, outcome: &mut Outcome) {
        let mut export = scene.export;
        let told = [self.started_ms, scene.domain.started_ms];
        let started_ms = told.into_iter().find(|ms| *ms > 0).unwrap_or(0);
        if export.uptime_ms.is_none() && started_ms > 0 {
            export.uptime_ms = Some(export.uptime_since(started_ms));
        }
        let event_ns = export
            .resolve(self.event)
            .map_or(export.export_ns, |(ns, _)| ns);
        for (time, place) in [
            (self.start, &mut flow.time_flow_start_ns),
            (self.end, &mut flow.time_flow_end_ns),
        ] {
            let (ns, clamped) = export.resolve(time).unwrap_or((event_ns, false));
            *place = ns;
            outcome.clamped_times += u32::from(clamped);
        }
    }

    /// Tells its domain what an option record says, new samplers only if there is room for them; true if
    /// the domain's rate has changed.
    pub(crate) fn learn(&self, domain: &mut Domain, room: bool) -> bool {
        if self.started_ms > 0 {
            domain.started_ms = self.started_ms;
        }
        domain.rates.learn(&self.sampling, room)
    }
}

/// The labels of a stack come in order; a stack that is shallower than the template ends in zeros.
fn mpls_label(flow: &mut Flow, place: u8, value: u64) {
    let label = saturated(value >> 4);
    if value != 0 && flow.mpls_label.as_slice().len() == usize::from(place) {
        flow.mpls_label.push(label);
    }
}
