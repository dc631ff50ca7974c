//! Templates, sampling rates and sequence numbers: whose they are, how long they live, how many.

use flow_ingest::wire::{Decoder, Limits, assume_rate};
use flow_proto::{Addr, Flow};

use crate::datagrams::{
    EXPORTER, be16, be32, decode, ipfix, options_template, reasons, set, template, v5, v9,
};

const ADDRESSES: &[(u16, u16)] = &[(8, 4), (12, 4)];

fn addresses() -> Vec<u8> {
    set(300, &[10, 0, 0, 1, 10, 0, 0, 2])
}

#[test]
fn data_waits_for_a_template_of_its_own_exporter_domain_and_protocol() {
    let learned = ipfix(1, 0, &[set(2, &template(300, ADDRESSES))]);
    let mut decoder = Decoder::new(Limits::default());
    let mut flows = Vec::new();
    let mut feed = |source, datagram: &[u8]| decoder.decode(source, 0, datagram, &mut flows);
    assert_eq!(feed(EXPORTER, &learned).templates, 1);
    let data = ipfix(1, 0, &[addresses()]);
    assert_eq!(feed(Addr::v4([192, 0, 2, 2]), &data).waiting, 1);
    assert_eq!(feed(EXPORTER, &ipfix(2, 0, &[addresses()])).waiting, 1);
    assert_eq!(feed(EXPORTER, &v9(1, 0, 1, &[addresses()])).waiting, 1);
    assert_eq!(feed(EXPORTER, &data).flows, 1);
}

#[test]
fn a_redefined_template_counts_from_its_own_message_on() {
    let with_ports: &[(u16, u16)] = &[(7, 2), (11, 2), (8, 4)];
    let (flows, outcomes) = decode(&[
        ipfix(1, 0, &[set(2, &template(300, ADDRESSES)), addresses()]),
        ipfix(1, 1, &[set(2, &template(300, ADDRESSES))]),
        ipfix(1, 1, &[set(2, &template(300, with_ports)), addresses()]),
    ]);
    assert_eq!(flows[0].src_addr, Addr::v4([10, 0, 0, 1]));
    assert_eq!((flows[1].src_port, flows[1].dst_port), (0x0a00, 1));
    assert_eq!(flows[1].src_addr, Addr::v4([10, 0, 0, 2]));
    let changed: Vec<_> = outcomes
        .iter()
        .map(|o| (o.templates, o.templates_changed))
        .collect();
    assert_eq!(changed, [(1, 0), (1, 0), (1, 1)]);
}

#[test]
fn withdrawals_of_one_and_of_all() {
    let options = options_template(400, 1, &[(149, 4), (34, 4)]);
    let learn = ipfix(
        1,
        0,
        &[
            set(
                2,
                &[template(300, ADDRESSES), template(301, ADDRESSES)].concat(),
            ),
            set(3, &options),
        ],
    );
    let one = ipfix(1, 0, &[set(2, &be16(&[300, 0])), addresses()]);
    let all = ipfix(1, 0, &[set(2, &be16(&[2, 0])), set(301, &[0; 8])]);
    let all_options = ipfix(1, 0, &[set(3, &be16(&[3, 0])), set(400, &[0; 8])]);
    let (flows, outcomes) = decode(&[learn, one, all, all_options]);
    assert!(flows.is_empty());
    let counts: Vec<_> = outcomes
        .iter()
        .map(|o| (o.templates_withdrawn, o.waiting))
        .collect();
    assert_eq!(counts, [(0, 0), (1, 1), (1, 1), (1, 1)]);
}

#[test]
fn templates_beyond_the_limits_are_refused_and_do_not_stay_half() {
    let limits = Limits {
        templates: 2,
        fields: 3,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(limits);
    let mut flows = Vec::new();
    let many: Vec<u8> = (256..300).flat_map(|id| template(id, ADDRESSES)).collect();
    let outcome = decoder.decode(EXPORTER, 0, &ipfix(1, 0, &[set(2, &many)]), &mut flows);
    assert_eq!(
        (outcome.templates, reasons(&outcome)),
        (2, vec![("template_limit", 42)])
    );
    let wide = template(256, &[(8, 4); 4]);
    let message = ipfix(1, 0, &[set(2, &wide), set(256, &[0; 16])]);
    let outcome = decoder.decode(EXPORTER, 0, &message, &mut flows);
    assert_eq!(
        (outcome.waiting, reasons(&outcome)),
        (1, vec![("template_limit", 1)])
    );
}

#[test]
fn a_flood_of_exporters_domains_and_templates_stays_within_the_entries() {
    let limits = Limits {
        entries: 5_000,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(limits);
    let mut flows = Vec::new();
    let mut refused = 0;
    for n in 0..20_000_u32 {
        let id = 256 + u16::try_from(n % 1_000).expect("fits");
        let message = ipfix(
            n % 7,
            0,
            &[set(2, &template(id, &[(8, 4), (12, 4), (1, 4), (2, 4)]))],
        );
        let source = Addr(u128::from(n % 3_000 + 1).to_be_bytes());
        let outcome = decoder.decode(source, 0, &message, &mut flows);
        refused += reasons(&outcome).len();
        assert!(
            decoder.entries() <= 5_000,
            "{} after {n}",
            decoder.entries()
        );
    }
    assert!(refused > 10_000, "{refused}");
}

/// One flow of each data set, after options data told rates.
fn rates(options: &[u8], records: &[u8], fields: &[(u16, u16)], data: &[u8]) -> Vec<u64> {
    let message = ipfix(
        1,
        0,
        &[
            set(3, options),
            set(400, records),
            set(2, &template(300, fields)),
        ],
    );
    let (flows, outcomes) = decode(&[message, ipfix(1, 0, &[set(300, data)])]);
    assert!(reasons(&outcomes[0]).is_empty());
    flows.iter().map(|flow| flow.sampling_rate).collect()
}

#[test]
fn rates_by_sampler_interface_and_domain() {
    // Samplers 1 and 2; the third flow's is unknown, and they do not agree.
    let by_sampler = options_template(400, 1, &[(302, 4), (305, 4), (306, 4)]);
    let records = be32(&[1, 1, 999, 2, 2, 998]);
    let data = &[1, 2, 3];
    assert_eq!(
        rates(&by_sampler, &records, &[(302, 1), (8, 4)], &sampled(data)),
        [1000, 500, 0]
    );
    let by_interface = options_template(400, 1, &[(10, 4), (34, 4)]);
    let data = [be32(&[5, 0]), be32(&[6, 0])].concat();
    assert_eq!(
        rates(&by_interface, &be32(&[5, 64]), &[(10, 4), (8, 4)], &data),
        [64, 64]
    );
    assert_eq!(
        rates(
            &by_interface,
            &be32(&[5, 64, 6, 32]),
            &[(10, 4), (8, 4)],
            &data
        ),
        [64, 32]
    );
    // A narrow value; and a rate in the record itself beats it.
    let by_domain = options_template(400, 1, &[(149, 4), (50, 2)]);
    let record = [be32(&[1]), be16(&[128])].concat();
    let data = [be32(&[0, 1]), be32(&[9, 1])].concat();
    assert_eq!(
        rates(&by_domain, &record, &[(34, 4), (8, 4)], &data),
        [128, 9]
    );
}

/// Records of a sampler id and an address.
fn sampled(samplers: &[u8]) -> Vec<u8> {
    samplers
        .iter()
        .flat_map(|sampler| [*sampler, 10, 0, 0, 1])
        .collect()
}

#[test]
fn a_rate_told_for_another_domain_of_the_exporter_stands_in() {
    let options = options_template(400, 1, &[(149, 4), (34, 4)]);
    let told = ipfix(1, 0, &[set(3, &options), set(400, &be32(&[1, 256]))]);
    let asked = ipfix(2, 0, &[set(2, &template(300, ADDRESSES)), addresses()]);
    let (flows, outcomes) = decode(&[asked.clone(), told, asked]);
    assert_eq!(
        flows.iter().map(|f| f.sampling_rate).collect::<Vec<_>>(),
        [0, 256]
    );
    assert_eq!(
        outcomes
            .iter()
            .map(|o| o.unknown_rate_flows)
            .collect::<Vec<_>>(),
        [1, 0, 0]
    );
    assert_eq!(outcomes[1].option_records, 1);
}

#[test]
fn an_unknown_rate_is_assumed_to_be_1_and_says_so() {
    let mut unknown = Flow::default();
    assume_rate(&mut unknown);
    assert_eq!(
        (unknown.sampling_rate, unknown.sampling_rate_assumed),
        (1, true)
    );
    let mut known = Flow {
        sampling_rate: 1,
        ..Flow::default()
    };
    assume_rate(&mut known);
    assert_eq!(
        (known.sampling_rate, known.sampling_rate_assumed),
        (1, false)
    );
}

#[test]
fn sequence_gaps_in_the_unit_of_each_protocol() {
    let missing = |datagrams: &[Vec<u8>]| -> Vec<u64> {
        decode(datagrams)
            .1
            .iter()
            .map(|outcome| outcome.sequence_missing)
            .collect()
    };
    let record = [[1; 48]];
    assert_eq!(
        missing(&[
            v5(1, 10, 0, &record),
            v5(1, 11, 0, &record),
            v5(1, 15, 0, &record)
        ]),
        [0, 0, 3]
    );
    assert_eq!(
        missing(&[v9(1, 10, 0, &[]), v9(1, 11, 0, &[]), v9(1, 15, 0, &[])]),
        [0, 0, 3]
    );
    let learn = ipfix(1, 100, &[set(2, &template(300, ADDRESSES)), addresses()]);
    let data = |sequence| ipfix(1, sequence, &[addresses()]);
    assert_eq!(missing(&[learn, data(101), data(105)]), [0, 0, 3]);
    // What could not be counted says nothing about what follows.
    assert_eq!(missing(&[data(1), data(99), data(150)]), [0, 0, 0]);
}
