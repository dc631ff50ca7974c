//! Data sets that come before their template: kept within bounds, decoded as of their own message, counted once.

use flow_ingest::wire::{Decoder, Limits, Outcome};
use flow_proto::{Addr, Flow};

use crate::datagrams::{EXPORTER, ipfix, options_template, set, template};

const FIELDS: &[(u16, u16)] = &[(8, 4), (12, 4)];
const KEEPING: Limits = Limits {
    exporters: 64,
    domains: 64,
    templates: 64,
    fields: 64,
    entries: 1 << 16,
    early_bytes: 1 << 20,
    early_age_ns: 300_000_000_000,
};

fn data(last: u8) -> Vec<u8> {
    set(300, &[10, 0, 0, 1, 10, 0, 0, last])
}

fn learned() -> Vec<u8> {
    ipfix(1, 9, &[set(2, &template(300, FIELDS))])
}

/// Feeds (time, datagram) from one exporter; flows and the sum of the outcomes.
fn feed(decoder: &mut Decoder, datagrams: &[(u64, Vec<u8>)]) -> (Vec<Flow>, Outcome) {
    let (mut flows, mut sum) = (Vec::new(), Outcome::default());
    for (at_ns, datagram) in datagrams {
        sum.add(&decoder.decode(EXPORTER, *at_ns, datagram, &mut flows));
    }
    (flows, sum)
}

#[test]
fn early_sets_are_decoded_as_of_their_own_message() {
    let datagrams = [
        (1, ipfix(1, 4, &[data(4), set(301, &[0; 8])])),
        (2, ipfix(1, 5, &[data(5)])),
        (7, learned()),
        (8, ipfix(1, 10, &[data(10)])),
    ];
    let mut decoder = Decoder::new(KEEPING);
    let (flows, sum) = feed(&mut decoder, &datagrams);
    let seen: Vec<_> = flows
        .iter()
        .map(|flow| (flow.dst_addr, flow.time_received_ns, flow.sequence_num))
        .collect();
    let of = |last, at_ns, sequence| (Addr::v4([10, 0, 0, last]), at_ns, sequence);
    assert_eq!(seen, [of(4, 1, 4), of(5, 2, 5), of(10, 8, 10)]);
    assert_eq!(
        (sum.waiting, sum.early_decoded, sum.early_dropped),
        (3, 2, 0)
    );
    assert!(decoder.early_bytes() > 0, "301 still waits");
    // Without room for them, only what came later is decoded.
    let mut strict = Decoder::new(Limits::default());
    let (flows, sum) = feed(&mut strict, &datagrams);
    assert_eq!((flows.len(), sum.waiting, sum.early_dropped), (1, 3, 3));
}

#[test]
fn early_options_tell_their_rate_before_later_data_is_read() {
    let options = options_template(400, 1, &[(149, 4), (34, 4)]);
    let rate = ipfix(1, 0, &[set(400, &[0, 0, 0, 1, 0, 0, 0, 50])]);
    let datagrams = [
        (1, rate),
        (2, ipfix(1, 1, &[set(3, &options)])),
        (3, learned()),
        (4, ipfix(1, 2, &[data(1)])),
    ];
    let (flows, _) = feed(&mut Decoder::new(KEEPING), &datagrams);
    assert_eq!(flows[0].sampling_rate, 50);
}

#[test]
fn what_waits_too_long_is_dropped_and_told() {
    let old = KEEPING.early_age_ns + 100;
    let datagrams = [
        (50, ipfix(1, 0, &[data(1)])),
        (150, ipfix(1, 1, &[data(2)])),
        (old, learned()),
    ];
    let (flows, sum) = feed(&mut Decoder::new(KEEPING), &datagrams);
    assert_eq!(flows.len(), 1);
    assert_eq!(
        (sum.waiting, sum.early_decoded, sum.early_dropped),
        (2, 1, 1)
    );
}

/// A flood of data sets from many exporters and domains, for which templates come for some.
#[test]
fn a_flood_is_bounded_and_every_set_is_accounted_for() {
    let mut decoder = Decoder::new(KEEPING);
    let (mut flows, mut sum) = (Vec::new(), Outcome::default());
    let body = set(300, &[7; 1200]);
    let held = body.len() - 4 + 96;
    for n in 0..20_000_u32 {
        let [_, _, high, low] = n.to_be_bytes();
        let exporter = Addr::v4([192, 0, 2, high % 32]);
        // Time moves on by ten seconds all in all, so that nothing is too old.
        let at_ns = u64::from(n) * 500_000;
        let domain = u32::from(low % 40);
        let datagram = match n % 997 {
            0 => ipfix(domain, n, &[set(2, &template(300, FIELDS))]),
            _ => ipfix(domain, n, std::slice::from_ref(&body)),
        };
        sum.add(&decoder.decode(exporter, at_ns, &datagram, &mut flows));
        assert!(decoder.early_bytes() <= KEEPING.early_bytes);
        let kept = decoder.early_bytes() / held;
        let accounted = sum.early_decoded + sum.early_dropped + u32::try_from(kept).unwrap();
        assert_eq!(sum.waiting, accounted, "after {n}");
    }
    assert!(sum.early_dropped > 0 && sum.early_decoded > 0, "{sum:?}");
}
