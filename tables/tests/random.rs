//! Random tables against `prefix-trie` and against a plain scan: nested, overlapping, adjacent, at the edges.
//!
//! Law: every look-up, alone or in a batch, equals the oracle's.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used)]

mod reference;

use std::fmt::Write as _;
use std::net::IpAddr;

use proptest::prelude::*;
use reference::{Trie, asn_table, octets, v4, v6};

/// Addresses that meet often: few high bits, an edge or a neighbour of one below.
fn v4_base() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0),
        Just(u32::MAX),
        (0_u32..4, 0_u32..1 << 12).prop_map(|(a, b)| 10 << 24 | a << 16 | b),
        any::<u32>()
    ]
}

fn v6_base() -> impl Strategy<Value = u128> {
    prop_oneof![
        Just(0),
        Just(u128::MAX),
        (0_u128..4, 0_u128..4, 0_u128..6)
            .prop_map(|(a, b, c)| 0x2001_0db8 << 96 | a << 64 | b << 32 | c),
        (0_u128..3, 0_u128..3).prop_map(|(a, b)| (u128::from(u64::MAX) - a) << 64 | b),
        any::<u128>()
    ]
}

/// Values of all sizes: those from 2^30 on are stored apart; 0 is none.
fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        1_u32..5,
        Just(0),
        Just((1 << 30) - 1),
        Just(1 << 30),
        Just(4_200_000_000),
        Just(u32::MAX)
    ]
}

fn prefix() -> impl Strategy<Value = (IpAddr, u8)> {
    let length4 = prop_oneof![Just(0_u8), Just(24), Just(32), 0..=32_u8];
    let length6 = prop_oneof![Just(0_u8), Just(64), Just(128), 0..=128_u8];
    prop_oneof![
        (v4_base(), length4).prop_map(|(a, n)| {
            (
                v4(a & u32::MAX.checked_shl(32 - u32::from(n)).unwrap_or(0)),
                n,
            )
        }),
        (v6_base(), length6).prop_map(|(a, n)| {
            (
                v6(a & u128::MAX.checked_shl(128 - u32::from(n)).unwrap_or(0)),
                n,
            )
        })
    ]
}

/// First and last address of a range.
fn span() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    let near4 = (v4_base(), 0_u32..1 << 11).prop_map(|(a, n)| (v4(a), v4(a.saturating_add(n))));
    let near6 = (v6_base(), 0_u128..4).prop_map(|(a, n)| (v6(a), v6(a.saturating_add(n))));
    let far4 = (v4_base(), v4_base()).prop_map(|(a, b)| (v4(a.min(b)), v4(a.max(b))));
    let far6 = (v6_base(), v6_base()).prop_map(|(a, b)| (v6(a.min(b)), v6(a.max(b))));
    prop_oneof![near4, near6, far4, far6]
}

/// The address one above or below, of the same family.
fn beside(address: IpAddr, up: bool) -> IpAddr {
    match address {
        IpAddr::V4(a) => v4(if up {
            u32::from(a).wrapping_add(1)
        } else {
            u32::from(a).wrapping_sub(1)
        }),
        IpAddr::V6(a) => v6(if up {
            u128::from(a).wrapping_add(1)
        } else {
            u128::from(a).wrapping_sub(1)
        }),
    }
}

fn last_of(base: IpAddr, length: u8) -> IpAddr {
    let n = u32::from(length);
    match base {
        IpAddr::V4(a) => v4(u32::from(a) | u32::MAX.checked_shr(n).unwrap_or(0)),
        IpAddr::V6(a) => v6(u128::from(a) | u128::MAX.checked_shr(n).unwrap_or(0)),
    }
}

/// The address `::` has no value, and mapped ones are IPv4: those of IPv6 that an oracle may be asked for.
fn is_plain(address: IpAddr) -> bool {
    address != v6(0) && address.to_canonical() == address
}

fn compare(text: &str, asked: Vec<IpAddr>, expected: impl Fn(IpAddr) -> u32) {
    let table = asn_table(text);
    let asked: Vec<IpAddr> = asked.into_iter().filter(|a| is_plain(*a)).collect();
    let addresses: Vec<[u8; 16]> = asked.iter().map(|a| octets(*a)).collect();
    let mut batch = vec![0xdead; asked.len()];
    table.lookup_batch(&addresses, &mut batch);
    for ((address, octets), in_batch) in asked.iter().zip(&addresses).zip(batch) {
        assert_eq!(
            table.lookup(octets),
            expected(*address),
            "{address} in\n{text}"
        );
        assert_eq!(
            in_batch,
            expected(*address),
            "{address}, in a batch, in\n{text}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn prefixes_equal_prefix_trie(
        prefixes in prop::collection::vec((prefix(), value()), 1..60),
        others in prop::collection::vec((v4_base(), v6_base()), 0..40),
    ) {
        let (mut trie, mut text, mut asked) = (Trie::default(), "0.0.0.0/32,77\n".to_owned(), Vec::new());
        trie.insert(v4(0), 32, 77);
        for &((base, length), value) in prefixes.iter().filter(|((base, _), _)| is_plain(*base) || *base == v6(0)) {
            trie.insert(base, length, value);
            writeln!(text, "{base}/{length},{value}").unwrap();
            let last = last_of(base, length);
            asked.extend([base, last, beside(base, false), beside(last, true)]);
        }
        asked.extend(others.iter().flat_map(|&(a, b)| [v4(a), v6(b)]));
        compare(&text, asked, |address| trie.lookup(address));
    }

    /// The rule of `ranges.rs`, as a scan: of the covering rows the last start, the first end, the last line.
    #[test]
    fn ranges_equal_a_scan(
        spans in prop::collection::vec((span(), value()), 1..60),
        others in prop::collection::vec((v4_base(), v6_base()), 0..40),
    ) {
        let mapped = |a: IpAddr| a.to_canonical() != a;
        let spans: Vec<_> = spans.into_iter().filter(|((a, b), _)| !mapped(*a) && !mapped(*b)).collect();
        let (mut text, mut asked) = ("0.0.0.0/32,77\n".to_owned(), Vec::new());
        for ((first, last), value) in &spans {
            writeln!(text, "{first},{last},{value}").unwrap();
            asked.extend([*first, *last, beside(*first, false), beside(*last, true)]);
        }
        asked.extend(others.iter().flat_map(|&(a, b)| [v4(a), v6(b)]));
        compare(&text, asked, |address| {
            let zero = ((v4(0), v4(0)), 77);
            let rows = std::iter::once(&zero).chain(&spans).enumerate();
            rows.filter(|(_, ((first, last), _))| {
                first.is_ipv4() == address.is_ipv4() && (*first..=*last).contains(&address)
            })
            .max_by_key(|(line, ((first, last), _))| (*first, std::cmp::Reverse(*last), *line))
            .map_or(0, |(_, (_, value))| *value)
        });
    }
}

#[test]
fn mapped_addresses_are_ipv4_and_the_unspecified_one_has_no_value() {
    let table = asn_table("::/0,6\n::ffff:10.0.0.0/104,4\n10.1.0.0,10.1.0.0,5\n");
    for (address, expected) in [
        ("10.0.0.1", 4),
        ("10.1.0.0", 5),
        ("11.0.0.0", 0),
        ("::ffff:10.255.255.255", 4),
        ("::1", 6),
        ("::fffe:ffff:ffff", 6),
        ("ffff::", 6),
        ("::", 0),
    ] {
        let address = octets(address.parse().unwrap());
        let mut batch = [9];
        table.lookup_batch(&[address], &mut batch);
        assert_eq!(
            (table.lookup(&address), batch[0]),
            (expected, expected),
            "{address:?}"
        );
    }
}
