//! `netflow_parser` decodes the same captures: ports and protocol of every record agree, and
//! addresses where it shows them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use flow_ingest::wire::{Decoder, Limits};
use flow_proto::{Addr, Flow};
use netflow_parser::NetflowParser;

use crate::captures::{Captured, units};

type Endpoints = (Option<IpAddr>, Option<IpAddr>, u32, u32, u32);

fn ours(datagrams: &[Captured]) -> Vec<Endpoints> {
    let mut decoder = Decoder::new(Limits::default());
    let mut flows = Vec::new();
    for datagram in datagrams {
        decoder.decode(datagram.source, 0, &datagram.payload, &mut flows);
    }
    let address = |address: Addr| address.to_ip().filter(|ip| !ip.is_unspecified());
    let endpoints = |f: &Flow| {
        (
            address(f.src_addr),
            address(f.dst_addr),
            f.src_port,
            f.dst_port,
            f.proto,
        )
    };
    flows.iter().map(endpoints).collect()
}

fn theirs(datagrams: &[Captured]) -> Vec<Endpoints> {
    let mut parsers: BTreeMap<Addr, NetflowParser> = BTreeMap::new();
    let mut records = Vec::new();
    for datagram in datagrams {
        let parser = parsers.entry(datagram.source).or_default();
        let (flowsets, _) = parser.parse_bytes_as_netflow_common_flowsets(&datagram.payload);
        records.extend(flowsets.iter().map(|record| {
            let address = |ip: Option<IpAddr>| ip.filter(|ip| !ip.is_unspecified());
            (
                address(record.src_addr),
                address(record.dst_addr),
                record.src_port.unwrap_or(0).into(),
                record.dst_port.unwrap_or(0).into(),
                record.protocol_number.unwrap_or(0).into(),
            )
        }));
    }
    // It shows option records as flows without anything.
    records.retain(|record| *record != (None, None, 0, 0, 0));
    records
}

/// Units that it refuses (counts beyond the datagram, zero fill, structured data) or shows without endpoints.
const REFUSED: [&str; 9] = [
    "logstash-codec-netflow/nf5-invalid01",
    "logstash-codec-netflow/nf5-invalid02",
    "logstash-codec-netflow/ipfix-ixia-256",
    "logstash-codec-netflow/nf9-paloalto-zero-filled",
    "logstash-codec-netflow/nf9-nprobe-dpi",
    "logstash-codec-netflow/nf9-cisco-wlc",
    "telegraf/ipfix-pen-35632",
    "telegraf/ipfix-issue-13305",
    "graylog-plugin-netflow/nf9-graylog-1",
];

/// Ports and protocols, sorted.
fn transport(records: &[Endpoints]) -> Vec<(u32, u32, u32)> {
    let mut all: Vec<_> = records
        .iter()
        .map(|record| (record.2, record.3, record.4))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn captures_decode_alike() {
    let (mut equal, mut flows, mut addresses) = (0, 0, 0);
    for (unit, datagrams) in units() {
        let (mut ours, theirs) = (ours(&datagrams), theirs(&datagrams));
        // It knows neither sFlow nor sampled frames (IE 315).
        if unit.contains("/sflow-") || unit.ends_with("datalink") {
            continue;
        }
        if REFUSED.contains(&unit.as_str()) {
            assert!(
                theirs.len() < ours.len(),
                "{unit} is an exception without need"
            );
            continue;
        }
        assert_eq!(transport(&ours), transport(&theirs), "{unit}");
        // Of templates for both families it shows the one that is all zero; of SRv6, whose templates
        // repeat the addresses, the outer ones, as the first, where we keep the last.
        let comparable = |record: &&Endpoints| record.0.is_some() && record.1.is_some();
        let addressed = theirs
            .iter()
            .filter(comparable)
            .filter(|_| !unit.contains("srv6"));
        for record in addressed {
            let at = ours.iter().position(|flow| flow == record);
            let at = at.unwrap_or_else(|| panic!("{unit}: {record:?} is not among ours"));
            ours.swap_remove(at);
            addresses += 1;
        }
        flows += theirs.len();
        equal += 1;
    }
    let enough = equal > 60 && flows > 2_500 && addresses > 500;
    assert!(
        equal == 0 || enough,
        "{equal} units, {flows} flows, {addresses} addresses"
    );
}
