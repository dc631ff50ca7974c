//! Absurd lengths and counts: counted by reason, the rest kept, nothing allocated for them.

use crate::datagrams::{
    be16, be32, block, decode, ethernet, flow_sample, ipfix, ipv4, raw_header, reasons, set, sflow,
    tcp, template, v5, v9,
};

const RECORD: [u8; 48] = [1; 48];
/// 8 bytes a record: source and destination address.
const ADDRESSES: &[(u16, u16)] = &[(8, 4), (12, 4)];

/// Decodes one datagram: flows, reasons, waiting sets, and how much the output has allocated.
fn one(datagram: Vec<u8>) -> (usize, Vec<(&'static str, u32)>, u32) {
    let length = datagram.len();
    let (flows, outcomes) = decode(&[datagram]);
    // `Vec` doubles: a flow costs at most twice, and there are 16 and one for 8 bytes at most.
    assert!(
        flows.capacity() <= 32 + length / 4,
        "{} for {length} bytes",
        flows.capacity()
    );
    (flows.len(), reasons(&outcomes[0]), outcomes[0].waiting)
}

#[test]
fn version_5_counts_65535_records() {
    assert_eq!(
        one(v5(0xffff, 0, 0, &[RECORD; 3])),
        (3, vec![("count_mismatch", 1)], 0)
    );
    assert_eq!(
        one(v5(1, 0, 0, &[RECORD; 3])),
        (1, vec![("trailing_bytes", 1)], 0)
    );
    assert_eq!(one(v5(1, 0, 0, &[])), (0, vec![("count_mismatch", 1)], 0));
    assert_eq!(
        one(v5(0, 0, 0, &[])[..20].to_vec()),
        (0, vec![("bad_header", 1)], 0)
    );
}

#[test]
fn sflow_counts_of_2_to_the_32() {
    let packet = [ethernet(0x0800), ipv4(5, 0, 6), tcp()].concat();
    let sample = flow_sample(u32::MAX, &[raw_header(1, &packet)]);
    let expected = vec![("count_mismatch", 1), ("bad_sample", 1)];
    assert_eq!(one(sflow(u32::MAX, &[sample])), (1, expected, 0));
}

#[test]
fn sflow_gateway_with_an_as_path_of_2_to_the_32() {
    // 16 GiB in gopacket (CVE-2026-54332).
    let gateway = block(1003, &be32(&[1, 0x0a00_0001, 1, 2, 3, 1, 2, u32::MAX, 7]));
    let (flows, outcomes) = decode(&[sflow(1, &[flow_sample(1, &[gateway])])]);
    assert_eq!((flows.len(), flows[0].src_as), (1, 2));
    assert_eq!(reasons(&outcomes[0]), [("bad_sample_record", 1)]);
    let segments = block(
        1003,
        &be32(&[1, 0x0a00_0001, 1, 2, 3, u32::MAX, 2, 0, 2, 0]),
    );
    let (flows, outcomes) = decode(&[sflow(1, &[flow_sample(1, &[segments])])]);
    assert_eq!(
        (flows.len(), reasons(&outcomes[0])),
        (1, vec![("bad_sample_record", 1)])
    );
}

#[test]
fn a_bad_sflow_sample_or_record_costs_itself_only() {
    let packet = [ethernet(0x0800), ipv4(5, 0, 6), tcp()].concat();
    let good = || flow_sample(1, &[raw_header(1, &packet)]);
    // Too short for its own fields; enterprise format; record of 2^32 - 1 bytes; unreadable packet.
    let short = block(1, &be32(&[1, 2]));
    let enterprise = block(0x0012_3001, &[0; 12]);
    let long_record = flow_sample(2, &[raw_header(1, &packet), be32(&[9, u32::MAX])]);
    let unreadable = flow_sample(1, &[raw_header(11, &[0xff; 40])]);
    let samples = [short, enterprise, long_record, unreadable, good()];
    let (flows, outcomes) = decode(&[sflow(5, &samples)]);
    assert_eq!(flows.len(), 3);
    assert_eq!(flows[0].dst_port, 443);
    assert_eq!((flows[1].dst_port, flows[1].bytes), (0, 1_000));
    assert_eq!(flows[2].dst_port, 443);
    let expected = [
        ("bad_sample", 1),
        ("bad_sample_record", 1),
        ("bad_packet", 1),
    ];
    assert_eq!(reasons(&outcomes[0]), expected);
    assert_eq!(outcomes[0].other_samples, 1);
}

#[test]
fn an_sflow_sample_that_ends_past_the_datagram_gives_what_is_there() {
    let packet = [ethernet(0x0800), ipv4(5, 0, 6), tcp()].concat();
    let mut datagram = sflow(1, &[flow_sample(1, &[raw_header(1, &packet)])]);
    datagram[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(one(datagram), (1, vec![("bad_sample", 1)], 0));
}

#[test]
fn templates_that_would_loop_for_ever() {
    // No fields; only fields of length zero; a scope and no bytes. Their data must wait.
    let none = set(0, &template(256, &[]));
    let zero = set(0, &template(257, &[(1, 0), (8, 0)]));
    let data = || set(257, &[0; 64]);
    let (flows, reasons, waiting) = one(v9(1, 1, 4, &[none, zero, data(), data()]));
    assert_eq!((flows, reasons, waiting), (0, vec![("bad_template", 2)], 2));
    // In IPFIX a template without fields is a withdrawal.
    let withdrawn = ipfix(1, 1, &[set(2, &template(256, &[])), set(256, &[0; 8])]);
    assert_eq!(one(withdrawn), (0, vec![], 1));
}

#[test]
fn templates_cut_or_with_reserved_ids() {
    let cut = set(2, &be16(&[256, 0xffff, 8, 4]));
    let reserved = set(2, &template(255, ADDRESSES));
    let good = set(2, &template(300, ADDRESSES));
    let data = set(300, &[10, 0, 0, 1, 10, 0, 0, 2]);
    let message = ipfix(1, 1, &[cut, reserved, good, data]);
    assert_eq!(one(message), (1, vec![("bad_template", 2)], 0));
    let scopes_past_fields = set(3, &be16(&[256, 1, 2, 8, 4]));
    assert_eq!(
        one(ipfix(1, 1, &[scopes_past_fields])),
        (0, vec![("bad_template", 1)], 0)
    );
}

#[test]
fn sets_with_absurd_lengths() {
    let good = || [set(2, &template(300, ADDRESSES)), set(300, &[1; 8])].concat();
    for length in [0_u16, 3] {
        let bad = be16(&[300, length, 1, 1]);
        assert_eq!(
            one(ipfix(1, 1, &[good(), bad])),
            (1, vec![("bad_set_length", 1)], 0)
        );
    }
    // Past the end: the records that are there are read.
    let long = [be16(&[300, 0xffff]), vec![1; 12]].concat();
    assert_eq!(
        one(ipfix(1, 1, &[good(), long])),
        (2, vec![("bad_set_length", 1)], 0)
    );
    // Reserved ids are skipped by their length.
    let reserved = set(99, &[7; 20]);
    assert_eq!(
        one(ipfix(1, 1, &[reserved, good()])),
        (1, vec![("reserved_set", 1)], 0)
    );
}

#[test]
fn a_variable_length_past_the_set_ends_that_set_only() {
    let fields = &[(8, 4), (12, 4), (82, 0xffff)];
    let set_of = |length: u8| [vec![1; 8], vec![length, 1, 2]].concat();
    let records = [set_of(2), set_of(200)].concat();
    let message = ipfix(
        1,
        1,
        &[
            set(2, &template(300, fields)),
            set(300, &records),
            set(300, &set_of(2)),
        ],
    );
    assert_eq!(one(message), (2, vec![("truncated_record", 1)], 0));
}

#[test]
fn records_of_one_byte_cannot_fill_the_memory() {
    let message = ipfix(
        1,
        1,
        &[set(2, &template(300, &[(4, 1)])), set(300, &[6; 60_000])],
    );
    let (flows, reasons, _) = one(message);
    assert!((7_000..8_000).contains(&flows), "{flows}");
    assert_eq!(reasons, [("record_limit", 1)]);
}

#[test]
fn what_is_no_flow_datagram() {
    for datagram in [
        vec![],
        vec![0],
        vec![0, 5],
        vec![1, 2, 3, 4, 5],
        vec![0, 8, 0, 0],
    ] {
        let (flows, reasons, _) = one(datagram.clone());
        assert_eq!((flows, reasons.len()), (0, 1), "{datagram:?}");
    }
    assert_eq!(one(vec![0, 0, 0, 5]), (0, vec![("bad_header", 1)], 0));
    // An agent address of an unknown type.
    assert_eq!(
        one(be32(&[5, 9, 1, 1, 1, 1, 1])),
        (0, vec![("bad_header", 1)], 0)
    );
    let mut longer = ipfix(1, 1, &[]);
    longer.extend([1; 9]);
    assert_eq!(one(longer), (0, vec![("bad_length", 1)], 0));
}
