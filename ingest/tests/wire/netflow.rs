//! Fields and times of NetFlow v5, v9 and IPFIX records, byte by byte.

use flow_proto::{Addr, Flow, FlowType};

use crate::datagrams::{
    EXPORT_SECS, EXPORTER, be16, be32, decode, ethernet, ipfix, ipv4, reasons, set, tcp, template,
    v5, v9,
};

const EXPORT_NS: u64 = EXPORT_SECS as u64 * 1_000_000_000;

/// The one flow of an IPFIX record.
fn ipfix_flow(fields: &[(u16, u16)], record: &[u8]) -> Flow {
    let message = ipfix(3, 9, &[set(2, &template(300, fields)), set(300, record)]);
    let (flows, outcomes) = decode(&[message]);
    assert!(reasons(&outcomes[0]).is_empty(), "{:?}", outcomes[0]);
    assert_eq!(flows.len(), 1);
    flows[0].clone()
}

/// The one flow of a v9 record.
fn v9_flow(fields: &[(u16, u16)], record: &[u8]) -> Flow {
    let (flows, _) = decode(&[v9(
        3,
        9,
        2,
        &[set(0, &template(300, fields)), set(300, record)],
    )]);
    assert_eq!(flows.len(), 1);
    flows[0].clone()
}

#[test]
fn version_5_record() {
    let mut record = [0; 48];
    record[..12].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2, 10, 0, 0, 3]);
    record[12..16].copy_from_slice(&be16(&[4, 5]));
    record[16..32].copy_from_slice(&be32(&[6, 7_000, 999_000, 1_000_500]));
    record[32..36].copy_from_slice(&be16(&[80, 4001]));
    record[36..40].copy_from_slice(&[0, 0x1b, 6, 0x20]);
    record[40..46].copy_from_slice(&[0xfd, 0xe8, 0, 9, 24, 16]);
    // Mode 1 in the two top bits, interval 100.
    let (flows, outcomes) = decode(&[v5(1, 42, 0x4064, &[record])]);
    let received_ns = 7;
    let expected = Flow {
        type_: FlowType::NetflowV5,
        time_received_ns: received_ns,
        time_flow_start_ns: EXPORT_NS + 500_000_000 - 1_000_000_000,
        // Half a second after the export: skew, not 49 days ago.
        time_flow_end_ns: EXPORT_NS + 1_000_000_000,
        sampling_rate: 100,
        sequence_num: 42,
        sampler_address: EXPORTER,
        observation_domain_id: 0x0102,
        src_addr: Addr::v4([10, 0, 0, 1]),
        dst_addr: Addr::v4([10, 0, 0, 2]),
        next_hop: Addr::v4([10, 0, 0, 3]),
        in_if: 4,
        out_if: 5,
        packets: 6,
        bytes: 7_000,
        src_port: 80,
        dst_port: 4001,
        tcp_flags: 0x1b,
        proto: 6,
        ip_tos: 0x20,
        src_as: 65_000,
        dst_as: 9,
        src_net: 24,
        dst_net: 16,
        etype: 0x0800,
        ..Flow::default()
    };
    assert_eq!(flows, [expected]);
    assert_eq!(outcomes[0].unknown_rate_flows, 0);
}

#[test]
fn counters_prefer_the_delta_whatever_the_order() {
    let flow = ipfix_flow(&[(23, 4), (1, 4), (24, 4), (2, 4)], &be32(&[9, 100, 8, 2]));
    assert_eq!((flow.bytes, flow.packets), (100, 2));
    let flow = ipfix_flow(&[(85, 8), (86, 3)], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!((flow.bytes, flow.packets), (1 << 32, 256));
    let flow = ipfix_flow(&[(232, 4), (231, 4), (298, 4)], &be32(&[9, 100, 2]));
    assert_eq!((flow.bytes, flow.packets), (100, 2));
}

#[test]
fn the_family_decides_about_prefix_lengths() {
    let fields = &[(9, 1), (29, 1), (8, 4), (27, 16), (13, 1), (30, 1)];
    let v4 = [&[24, 64, 10, 0, 0, 1][..], &[0; 16], &[16, 48]].concat();
    let flow = ipfix_flow(fields, &v4);
    assert_eq!((flow.etype, flow.src_net, flow.dst_net), (0x0800, 24, 16));
    let v6 = [&[24, 64, 0, 0, 0, 0][..], &[0x20; 16], &[16, 48]].concat();
    let flow = ipfix_flow(fields, &v6);
    assert_eq!((flow.etype, flow.src_net, flow.dst_net), (0x86dd, 64, 48));
    assert_eq!(flow.src_addr, Addr([0x20; 16]));
}

#[test]
fn fields_of_their_own_kind() {
    let fields = &[
        (32, 2),
        (197, 1),
        (58, 2),
        (59, 2),
        (70, 3),
        (71, 3),
        (72, 3),
        (89, 1),
        (56, 6),
    ];
    let mut record = vec![8, 3, 0x40];
    record.extend(be16(&[0x2064, 200]));
    record.extend([0, 1, 0x10, 0, 2, 0x01, 0, 0, 0, 0x42, 2, 0, 0, 0, 0, 9]);
    let flow = ipfix_flow(fields, &record);
    assert_eq!((flow.icmp_type, flow.icmp_code, flow.ip_flags), (8, 3, 2));
    assert_eq!(
        (flow.vlan_id, flow.src_vlan, flow.dst_vlan),
        (0x064, 0x2064, 200)
    );
    assert_eq!(flow.mpls_label.as_slice(), [0x11, 0x20]);
    assert_eq!(
        (flow.forwarding_status, flow.src_mac.0),
        (0x42, 0x0200_0000_0009)
    );
}

#[test]
fn times_of_version_9() {
    // Uptime at the export is 1,000,000 ms.
    let flow = v9_flow(&[(22, 4), (21, 4)], &be32(&[940_000, 999_000]));
    assert_eq!(flow.time_flow_start_ns, EXPORT_NS - 60_000_000_000);
    assert_eq!(flow.time_flow_end_ns, EXPORT_NS - 1_000_000_000);
    let flow = v9_flow(&[(8, 4)], &[1; 4]);
    assert_eq!(
        (flow.time_flow_start_ns, flow.time_flow_end_ns),
        (EXPORT_NS, EXPORT_NS)
    );
    let flow = v9_flow(&[(150, 4), (22, 4), (151, 4)], &be32(&[77, 940_000, 78]));
    assert_eq!(
        (flow.time_flow_start_ns, flow.time_flow_end_ns),
        (77_000_000_000, 78_000_000_000)
    );
    let (_, outcomes) = decode(&[v9(
        1,
        1,
        2,
        &[
            set(0, &template(300, &[(22, 4)])),
            set(300, &be32(&[0x8fff_ffff])),
        ],
    )]);
    assert_eq!(outcomes[0].clamped_times, 1);
}

#[test]
fn times_of_ipfix() {
    let flow = ipfix_flow(&[(158, 4), (159, 4)], &be32(&[2_000_000, 1_000_000]));
    assert_eq!(flow.time_flow_start_ns, EXPORT_NS - 2_000_000_000);
    assert_eq!(flow.time_flow_end_ns, EXPORT_NS - 1_000_000_000);
    // Uptimes need the start of the exporter: 100 s before the export.
    let started_ms = (u64::from(EXPORT_SECS) - 100) * 1_000;
    let record = [be32(&[40_000, 90_000]), started_ms.to_be_bytes().to_vec()].concat();
    let flow = ipfix_flow(&[(22, 4), (21, 4), (160, 8)], &record);
    assert_eq!(flow.time_flow_start_ns, EXPORT_NS - 60_000_000_000);
    assert_eq!(flow.time_flow_end_ns, EXPORT_NS - 10_000_000_000);
    let flow = ipfix_flow(&[(22, 4), (21, 4)], &be32(&[40_000, 90_000]));
    assert_eq!(
        (flow.time_flow_start_ns, flow.time_flow_end_ns),
        (EXPORT_NS, EXPORT_NS)
    );
}

#[test]
fn a_frame_in_a_record() {
    let frame = [ethernet(0x0800), ipv4(5, 0, 6), tcp()].concat();
    let length = u8::try_from(frame.len()).expect("short");
    let flow = ipfix_flow(
        &[(10, 4), (315, 0xffff)],
        &[be32(&[5]), vec![length], frame].concat(),
    );
    assert_eq!((flow.in_if, flow.packets, flow.bytes), (5, 1, 54));
    assert_eq!(
        (flow.src_addr, flow.dst_port),
        (Addr::v4([10, 0, 0, 1]), 443)
    );
    let packet = ipv4(5, 0, 17);
    let flow = ipfix_flow(&[(312, 2), (313, 20)], &[be16(&[1_500]), packet].concat());
    assert_eq!((flow.bytes, flow.proto, flow.etype), (1_500, 17, 0x0800));
}

#[test]
fn enterprise_elements_are_none_of_ours() {
    // Element 8 of enterprise 9, then IANA's 12.
    let specs = [be16(&[300, 2, 0x8008, 4]), be32(&[9]), be16(&[12, 4])].concat();
    let message = ipfix(
        1,
        0,
        &[set(2, &specs), set(300, &[1, 1, 1, 1, 10, 0, 0, 2])],
    );
    let (flows, _) = decode(&[message]);
    assert!(!flows[0].src_addr.is_set());
    assert_eq!(flows[0].dst_addr, Addr::v4([10, 0, 0, 2]));
}

#[test]
fn version_9_is_read_to_its_end_whatever_its_header_counts() {
    let sets = [set(0, &template(300, &[(8, 4)])), set(300, &[1; 9])];
    for count in [0, 1, 2, 999] {
        let (flows, outcomes) = decode(&[v9(1, 0, count, &sets)]);
        assert_eq!((flows.len(), reasons(&outcomes[0])), (2, vec![]), "{count}");
    }
    // Zero fill to the end of the datagram is no set.
    let (flows, outcomes) = decode(&[v9(1, 0, 2, &[sets.concat(), vec![0; 77]])]);
    assert_eq!((flows.len(), reasons(&outcomes[0])), (2, vec![]));
}
