//! What the mock encoders write, the decoders read back: every field that the protocol can carry.
//!
//! Two implementations that share no code hold each other.

use flow_ingest::mock::{
    AddressBlock, Device, Encoder, Generator, MAX_DATAGRAM_BYTES, Options, encoder,
};
use flow_ingest::wire::{Decoder, Limits, Outcome};
use flow_proto::{Addr, Flow, FlowType, List, Mac};
use proptest::prelude::*;

const EXPORT_NS: u64 = 1_700_000_000_250_000_000;
const RATE: u64 = 512;
const SOURCE: Addr = Addr::v4([192, 0, 2, 99]);
const TYPES: [FlowType; 4] = [
    FlowType::Sflow5,
    FlowType::NetflowV5,
    FlowType::NetflowV9,
    FlowType::Ipfix,
];

fn device() -> Device {
    let started_ns = EXPORT_NS - 3_600_000_000_000;
    Device {
        address: Addr::v4([198, 51, 100, 7]),
        domain: 5,
        sampling_rate: RATE,
        started_ns,
    }
}

/// All datagrams of the flows through one decoder.
fn through(encoder: &mut dyn Encoder, mut flows: &[Flow]) -> (Vec<Flow>, Outcome, u32) {
    let (mut decoder, mut decoded) = (Decoder::new(Limits::default()), Vec::new());
    let (mut sum, mut datagrams, mut datagram) = (Outcome::default(), 0, Vec::new());
    while !flows.is_empty() {
        let taken = encoder.encode(flows, EXPORT_NS, &mut datagram);
        assert!(
            taken > 0 && datagram.len() <= MAX_DATAGRAM_BYTES,
            "{taken}, {}",
            datagram.len()
        );
        let outcome = decoder.decode(SOURCE, EXPORT_NS, &datagram, &mut decoded);
        assert_eq!(usize::try_from(outcome.flows).expect("few flows"), taken);
        sum.add(&outcome);
        flows = &flows[taken..];
        datagrams += 1;
    }
    (decoded, sum, datagrams)
}

fn port_or_zero(flow: &Flow, port: u32) -> u32 {
    if matches!(flow.proto, 6 | 17) {
        port
    } else {
        0
    }
}

/// The flow as the protocol can carry it; written by the protocols' definitions, not by the encoders' code.
fn carried(flow: &Flow, protocol: FlowType) -> Flow {
    let icmp = matches!(flow.proto, 1 | 58);
    let base = Flow {
        type_: protocol,
        time_received_ns: EXPORT_NS,
        observation_domain_id: 5,
        sampler_address: SOURCE,
        sampling_rate: RATE,
        ..flow.clone()
    };
    let none = List::default();
    match protocol {
        FlowType::Sflow5 => Flow {
            sampler_address: device().address,
            sampling_rate: flow.sampling_rate,
            time_flow_start_ns: EXPORT_NS,
            time_flow_end_ns: EXPORT_NS,
            packets: 1,
            src_port: port_or_zero(flow, flow.src_port),
            dst_port: port_or_zero(flow, flow.dst_port),
            tcp_flags: if flow.proto == 6 { flow.tcp_flags } else { 0 },
            icmp_type: if icmp { flow.icmp_type } else { 0 },
            icmp_code: if icmp { flow.icmp_code } else { 0 },
            ..base
        },
        FlowType::NetflowV5 => Flow {
            src_mac: Mac(0),
            dst_mac: Mac(0),
            vlan_id: 0,
            src_vlan: 0,
            dst_vlan: 0,
            ip_ttl: 0,
            fragment_id: 0,
            icmp_type: 0,
            icmp_code: 0,
            next_hop_as: 0,
            bgp_next_hop: Addr::NONE,
            as_path: none,
            bgp_communities: List::default(),
            ip_flags: 0,
            ..base
        },
        _ => Flow {
            src_vlan: flow.vlan_id,
            as_path: none,
            bgp_communities: List::default(),
            ip_flags: 0,
            ..base
        },
    }
}

fn address(ipv6: bool) -> BoxedStrategy<Addr> {
    if ipv6 {
        // Global unicast: neither IPv4-mapped nor absent.
        any::<[u8; 16]>()
            .prop_map(|mut b| {
                b[0] = 0x20;
                Addr(b)
            })
            .boxed()
    } else {
        any::<[u8; 4]>()
            .prop_map(|mut b| {
                b[0] |= 1;
                Addr::v4(b)
            })
            .boxed()
    }
}

prop_compose! {
    fn endpoints(ipv6: bool)(
        src_addr in address(ipv6),
        dst_addr in address(ipv6),
        next_hop in address(ipv6),
        bgp_next_hop in address(ipv6),
        proto in prop::sample::select(vec![6_u32, 17, 47, if ipv6 { 58 } else { 1 }]),
        ports in any::<(u16, u16)>(),
        small in any::<[u8; 7]>(),
    ) -> Flow {
        Flow {
            src_addr, dst_addr, next_hop, bgp_next_hop, proto,
            etype: if ipv6 { 0x86dd } else { 0x0800 },
            src_port: ports.0.into(),
            dst_port: ports.1.into(),
            ip_tos: small[0].into(),
            ip_ttl: small[1].into(),
            tcp_flags: small[2].into(),
            icmp_type: small[3].into(),
            icmp_code: small[4].into(),
            src_net: small[5].into(),
            dst_net: small[6].into(),
            ..Flow::default()
        }
    }
}

prop_compose! {
    fn flow(ipv6: bool)(
        base in endpoints(ipv6),
        (bytes, packets, rate) in (100..u32::MAX, 1..u32::MAX, 1..u32::MAX),
        (src_as, dst_as) in (1_u32..65_536, 1_u32..65_536),
        interfaces in (any::<u16>(), any::<u16>()),
        (src_mac, dst_mac, vlan) in (0_u64..1 << 48, 0_u64..1 << 48, 0_u32..4096),
        (fragment_id, label) in (any::<u16>(), 0_u32..1 << 20),
        (before_ms, lasted_ms) in (0_u64..60_000, 0_u64..3_600_000),
        path in prop::collection::vec(1_u32..65_536, 0..6),
        communities in prop::collection::vec(any::<u32>(), 0..12),
    ) -> Flow {
        let end_ns = (EXPORT_NS / 1_000_000 - before_ms) * 1_000_000;
        let mut flow = Flow {
            bytes: bytes.into(),
            packets: packets.into(),
            sampling_rate: rate.into(),
            src_as, dst_as,
            in_if: interfaces.0.into(),
            out_if: interfaces.1.into(),
            src_mac: Mac(src_mac),
            dst_mac: Mac(dst_mac),
            vlan_id: vlan,
            src_vlan: vlan,
            dst_vlan: vlan,
            fragment_id: if ipv6 { 0 } else { fragment_id.into() },
            ipv6_flow_label: if ipv6 { label } else { 0 },
            time_flow_start_ns: end_ns - lasted_ms * 1_000_000,
            time_flow_end_ns: end_ns,
            ..base
        };
        for asn in path.iter().chain((!path.is_empty()).then_some(&dst_as)) {
            flow.as_path.push(*asn);
        }
        flow.next_hop_as = flow.as_path.as_slice().first().copied().unwrap_or(0);
        for community in communities {
            flow.bgp_communities.push(community);
        }
        flow
    }
}

fn equal_but_for_the_sequence(
    mut decoded: Vec<Flow>,
    expected: &[Flow],
) -> Result<(), TestCaseError> {
    prop_assert_eq!(decoded.len(), expected.len());
    for (got, want) in decoded.iter_mut().zip(expected) {
        got.sequence_num = want.sequence_num;
        prop_assert_eq!(&*got, want);
    }
    Ok(())
}

fn round_trip(protocol: FlowType, flows: &[Flow]) -> Result<(), TestCaseError> {
    let mut encoder = encoder(protocol, device()).expect("a protocol");
    let (decoded, outcome, _) = through(encoder.as_mut(), flows);
    prop_assert_eq!(outcome.reasons().collect::<Vec<_>>(), vec![]);
    prop_assert_eq!(
        (
            outcome.waiting,
            outcome.sequence_missing,
            outcome.sequence_late
        ),
        (0, 0, 0)
    );
    let expected: Vec<_> = flows.iter().map(|flow| carried(flow, protocol)).collect();
    equal_but_for_the_sequence(decoded, &expected)
}

fn both_families() -> impl Strategy<Value = Vec<Flow>> {
    prop::collection::vec(any::<bool>().prop_flat_map(flow), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sflow(flows in both_families()) {
        round_trip(FlowType::Sflow5, &flows)?;
    }

    #[test]
    fn netflow_v5(flows in prop::collection::vec(flow(false), 1..80)) {
        round_trip(FlowType::NetflowV5, &flows)?;
    }

    #[test]
    fn netflow_v9(flows in both_families()) {
        round_trip(FlowType::NetflowV9, &flows)?;
    }

    #[test]
    fn ipfix(flows in both_families()) {
        round_trip(FlowType::Ipfix, &flows)?;
    }
}

#[test]
fn generated_flows_come_back() {
    let csv = "10.0.0.0,10.0.255.255,64496\n100.64.0.0,100.64.9.255,4200000001\n\
               2001:db8::,2001:db8::ffff,64496\n2001:db8:1::,2001:db8:1::ffff,65001";
    let blocks = AddressBlock::parse(csv, &(64_496..=64_503)).unwrap();
    for protocol in TYPES {
        let options = Options {
            protocol: Some(protocol),
            from_ns: EXPORT_NS,
            ..Options::default()
        };
        let flows: Vec<_> = Generator::new(options, &blocks).take(5_000).collect();
        let mut encoder = encoder(protocol, device()).unwrap();
        let (decoded, outcome, datagrams) = through(encoder.as_mut(), &flows);
        assert_eq!(outcome.reasons().count(), 0, "{outcome:?}");
        assert_eq!(
            (outcome.waiting, outcome.sequence_missing),
            (0, 0),
            "{protocol:?}"
        );
        assert_eq!(outcome.unknown_rate_flows, 0);
        assert!(datagrams < 1_000, "{protocol:?}: {datagrams} datagrams");
        let expected: Vec<_> = flows.iter().map(|flow| carried(flow, protocol)).collect();
        equal_but_for_the_sequence(decoded, &expected).unwrap();
    }
}

#[test]
fn a_lost_datagram_is_missed_in_the_protocol_s_own_unit() {
    for protocol in TYPES {
        let options = Options {
            protocol: Some(protocol),
            from_ns: EXPORT_NS,
            ..Options::default()
        };
        let csv = "10.0.0.0,10.0.255.255,64496\n100.64.0.0,100.64.9.255,65001";
        let blocks = AddressBlock::parse(csv, &(64_496..=64_503)).unwrap();
        let flows: Vec<_> = Generator::new(options, &blocks).take(200).collect();
        let mut encoder = encoder(protocol, device()).unwrap();
        let (mut decoder, mut datagram, mut decoded) =
            (Decoder::new(Limits::default()), Vec::new(), Vec::new());
        let (mut rest, mut lost, mut missing) = (flows.as_slice(), 0, 0);
        for number in 0..4 {
            let taken = encoder.encode(rest, EXPORT_NS, &mut datagram);
            rest = &rest[taken..];
            if number == 2 {
                lost = u64::try_from(taken).unwrap();
            } else {
                missing += decoder
                    .decode(SOURCE, EXPORT_NS, &datagram, &mut decoded)
                    .sequence_missing;
            }
        }
        let records = matches!(protocol, FlowType::NetflowV5 | FlowType::Ipfix);
        assert_eq!(missing, if records { lost } else { 1 }, "{protocol:?}");
    }
}

#[test]
fn a_rate_that_is_not_told_is_unknown() {
    for protocol in TYPES {
        let mut encoder = encoder(
            protocol,
            Device {
                sampling_rate: 0,
                ..device()
            },
        )
        .unwrap();
        let flow = Flow {
            src_addr: Addr::v4([10, 0, 0, 1]),
            dst_addr: Addr::v4([10, 0, 0, 2]),
            etype: 0x0800,
            sampling_rate: 1,
            sampling_rate_assumed: true,
            ..Flow::default()
        };
        let (decoded, outcome, _) = through(encoder.as_mut(), &[flow]);
        assert_eq!(
            (outcome.unknown_rate_flows, decoded[0].sampling_rate),
            (1, 0),
            "{protocol:?}"
        );
    }
}
