//! Which information element goes into which field of a flow.
//!
//! One table for NetFlow v9 and IPFIX, whose numbers agree up to 127 (RFC 7012 4.1) and which exporters mix
//! above that too. Names and units are IANA's.
//! Law: an element that is not here is skipped by its length; enterprise elements never come here.

use flow_proto::{Addr, Flow};

use super::reader::saturated;
use super::times::TimeUnit;

macro_rules! numbers {
    ($($name:ident => $field:ident: $($element:literal)|+;)*) => {
        /// A number that is copied into the field of a flow.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Number { $($name,)* }

        impl Number {
            fn of(element: u16) -> Option<Number> {
                match element {
                    $($($element)|+ => Some(Number::$name),)*
                    _ => None,
                }
            }

            #[inline]
            pub(crate) fn set(self, flow: &mut Flow, value: u64) {
                match self {
                    $(Number::$name => flow.$field = saturated(value),)*
                }
            }
        }
    };
}

numbers! {
    Proto => proto: 4;
    Tos => ip_tos: 5;
    TcpFlags => tcp_flags: 6;
    SrcPort => src_port: 7 | 180 | 182;
    InIf => in_if: 10 | 252;
    DstPort => dst_port: 11 | 181 | 183;
    OutIf => out_if: 14 | 253;
    SrcAs => src_as: 16;
    DstAs => dst_as: 17;
    FlowLabel => ipv6_flow_label: 31;
    Ttl => ip_ttl: 52 | 192;
    FragmentId => fragment_id: 54;
    DstVlan => dst_vlan: 59;
    Direction => flow_direction: 61;
    FragmentOffset => fragment_offset: 88;
    ForwardingStatus => forwarding_status: 89;
    NextHopAs => next_hop_as: 128;
    ObservationPoint => observation_point_id: 138;
    IcmpType => icmp_type: 176 | 178;
    IcmpCode => icmp_code: 177 | 179;
    IngressVrf => ingress_vrf_id: 234;
    EgressVrf => egress_vrf_id: 235;
}

/// An address that is stored if none is yet, or if it is not all zero: templates for both families carry
/// zeros for the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressField {
    Src,
    Dst,
    NextHop,
    BgpNextHop,
}

impl AddressField {
    #[inline]
    pub(crate) fn set(self, flow: &mut Flow, value: &[u8]) {
        let Some(address) = Addr::from_wire(value) else {
            return;
        };
        let place = match self {
            AddressField::Src => &mut flow.src_addr,
            AddressField::Dst => &mut flow.dst_addr,
            AddressField::NextHop => &mut flow.next_hop,
            AddressField::BgpNextHop => &mut flow.bgp_next_hop,
        };
        if place.is_set() && value.iter().all(|byte| *byte == 0) {
            return;
        }
        *place = address;
        if matches!(self, AddressField::Src | AddressField::Dst) {
            flow.etype = if value.len() == 4 {
                super::ETYPE_IPV4
            } else {
                super::ETYPE_IPV6
            };
        }
    }
}

/// What a sampling rate is made of (`sampling.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SamplingField {
    Interval,
    RandomInterval,
    PacketInterval,
    PacketSpace,
    Size,
    Population,
    Sampler,
    /// Scope of an option record: an interface.
    Interface,
}

/// What becomes of a field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Nothing; it has variable length, else it would be part of the next one's offset.
    Skip,
    Number(Number),
    Address(AddressField),
    Bytes,
    Packets,
    SrcMac,
    DstMac,
    /// IE 58: `vlan_id` and `src_vlan`.
    Vlan,
    /// IE 243: `vlan_id` alone.
    Dot1q,
    /// Prefix lengths by family: 9, 13 IPv4, 29, 30 IPv6.
    SrcMask(u32),
    DstMask(u32),
    /// IE 60.
    IpVersion,
    /// Type and code in one number: 32, 139.
    Icmp,
    /// IE 197: three bits at the top of an octet.
    FragmentFlags,
    /// IE 70-79: label, experimental bits, bottom-of-stack bit; the number is the place in the stack.
    MplsLabel(u8),
    Start(TimeUnit),
    End(TimeUnit),
    /// Both at once: the time of an event or observation.
    Event(TimeUnit),
    /// IE 160: ms since 1970 when the exporter started.
    SystemInit,
    Sampling(SamplingField),
    /// IE 312: length of the sampled frame.
    FrameSize,
    /// IE 315: sampled frame from its Ethernet header on.
    Frame,
    /// IE 313: sampled packet from its IP header on.
    IpPacket,
}

impl Field {
    /// Of an element in a data record.
    pub(crate) fn of(element: u16) -> Option<Field> {
        if let Some(number) = Number::of(element) {
            return Some(Field::Number(number));
        }
        Some(match element {
            1 | 23 | 85 | 231 | 232 => Field::Bytes,
            2 | 24 | 86 | 298 | 299 => Field::Packets,
            8 | 27 => Field::Address(AddressField::Src),
            12 | 28 => Field::Address(AddressField::Dst),
            15 | 62 => Field::Address(AddressField::NextHop),
            18 | 63 => Field::Address(AddressField::BgpNextHop),
            9 => Field::SrcMask(super::ETYPE_IPV4),
            13 => Field::DstMask(super::ETYPE_IPV4),
            29 => Field::SrcMask(super::ETYPE_IPV6),
            30 => Field::DstMask(super::ETYPE_IPV6),
            32 | 139 => Field::Icmp,
            56 | 81 => Field::SrcMac,
            57 | 80 => Field::DstMac,
            58 => Field::Vlan,
            60 => Field::IpVersion,
            70..=79 => Field::MplsLabel(u8::try_from(element - 70).ok()?),
            197 => Field::FragmentFlags,
            243 => Field::Dot1q,
            312 => Field::FrameSize,
            313 => Field::IpPacket,
            315 => Field::Frame,
            _ => return time(element).or_else(|| sampling(element)),
        })
    }

    /// Of an element in an option record: only what a later data record needs.
    pub(crate) fn of_option(element: u16, scope: bool) -> Option<Field> {
        match element {
            10 | 14 | 252 | 253 if scope => Some(Field::Sampling(SamplingField::Interface)),
            160 => Some(Field::SystemInit),
            _ => sampling(element),
        }
    }
}

fn time(element: u16) -> Option<Field> {
    Some(match element {
        21 => Field::End(TimeUnit::Uptime),
        22 => Field::Start(TimeUnit::Uptime),
        150 => Field::Start(TimeUnit::Seconds),
        151 => Field::End(TimeUnit::Seconds),
        152 => Field::Start(TimeUnit::Milliseconds),
        153 => Field::End(TimeUnit::Milliseconds),
        154 | 156 => Field::Start(TimeUnit::Ntp),
        155 | 157 => Field::End(TimeUnit::Ntp),
        158 => Field::Start(TimeUnit::BeforeExport),
        159 => Field::End(TimeUnit::BeforeExport),
        160 => Field::SystemInit,
        322 => Field::Event(TimeUnit::Seconds),
        323 => Field::Event(TimeUnit::Milliseconds),
        324 | 325 => Field::Event(TimeUnit::Ntp),
        _ => return None,
    })
}

fn sampling(element: u16) -> Option<Field> {
    Some(Field::Sampling(match element {
        34 => SamplingField::Interval,
        48 | 302 => SamplingField::Sampler,
        50 => SamplingField::RandomInterval,
        305 => SamplingField::PacketInterval,
        306 => SamplingField::PacketSpace,
        309 => SamplingField::Size,
        310 => SamplingField::Population,
        _ => return None,
    }))
}

/// Elements that say the same thing, the best one first: of those in a template only the first is used.
/// Counters after a middlebox (23, 24), totals since the flow's start (85, 86) and the two sides of a
/// firewall event (231, 232, 298, 299) stand in only where the delta counters are missing.
const ALTERNATIVES: [&[u16]; 10] = [
    &[1, 23, 85, 231, 232],
    &[2, 24, 86, 298, 299],
    &[192, 52],
    &[10, 252],
    &[14, 253],
    &[56, 81],
    &[80, 57],
    &[7, 180, 182],
    &[11, 181, 183],
    &[58, 243],
];

/// The elements that make `element` superfluous if a template has one of them, too.
pub(crate) fn better_than(element: u16) -> &'static [u16] {
    for list in ALTERNATIVES {
        if let Some(at) = list.iter().position(|e| *e == element) {
            return list.get(..at).unwrap_or(&[]);
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_are_fields_of_one_kind() {
        for list in ALTERNATIVES {
            assert!(
                list.iter().all(|element| Field::of(*element).is_some()),
                "{list:?}"
            );
        }
        assert_eq!(better_than(85), [1, 23]);
        assert!(better_than(1).is_empty());
        assert!(better_than(4).is_empty());
    }

    #[test]
    fn the_address_that_is_not_zero_counts() {
        let mut flow = Flow::default();
        AddressField::Src.set(&mut flow, &[0; 16]);
        AddressField::Src.set(&mut flow, &[192, 0, 2, 1]);
        AddressField::Src.set(&mut flow, &[0; 16]);
        AddressField::Src.set(&mut flow, &[7, 7]);
        assert_eq!(flow.src_addr, Addr::v4([192, 0, 2, 1]));
        assert_eq!(flow.etype, 0x0800);
    }
}
