//! The oracle's own tests: each law on an example small enough for numbers worked out by hand.
#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "mod.rs"]
mod oracle;

use std::collections::BTreeMap;

use oracle::message::Message;
use oracle::{Config, Framing, Input, Output, Record, Retired, Slot, Tables, Time, run};
use prost::Message as _;

/// A slot boundary: 2001-09-09 01:45:00 UTC.
const T: u64 = 999_999_900;

/// A flow received at `secs`: 100 bytes, 2 packets, rate 10, AS 1 to AS 2, IPv4.
fn flow(secs: u64) -> Message {
    Message {
        time_received_ns: Some(secs * 1_000_000_000),
        bytes: 100,
        packets: 2,
        sampling_rate: 10,
        src_as: 1,
        dst_as: 2,
        etype: 0x800,
        ..Message::default()
    }
}

/// A pack of ours, stamped at `secs`.
fn pack(offset: u64, secs: u64, flows: &[Message]) -> Record {
    let mut payload = Vec::new();
    for flow in flows {
        flow.encode_length_delimited(&mut payload).unwrap();
    }
    Record {
        offset,
        timestamp_millis: i64::try_from(secs * 1_000).unwrap(),
        ours: true,
        payload,
    }
}

fn input(records: Vec<Record>) -> Input {
    Input {
        partitions: BTreeMap::from([(0, records)]),
        ..Input::default()
    }
}

fn slot(flows: u64, too_early: u64, too_late: u64, implausible: u64) -> Slot {
    Slot {
        flows,
        too_early,
        too_late,
        implausible,
    }
}

/// Flows and refusals of packs with one flow each: `(stamp, received)`.
fn fates(packs: &[(u64, u64)]) -> BTreeMap<u64, Slot> {
    let records = packs
        .iter()
        .zip(0..)
        .map(|(&(stamp, received), offset)| pack(offset, stamp, &[flow(received)]));
    run(&input(records.collect())).slots
}

#[test]
fn two_flows_of_a_key_are_one_row() {
    let mut unknown = flow(T + 299);
    unknown.sampling_rate = 0;
    let mut assumed = flow(T + 300);
    assumed.sampling_rate_assumed = true;
    let out = run(&input(vec![
        pack(0, T, &[flow(T), unknown]),
        pack(1, T + 300, &[assumed]),
    ]));
    let expected = BTreeMap::from([
        ((0, T, [1, 2, 0x800]), [200, 4, 2, 1_100, 22, 1]),
        ((0, T + 300, [1, 2, 0x800]), [100, 2, 1, 100, 2, 1]),
    ]);
    assert_eq!(out.rows, expected);
    assert_eq!((out.records, out.flows, out.undecodable_records), (2, 3, 0));
    assert_eq!(out.total(), slot(3, 0, 0, 0));
}

#[test]
fn early_and_late_are_exact_to_the_slot() {
    // Clock T + 300: slot T + 600 starts one window after it and counts, slot T + 900 does not.
    let early = run(&input(vec![pack(0, T + 300, &[flow(T + 300)])]));
    assert_eq!(early.clocks[&0], i128::from(T + 300) * 1_000_000_000);
    let with_start = |secs: u64| {
        let mut message = flow(T + 300);
        message.time_flow_start_ns = secs * 1_000_000_000;
        let mut input = input(vec![pack(0, T + 300, &[message])]);
        input.config.slot_time = Time::Start;
        run(&input).slots
    };
    assert_eq!(
        with_start(T + 899),
        BTreeMap::from([(T + 600, slot(1, 0, 0, 0))])
    );
    assert_eq!(
        with_start(T + 900),
        BTreeMap::from([(T + 900, slot(0, 1, 0, 0))])
    );
    assert_eq!(
        with_start(0),
        BTreeMap::from([(T + 300, slot(1, 0, 0, 0))]),
        "absent"
    );
    // Slot T ends at T + 300; with an hour of lateness it is over when the clock reaches T + 3,900.
    let late = |clock| fates(&[(clock, clock), (T + 500, T)]).remove(&T).unwrap();
    assert_eq!(late(T + 3_899), slot(1, 0, 0, 0));
    assert_eq!(late(T + 3_900), slot(0, 0, 1, 0));
    // A partition's clock is its own: beside it, on another partition, the late flow counts.
    let records = |secs: u64| vec![pack(0, secs, &[flow(secs)])];
    let partitions = BTreeMap::from([(0, records(T + 9_000)), (1, records(T))]);
    let out = run(&Input {
        partitions,
        ..Input::default()
    });
    assert_eq!(out.total(), slot(2, 0, 0, 0));
}

#[test]
fn a_packs_clock_is_that_of_its_latest_flow_and_holds_for_all_its_flows() {
    let out = run(&input(vec![pack(0, T + 600, &[flow(T), flow(T + 900)])]));
    assert_eq!(out.clocks[&0], i128::from(T + 900) * 1_000_000_000);
    let input = Input {
        config: Config {
            lateness_secs: 600,
            ..Config::default()
        },
        ..input(vec![pack(0, T + 600, &[flow(T), flow(T + 900)])])
    };
    // Slot T ends at T + 300, and T + 300 + 600 <= T + 900.
    let expected = BTreeMap::from([(T, slot(0, 0, 1, 0)), (T + 900, slot(1, 0, 0, 0))]);
    assert_eq!(run(&input).slots, expected);
}

#[test]
fn receive_times_are_trusted_within_ten_minutes() {
    let slots = |received_ns: u64, stamp_millis: i64| {
        let mut message = flow(0);
        message.time_received_ns = Some(received_ns);
        let mut record = pack(0, 0, &[message]);
        record.timestamp_millis = stamp_millis;
        run(&input(vec![record]))
            .slots
            .into_keys()
            .collect::<Vec<u64>>()
    };
    let (ns, stamp) = (T * 1_000_000_000, i64::try_from(T * 1_000).unwrap());
    assert_eq!(
        slots(ns + 600_000_000_000, stamp),
        [T + 600],
        "ten minutes ahead"
    );
    assert_eq!(slots(ns + 600_000_000_001, stamp), [T], "1 ns more");
    assert_eq!(slots(ns, stamp + 600_000), [T], "ten minutes behind");
    assert_eq!(slots(ns, stamp + 600_001), [T + 600], "1 ms more");
    assert_eq!(slots(0, stamp), [T], "absent");
    // A poisoned time moves no clock: the flow after it counts.
    let poisoned = fates(&[(T, 4_102_444_800), (T, T)]);
    assert_eq!(poisoned, BTreeMap::from([(T, slot(2, 0, 0, 0))]));
}

#[test]
fn implausible_comes_first_and_far_slots_are_elsewhere() {
    let fate = |bytes: u64, rate: u64, start_secs: u64| {
        let mut message = flow(T);
        (message.bytes, message.sampling_rate) = (bytes, rate);
        message.time_flow_start_ns = start_secs * 1_000_000_000;
        let mut input = input(vec![pack(0, T, &[message])]);
        input.config.slot_time = Time::Start;
        run(&input).slots.into_iter().next().unwrap()
    };
    assert_eq!(
        fate(1 << 40, 1 << 10, T),
        (T, slot(1, 0, 0, 0)),
        "2^50 is plausible"
    );
    assert_eq!(fate((1 << 50) + 1, 1, T), (T, slot(0, 0, 0, 1)));
    assert_eq!(
        fate((1 << 50) + 1, 0, T),
        (T, slot(0, 0, 0, 1)),
        "an unknown rate counts as 1"
    );
    assert_eq!(
        fate(u64::MAX, u64::MAX, T + 9_000),
        (T + 9_000, slot(0, 0, 0, 1)),
        "early as well"
    );
    // 24 h = 288 slots.
    assert_eq!(fate(1, 1, T + 86_400), (T + 86_400, slot(0, 1, 0, 0)));
    assert_eq!(fate(1, 1, T + 86_700), (0, slot(0, 1, 0, 0)));
    assert_eq!(fate(1, 1, T - 86_400), (T - 86_400, slot(0, 0, 1, 0)));
    assert_eq!(fate(1, 1, T - 86_700), (0, slot(0, 0, 1, 0)));
    let mut packets = flow(T);
    (packets.packets, packets.sampling_rate) = (1 << 26, (1 << 24) + 1);
    assert_eq!(
        run(&input(vec![pack(0, T, &[packets])])).total(),
        slot(0, 0, 0, 1)
    );
}

#[test]
fn retired_slots_take_flows_below_the_recorded_offsets_only() {
    let records = |first| {
        (first..first + 3)
            .map(|offset| pack(offset, T, &[flow(T)]))
            .collect()
    };
    let with = |line_secs: u64, offsets: &[(u32, u64)]| {
        let retirement = Retired {
            line_secs,
            offsets: offsets.iter().copied().collect(),
        };
        let partitions = BTreeMap::from([(0, records(5)), (7, records(0))]);
        let retirements = vec![retirement];
        run(&Input {
            partitions,
            retirements,
            ..Input::default()
        })
        .total()
    };
    assert_eq!(
        with(T + 299, &[]),
        slot(6, 0, 0, 0),
        "the slot ends above the line"
    );
    assert_eq!(
        with(T + 300, &[(0, 6), (7, 3)]),
        slot(4, 0, 2, 0),
        "offsets 6 and 7 of partition 0"
    );
    assert_eq!(
        with(T + 300, &[(0, 8)]),
        slot(3, 0, 3, 0),
        "not named: from offset 0 on"
    );
}

#[test]
fn a_slot_has_one_table_version() {
    let mut message = flow(T);
    message.src_addr = vec![10, 0, 0, 1];
    message.dst_addr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)
        .octets()
        .to_vec();
    let mut next = message.clone();
    next.time_received_ns = Some((T + 300) * 1_000_000_000);
    let asn = "10.0.0.0,10.255.255.255,700\n10.0.0.0,10.0.0.0,800\n10.0.0.1,10.0.0.9,900,\"x\"\n";
    let country = "10.0.0.0,10.0.0.255,DE\n2001:db8::,2001:db8::1,NL\n";
    let mut input = input(vec![
        pack(0, T + 300, &[next]),
        pack(1, T + 300, &[message]),
    ]);
    input.versions = vec![
        (0, Tables::from_csv(Some(asn), None)),
        (T + 300, Tables::from_csv(Some("::,::1,5"), Some(country))),
    ];
    let rows: Vec<_> = run(&input).rows.into_keys().collect();
    // D = 68, E = 69, N = 78, L = 76.
    let countries = [68 * 256 + 69, 78 * 256 + 76, 0x800];
    let expected = [
        (0, T, [900, 2, 0x800]),
        (0, T + 300, [1, 2, 0x800]),
        (1, T + 300, countries),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn half_overlapping_rows_of_a_table() {
    let table = Tables::from_csv(
        Some("10.0.0.0,10.0.0.99,1\n10.0.0.10,10.0.0.19,2\n10.0.0.15,10.0.0.30,3"),
        None,
    );
    let at = |last: u8| table.asn(Some(std::net::Ipv4Addr::new(10, 0, 0, last).into()));
    let found = [0, 9, 10, 14, 15, 19, 30, 31, 99, 100].map(at);
    assert_eq!(found, [1, 1, 2, 2, 3, 3, 3, 1, 1, 0]);
    assert_eq!(table.asn(None), 0);
}

/// Runs one record, stamped T, that may carry our header.
fn record(ours: bool, framing: Framing, payload: &[u8]) -> Output {
    let record = Record {
        offset: 0,
        timestamp_millis: i64::try_from(T * 1_000).unwrap(),
        ours,
        payload: payload.to_vec(),
    };
    let mut input = input(vec![record]);
    input.config.framing = framing;
    run(&input)
}

#[test]
fn framings() {
    // 18 0a 48 64 ...: 25 bytes of which the first happens to count the rest, so the rule takes it for a prefix.
    let ambiguous = flow(T).encode_to_vec();
    assert_eq!((ambiguous.len(), ambiguous[0]), (25, 24));
    let mut message = flow(T);
    message.src_port = 443;
    let (bare, chain) = (
        message.encode_to_vec(),
        message.encode_length_delimited_to_vec(),
    );
    let two = [&chain[..], &chain[..]].concat();
    for (ours, framing, payload, flows, undecodable) in [
        (true, Framing::Auto, &two[..], 2, 0),
        (true, Framing::Bare, &two[..], 2, 0),
        (true, Framing::Auto, &two[..two.len() - 1], 0, 1),
        (true, Framing::Auto, &bare[..], 0, 1),
        (false, Framing::Auto, &two[..], 2, 0),
        (false, Framing::Auto, &bare[..], 1, 0),
        (false, Framing::Auto, &ambiguous[..], 0, 1),
        (false, Framing::Bare, &ambiguous[..], 1, 0),
        (false, Framing::Delimited, &bare[..], 0, 1),
        (false, Framing::Bare, &bare[..], 1, 0),
        // The second message can't be read: the first one counts all the same.
        (
            true,
            Framing::Auto,
            &[&chain[..], &[2, 0x48, 0x80]].concat(),
            1,
            0,
        ),
        // Wrong wire type of a field that no row needs.
        (true, Framing::Auto, &[2, 0x92, 0x01], 0, 1),
        (true, Framing::Auto, &[], 0, 0),
    ] {
        let out = record(ours, framing, payload);
        assert_eq!(
            (out.flows, out.undecodable_records),
            (flows, undecodable),
            "{payload:02x?}"
        );
        assert_eq!(
            out.clocks.len(),
            usize::from(flows > 0),
            "no flow, no clock"
        );
    }
}

#[test]
fn dialects_differ_in_field_38() {
    let goflow = Message {
        time_received: T,
        time_flow_end: T + 1,
        start_or_flags: T - 10,
        ..Message::default()
    };
    let ns = |secs: u64| Some(i128::from(secs) * 1_000_000_000);
    assert_eq!(
        (goflow.received_ns(), goflow.start_ns(), goflow.end_ns()),
        (ns(T), ns(T - 10), ns(T + 1))
    );
    // goflow2's flags; 110 stands there, though 0.
    let goflow2 = Message {
        time_received_ns: Some(0),
        start_or_flags: 2,
        ..goflow.clone()
    };
    assert_eq!((goflow2.received_ns(), goflow2.start_ns()), (ns(T), None));
    let both = Message {
        time_received_ns: Some(5),
        time_flow_start_ns: 6,
        time_flow_end_ns: 7,
        ..goflow
    };
    assert_eq!(
        (both.received_ns(), both.start_ns(), both.end_ns()),
        (Some(5), Some(6), Some(7))
    );
}
