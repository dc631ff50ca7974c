//! sFlow samples, their records, and the headers of sampled packets.

use flow_proto::{Addr, Flow};

use crate::datagrams::{
    be32, block, decode, ethernet, flow_sample, ipv4, ipv6, raw_header, reasons, sflow, tcp,
};

/// The one flow of a sample with these records.
fn sampled(records: &[Vec<u8>]) -> Flow {
    let count = u32::try_from(records.len()).expect("few");
    let (flows, outcomes) = decode(&[sflow(1, &[flow_sample(count, records)])]);
    assert!(reasons(&outcomes[0]).is_empty(), "{:?}", outcomes[0]);
    flows[0].clone()
}

/// The flow of a sampled packet.
fn packet(protocol: u32, parts: &[Vec<u8>]) -> Flow {
    sampled(&[raw_header(protocol, &parts.concat())])
}

fn ports(flow: &Flow) -> (u32, u32, u32) {
    (flow.src_port, flow.dst_port, flow.tcp_flags)
}

#[test]
fn header_of_the_datagram_and_the_sample() {
    let flow = packet(1, &[ethernet(0x0800), ipv4(5, 0x4000, 6), tcp()]);
    assert_eq!(flow.sampler_address, Addr::v4([198, 51, 100, 7]));
    assert_eq!((flow.observation_domain_id, flow.sequence_num), (3, 77));
    assert_eq!(
        (flow.sampling_rate, flow.packets, flow.bytes),
        (400, 1, 1_000)
    );
    assert_eq!(
        (
            flow.time_received_ns,
            flow.time_flow_start_ns,
            flow.time_flow_end_ns
        ),
        (7, 7, 7)
    );
    assert_eq!((flow.in_if, flow.out_if), (5, 6));
    assert_eq!(
        (flow.dst_mac.0, flow.src_mac.0),
        (0x0200_0000_0009, 0x0200_0000_0008)
    );
    assert_eq!(
        (flow.etype, flow.proto, flow.ip_tos, flow.ip_ttl),
        (0x0800, 6, 0x28, 61)
    );
    assert_eq!((flow.fragment_id, flow.ip_flags), (0x1234, 2));
    assert_eq!(ports(&flow), (4001, 443, 0x18));
}

#[test]
fn expanded_samples_and_interfaces_that_are_none() {
    let expanded = |output: [u32; 2]| {
        let fields = be32(&[
            1,
            0,
            5,
            400,
            4_000,
            0,
            0,
            0x3fff_ffff,
            output[0],
            output[1],
            0,
        ]);
        let (flows, _) = decode(&[sflow(1, &[block(3, &fields)])]);
        (flows[0].in_if, flows[0].out_if, flows[0].forwarding_status)
    };
    assert_eq!(expanded([0, 70_000]), (0, 70_000, 0));
    // Discarded by an access list; for an unknown reason; sent to three interfaces.
    assert_eq!(expanded([1, 258]), (0, 0, 129));
    assert_eq!(expanded([1, 256]), (0, 0, 128));
    assert_eq!(expanded([2, 3]), (0, 0, 0));
    let compact = be32(&[1, 5, 400, 4_000, 0, 5, 0x4000_0101, 0]);
    let (flows, _) = decode(&[sflow(1, &[block(1, &compact)])]);
    assert_eq!((flows[0].out_if, flows[0].forwarding_status), (0, 137));
}

#[test]
fn counter_and_other_samples_are_skipped() {
    let samples = [block(2, &[0; 8]), block(4, &[0; 8]), block(5, &[0; 8])];
    let (flows, outcomes) = decode(&[sflow(3, &samples)]);
    assert!(flows.is_empty());
    assert_eq!(
        (outcomes[0].counter_samples, outcomes[0].other_samples),
        (2, 1)
    );
    assert!(reasons(&outcomes[0]).is_empty());
}

#[test]
fn tags_labels_and_pppoe() {
    let tags = |types: [u16; 2]| {
        let mut bytes = ethernet(types[0]);
        bytes.extend([0x20, 100]);
        bytes.extend(types[1].to_be_bytes());
        bytes.extend([0x20, 200, 0x08, 0x00]);
        packet(1, &[bytes, ipv4(5, 0, 6), tcp()])
    };
    for types in [[0x8100, 0x8100], [0x88a8, 0x8100], [0x9100, 0x8100]] {
        let flow = tags(types);
        assert_eq!(
            (flow.vlan_id, flow.etype, flow.dst_port),
            (200, 0x0800, 443)
        );
    }
    let labels = be32(&[17 << 12 | 64, 3 << 12 | 0x100 | 63]);
    let flow = packet(1, &[ethernet(0x8847), labels, ipv6(6), tcp()]);
    assert_eq!(flow.mpls_label.as_slice(), [17, 3]);
    assert_eq!(flow.mpls_ttl.as_slice(), [64, 63]);
    assert_eq!((flow.etype, flow.dst_port), (0x86dd, 443));
    let pppoe = vec![0x11, 0, 0, 1, 0, 99, 0, 0x21];
    let flow = packet(1, &[ethernet(0x8864), pppoe, ipv4(5, 0, 6), tcp()]);
    assert_eq!((flow.etype, flow.dst_port), (0x0800, 443));
    let snap = vec![0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00];
    let flow = packet(1, &[ethernet(100), snap, ipv4(5, 0, 6), tcp()]);
    assert_eq!((flow.etype, flow.dst_port), (0x0800, 443));
}

#[test]
fn raw_headers_that_begin_with_ip_or_mpls() {
    assert_eq!(packet(11, &[ipv4(5, 0, 6), tcp()]).dst_port, 443);
    assert_eq!(packet(12, &[ipv6(6), tcp()]).dst_port, 443);
    let flow = packet(13, &[be32(&[17 << 12 | 0x100]), ipv4(5, 0, 6), tcp()]);
    assert_eq!(
        (flow.mpls_label.as_slice(), flow.dst_port),
        (&[17][..], 443)
    );
}

#[test]
fn options_fragments_and_cuts() {
    assert_eq!(packet(11, &[ipv4(7, 0, 6), tcp()]).dst_port, 443);
    let later = packet(11, &[ipv4(5, 0x2001, 6), tcp()]);
    assert_eq!(
        (later.fragment_offset, later.ip_flags, later.dst_port),
        (1, 1, 0)
    );
    // Four bytes of TCP are enough for the ports.
    let cut = packet(11, &[ipv4(5, 0, 6), tcp()[..4].to_vec()]);
    assert_eq!(ports(&cut), (4001, 443, 0));
    let icmp = packet(11, &[ipv4(5, 0, 1), vec![3, 1]]);
    assert_eq!((icmp.icmp_type, icmp.icmp_code), (3, 1));
}

#[test]
fn extension_headers_of_ipv6() {
    let hop_by_hop = vec![43, 0, 0, 0, 0, 0, 0, 0];
    let routing = vec![44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let first_fragment = vec![51, 0, 0, 1, 0, 0, 0, 9];
    let authentication = vec![60, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let destination = vec![6, 0, 0, 0, 0, 0, 0, 0];
    let chain = [
        hop_by_hop,
        routing,
        first_fragment,
        authentication,
        destination,
    ]
    .concat();
    let flow = packet(12, &[ipv6(0), chain, tcp()]);
    assert_eq!((flow.proto, flow.fragment_id, flow.dst_port), (6, 9, 443));
    assert_eq!(
        (flow.ip_tos, flow.ipv6_flow_label, flow.ip_ttl),
        (0x28, 0x1_2345, 62)
    );
    let later_fragment = vec![17, 0, 0, 8, 0, 0, 0, 9];
    let flow = packet(12, &[ipv6(44), later_fragment, tcp()]);
    assert_eq!(
        (flow.proto, flow.fragment_offset, flow.dst_port),
        (17, 1, 0)
    );
}

#[test]
fn the_raw_header_wins_over_the_ip_records_in_either_order() {
    let addresses = [0x0a00_0001, 0x0a00_0002];
    let record = block(
        3,
        &be32(&[986, 17, addresses[0], addresses[1], 53, 54, 0, 7]),
    );
    let header = || raw_header(1, &[ethernet(0x0800), ipv4(5, 0, 6), tcp()].concat());
    for records in [[record.clone(), header()], [header(), record.clone()]] {
        let flow = sampled(&records);
        assert_eq!((flow.bytes, flow.proto, flow.dst_port), (1_000, 6, 443));
    }
    let flow = sampled(&[record]);
    assert_eq!(
        (flow.bytes, flow.proto, flow.src_port, flow.ip_tos),
        (986, 17, 53, 7)
    );
    assert_eq!(
        (flow.etype, flow.dst_addr),
        (0x0800, Addr::v4([10, 0, 0, 2]))
    );
    let mut v6 = be32(&[986, 6]);
    v6.extend([1; 16]);
    v6.extend([2; 16]);
    v6.extend(be32(&[1, 2, 3, 4]));
    let flow = sampled(&[block(4, &v6)]);
    assert_eq!(
        (flow.etype, flow.src_addr, flow.tcp_flags),
        (0x86dd, Addr([1; 16]), 3)
    );
}

#[test]
fn what_switch_router_and_gateway_knew() {
    let switch = block(1001, &be32(&[10, 0, 20, 0]));
    let router = block(1002, &be32(&[1, 0x0a00_00fe, 24, 16]));
    let path = [2, 2, 64_501, 64_502, 1, 1, 64_503];
    let gateway = |source, segments, path: &[u32]| {
        let communities = [2, 77, 78, 100];
        let head = [1, 0x0a00_00fd, 64_500, source, 64_499, segments];
        block(1003, &be32(&[&head[..], path, &communities].concat()))
    };
    let flow = sampled(&[switch, router, gateway(64_444, 2, &path)]);
    assert_eq!((flow.src_vlan, flow.dst_vlan), (10, 20));
    assert_eq!(
        (flow.next_hop, flow.src_net, flow.dst_net),
        (Addr::v4([10, 0, 0, 254]), 24, 16)
    );
    assert_eq!(flow.bgp_next_hop, Addr::v4([10, 0, 0, 253]));
    assert_eq!(
        (flow.src_as, flow.dst_as, flow.next_hop_as),
        (64_444, 64_503, 64_501)
    );
    assert_eq!(flow.as_path.as_slice(), [64_501, 64_502]);
    assert_eq!(flow.bgp_communities.as_slice(), [77, 78]);
    // Without a path the destination is the router's own AS, without a source as well.
    let flow = sampled(&[gateway(0, 0, &[])]);
    assert_eq!(
        (flow.src_as, flow.dst_as, flow.next_hop_as),
        (64_500, 64_500, 0)
    );
}
