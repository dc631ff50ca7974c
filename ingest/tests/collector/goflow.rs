//! GoFlow's metrics of a running collector: names, labels and values, from real datagrams over real sockets.
//!
//! The list of names and labels is GoFlow v3's (`utils/metrics.go`), written down here again, so that a slip in ours
//! shows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, UdpSocket};

use crate::datagrams::{be16, flow_sample, ipfix, options_template, set, sflow, template, v9};
use crate::{config, embedded, start, until};

const TRAFFIC: &str = "remote_ip,remote_port,local_ip,local_port,type";
const EXPECTED: [(&str, &str); 20] = [
    ("udp_traffic_bytes", TRAFFIC),
    ("udp_traffic_packets", TRAFFIC),
    ("udp_traffic_summary_size_bytes", TRAFFIC),
    ("flow_traffic_bytes", TRAFFIC),
    ("flow_traffic_packets", TRAFFIC),
    ("flow_traffic_summary_size_bytes", TRAFFIC),
    ("flow_decoder_count", "worker,name"),
    ("flow_decoder_error_count", "worker,name"),
    ("flow_summary_decoding_time_us", "name"),
    ("flow_summary_processing_time_us", "name"),
    ("flow_process_nf_count", "router,version"),
    ("flow_process_nf_errors_count", "router,error"),
    ("flow_process_nf_flowset_records_sum", "router,version,type"),
    ("flow_process_nf_flowset_sum", "router,version,type"),
    ("flow_process_nf_delay_summary_seconds", "router,version"),
    (
        "flow_process_nf_templates_count",
        "router,version,obs_domain_id,template_id,type",
    ),
    ("flow_process_sf_count", "router,agent,version"),
    ("flow_process_sf_errors_count", "router,error"),
    ("flow_process_sf_samples_sum", "router,agent,version,type"),
    (
        "flow_process_sf_samples_records_sum",
        "router,agent,version,type",
    ),
];

/// Samples of a scrape: name, labels in order without `quantile`, their values joined, value.
fn samples(text: &str) -> Vec<(String, String, String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, rest) = line.split_once('{').expect("labels");
        let (labels, value) = rest.split_once("} ").expect("a value");
        let pairs = labels
            .split(',')
            .map(|p| p.split_once('=').expect("a pair"));
        let pairs: Vec<_> = pairs.filter(|(label, _)| *label != "quantile").collect();
        let join = |words: Vec<&str>| words.join(",").replace('"', "");
        (
            name.to_owned(),
            join(pairs.iter().map(|(label, _)| *label).collect()),
            join(pairs.iter().map(|(_, value)| *value).collect()),
            value.to_owned(),
        )
    };
    lines.map(sample).collect()
}

/// The scrape after these datagrams from one socket, and that socket's port.
fn scrape(datagrams: &[Vec<u8>]) -> (String, u16, u16) {
    let (_folder, topic) = embedded();
    let collector = start(&config(&["flow://127.0.0.1:0"]), &topic);
    let to = collector.local_addrs()[0];
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a sender");
    for datagram in datagrams {
        sender.send_to(datagram, to).expect("sent");
    }
    let sent = datagrams.len() as u64;
    until(&collector, "decoded", |t| t.datagrams_decoded == sent);
    let goflow = collector.metrics().goflow.clone();
    // The last datagram is counted here after it was counted there.
    collector.stop();
    let port = sender.local_addr().expect("bound").port();
    (goflow.text(1_700_000_000_000_000_000), port, to.port())
}

fn mixed() -> Vec<Vec<u8>> {
    let fields = &[(8, 4), (12, 4), (1, 4)];
    let record = [10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 9];
    let options = options_template(400, 1, &[(149, 4), (34, 4)]);
    let v9_template = [be16(&[260, 3]), be16(&[8, 4, 12, 4, 1, 4])].concat();
    vec![
        ipfix(7, 0, &[set(2, &template(300, fields)), set(3, &options)]),
        ipfix(7, 0, &[set(300, &[record, record].concat())]),
        ipfix(7, 2, &[set(400, &[0, 0, 0, 1, 0, 0, 0, 50])]),
        ipfix(7, 3, &[set(301, &record)]),
        v9(3, 0, 1, &[set(0, &v9_template)]),
        v9(3, 1, 1, &[set(260, &record)]),
        crate::v5(2, 0),
        sflow(
            1,
            &[flow_sample(1, &[crate::datagrams::block(1001, &[0; 16])])],
        ),
        sflow(1, &[crate::datagrams::block(77, &[0; 8])]),
        b"not a datagram".to_vec(),
    ]
}

#[test]
fn names_and_labels_are_goflows() {
    let (text, ..) = scrape(&mixed());
    let mut types = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            assert!(types.insert(name, kind).is_none(), "{name} twice");
        }
    }
    let of = |sample: &str| {
        let summary = types.iter().find(|(name, kind)| {
            let rest = sample.strip_prefix(**name);
            **kind == "summary" && rest.is_some_and(|rest| ["", "_sum", "_count"].contains(&rest))
        });
        summary.map_or(sample.to_owned(), |(name, _)| (*name).to_owned())
    };
    let seen: BTreeSet<_> = samples(&text)
        .into_iter()
        .map(|(name, labels, ..)| (of(&name), labels))
        .collect();
    let owned = |(name, labels): (&str, &str)| (name.to_owned(), labels.to_owned());
    let expected: BTreeSet<_> = EXPECTED.into_iter().map(owned).collect();
    assert_eq!(seen, expected);
    let declared = flow_ingest::goflow::ALL.iter();
    let declared: BTreeSet<_> = declared
        .map(|d| (d.name.to_owned(), d.labels.join(",")))
        .collect();
    assert_eq!(declared, expected);
}

#[test]
fn values_mean_what_they_mean_in_goflow() {
    let datagrams = mixed();
    let (text, port, local) = scrape(&datagrams);
    let all: BTreeMap<(String, String), String> = samples(&text)
        .into_iter()
        .map(|(name, _, values, value)| ((name, values), value))
        .collect();
    let get = |name: &str, values: &str| {
        let key = (name.to_owned(), values.to_owned());
        all.get(&key).map_or("", String::as_str)
    };
    let netflow: usize = datagrams[..6].iter().map(Vec::len).sum();
    let odd = datagrams[9].len();
    let traffic = |kind: &str| format!("127.0.0.1,{port},127.0.0.1,{local},{kind}");
    for (name, values, expected) in [
        ("flow_traffic_packets", traffic("NetFlow"), "7"),
        ("flow_traffic_packets", traffic("sFlow"), "2"),
        ("flow_traffic_packets", traffic("NetFlowV5"), "1"),
        (
            "udp_traffic_bytes",
            traffic("NetFlow"),
            &(netflow + odd).to_string(),
        ),
        (
            "flow_traffic_summary_size_bytes_count",
            traffic("NetFlow"),
            "7",
        ),
        ("flow_decoder_count", "0,NetFlow".into(), "5"),
        ("flow_decoder_error_count", "0,NetFlow".into(), "2"),
        ("flow_process_nf_count", "127.0.0.1,10".into(), "4"),
        ("flow_process_nf_count", "127.0.0.1,9".into(), "2"),
        ("flow_process_nf_count", "127.0.0.1,5".into(), "1"),
        (
            "flow_process_nf_flowset_sum",
            "127.0.0.1,5,DataFlowSet".into(),
            "2",
        ),
        (
            "flow_process_nf_flowset_sum",
            "127.0.0.1,10,DataFlowSet".into(),
            "1",
        ),
        (
            "flow_process_nf_flowset_records_sum",
            "127.0.0.1,10,DataFlowSet".into(),
            "2",
        ),
        (
            "flow_process_nf_flowset_records_sum",
            "127.0.0.1,10,OptionsDataFlowSet".into(),
            "1",
        ),
        (
            "flow_process_nf_flowset_sum",
            "127.0.0.1,9,TemplateFlowSet".into(),
            "1",
        ),
        (
            "flow_process_nf_templates_count",
            "127.0.0.1,10,7,300,template".into(),
            "1",
        ),
        (
            "flow_process_nf_templates_count",
            "127.0.0.1,10,7,400,options_template".into(),
            "1",
        ),
        (
            "flow_process_nf_templates_count",
            "127.0.0.1,9,3,260,template".into(),
            "1",
        ),
        (
            "flow_process_nf_errors_count",
            "127.0.0.1,template_not_found".into(),
            "1",
        ),
        (
            "flow_process_nf_errors_count",
            "127.0.0.1,error_version".into(),
            "1",
        ),
        (
            "flow_process_nf_delay_summary_seconds_count",
            "127.0.0.1,10".into(),
            "2",
        ),
        (
            "flow_process_sf_count",
            "127.0.0.1,198.51.100.7,5".into(),
            "2",
        ),
        (
            "flow_process_sf_samples_sum",
            "127.0.0.1,198.51.100.7,5,FlowSample".into(),
            "1",
        ),
        (
            "flow_process_sf_samples_sum",
            "127.0.0.1,198.51.100.7,5,unknown".into(),
            "1",
        ),
        (
            "flow_process_sf_errors_count",
            "127.0.0.1,error_data_format".into(),
            "1",
        ),
    ] {
        assert_eq!(get(name, &values), expected, "{name} of {values}\n{text}");
    }
}

#[test]
fn ports_and_routers_are_bounded() {
    let (_folder, topic) = embedded();
    let collector = start(&config(&["netflow://127.0.0.1:0"]), &topic);
    let to = collector.local_addrs()[0];
    for n in 0..1_500_u64 {
        let [high, low] = u16::try_from(n).expect("few").to_be_bytes();
        // A new port each time, and a new address nearly each time.
        let sender = UdpSocket::bind((Ipv4Addr::new(127, 2, high, low), 0)).expect("a sender");
        sender.send_to(&crate::v5(1, 0), to).expect("sent");
        if n % 64 == 0 {
            until(&collector, "received", |t| t.datagrams_received >= n);
        }
    }
    let one: Vec<_> = (0..20)
        .map(|_| UdpSocket::bind("127.2.0.1:0").expect("a sender"))
        .collect();
    for sender in &one {
        sender.send_to(&crate::v5(1, 0), to).expect("sent");
    }
    let goflow = collector.metrics().goflow.clone();
    assert_eq!(collector.stop().datagrams_decoded, 1_520);
    let text = goflow.text(0);
    let packets: Vec<_> = samples(&text)
        .into_iter()
        .filter(|(name, ..)| name == "flow_traffic_packets")
        .collect();
    let sum: u64 = packets
        .iter()
        .map(|(.., n)| n.parse::<u64>().expect("a count"))
        .sum();
    assert_eq!(sum, 1_520, "no count is lost");
    let of_one = packets
        .iter()
        .filter(|(_, _, v, _)| v.starts_with("127.2.0.1,"));
    assert_eq!(of_one.count(), 5, "four ports and the others");
    let routers: BTreeSet<_> = packets
        .iter()
        .filter_map(|(_, _, v, _)| v.split(',').next())
        .collect();
    assert_eq!(routers.len(), 1_025, "and the others");
    assert!(routers.contains("other"));
}
