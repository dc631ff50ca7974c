//! Real tables, as published, against oracles: `prefix-trie`, rows painted in the publisher's order, and the
//! look-ups that other libraries made.
//!
//! They are not part of the repository (`../shared/tables`, or `FLOW_PIPELINE_SHARED`); without them the tests
//! say so and end.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod reference;

use std::collections::HashMap;
use std::net::IpAddr;

use flow_tables::{Kind, PrefixTable, Source, TableSet};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use reference::files::{shared, unpacked};
use reference::{Trie, Wall, octets, v4, v6};

const SEED: u128 = 0x5eed;

/// As it was published, packed.
fn load(kind: &Kind, path: &str) -> std::sync::Arc<PrefixTable> {
    let started = std::time::Instant::now();
    let path = shared(path).unwrap();
    let (set, report) = TableSet::load_sources(&[(kind.clone(), Source::File(&path))]).unwrap();
    let table = set.asn.as_ref().or(set.country.as_ref()).unwrap().clone();
    let (rows, ranges) = (report.tables[0].rows, table.range_count());
    eprintln!(
        "{rows} rows, {} bad, {} contradictions, {ranges} ranges in {:?}",
        report.tables[0].bad_rows,
        report.tables[0].contradictions,
        started.elapsed()
    );
    assert_eq!(
        TableSet::from_archive(&set.archive()).unwrap().hash(),
        set.hash()
    );
    table
}

/// Compares alone and in batches; returns how many were compared.
fn compare(table: &PrefixTable, asked: &[IpAddr], expected: impl Fn(IpAddr) -> u32) -> usize {
    let addresses: Vec<[u8; 16]> = asked.iter().map(|a| octets(*a)).collect();
    let mut batch = vec![0xdead; asked.len()];
    table.lookup_batch(&addresses, &mut batch);
    for ((address, octets), in_batch) in asked.iter().zip(&addresses).zip(batch) {
        let expected = expected(*address);
        assert_eq!(
            (table.lookup(octets), in_batch),
            (expected, expected),
            "{address}"
        );
    }
    asked.len()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    }
}

/// First and last address and value of a published row.
fn row(kind: &Kind, line: &str) -> (IpAddr, IpAddr, u32) {
    let fields: Vec<&str> = line.splitn(4, ',').collect();
    let value = match (kind, fields[2].as_bytes()) {
        (Kind::Asn, _) => fields[2].parse().unwrap(),
        (_, letters) => u32::from(letters[0]) << 8 | u32::from(letters[1]),
    };
    (
        fields[0].parse().unwrap(),
        fields[1].parse().unwrap(),
        value,
    )
}

#[test]
fn range_tables_equal_rows_painted_in_the_publishers_order() {
    for (file, kind) in [
        ("asn-ipv4", Kind::Asn),
        ("asn-ipv6", Kind::Asn),
        ("geo-whois-asn-country-ipv4", Kind::Country),
        ("geo-whois-asn-country-ipv6", Kind::Country),
    ] {
        let Some(text) = unpacked(&format!("ip-location-db/{file}.csv.gz")) else {
            return;
        };
        let mut rows: Vec<_> = text.lines().map(|line| row(&kind, line)).collect();
        // The publisher sorts by start; where two rows start together, two of 550,000 pairs have the wide one
        // last, which would cover the narrow one. There our rule, which knows no order, differs from theirs.
        let misplaced = rows
            .windows(2)
            .filter(|w| w[0].0 == w[1].0 && w[0].1 < w[1].1)
            .count();
        assert!(
            misplaced <= 2 && rows.is_sorted_by_key(|row| row.0),
            "{misplaced} misplaced"
        );
        rows.sort_by_key(|row| (row.0, std::cmp::Reverse(row.1)));
        let (mut wall, is_v4) = (Wall::default(), rows[0].0.is_ipv4());
        for (first, last, value) in rows {
            wall.paint(number(first), number(last), value);
        }
        let table = load(&kind, &format!("ip-location-db/{file}.csv.gz"));
        let address = |n: u128| {
            if is_v4 {
                v4(u32::try_from(n & 0xffff_ffff).unwrap())
            } else {
                v6(n)
            }
        };
        let mut asked: Vec<IpAddr> = wall.edges().map(address).collect();
        let mut random = Pcg64Mcg::new(SEED);
        asked.extend((0..300_000).map(|_| {
            let n = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
            address(if is_v4 { n } else { 0x2 << 124 | n >> 4 })
        }));
        let n = compare(&table, &asked, |address| wall.lookup(number(address)));
        eprintln!("{file}: {n} look-ups equal (seed {SEED:#x})");
    }
}

#[test]
fn route_tables_equal_prefix_trie_and_pyasn() {
    for (file, lookups) in [
        ("ipasn_20140513", "lookups_ipasn_20140513_v4"),
        ("ipasn6_20151101", "lookups_ipasn6_20151101_v6"),
    ] {
        let Some(text) = unpacked(&format!("pyasn/{file}.dat.gz")) else {
            return;
        };
        let text: String = text
            .lines()
            .filter(|l| !l.starts_with(';'))
            .map(|l| l.replace('\t', ",") + "\n")
            .collect();
        let (mut trie, mut asked) = (Trie::default(), Vec::new());
        for line in text.lines() {
            let (prefix, value) = line.split_once(',').unwrap();
            let (base, length) = prefix.split_once('/').unwrap();
            let (base, length): (IpAddr, u8) = (base.parse().unwrap(), length.parse().unwrap());
            trie.insert(base, length, value.parse().unwrap());
            asked.push(base);
            asked.push(match base {
                IpAddr::V4(a) => {
                    v4(u32::from(a) | u32::MAX.checked_shr(length.into()).unwrap_or(0))
                }
                IpAddr::V6(a) => {
                    v6(u128::from(a) | u128::MAX.checked_shr(length.into()).unwrap_or(0))
                }
            });
        }
        let mut random = Pcg64Mcg::new(SEED);
        asked.extend((0..500_000).map(|_| v4(random.next_u32())));
        asked.extend((0..200_000).map(|_| v6(0x2 << 124 | u128::from(random.next_u64()) << 60)));
        let table = load(&Kind::Asn, &format!("pyasn/{file}.dat.gz"));
        let n = compare(&table, &asked, |address| trie.lookup(address));
        let Some(oracle) = unpacked(&format!("pyasn/{lookups}.tsv.gz")) else {
            return;
        };
        let oracle: HashMap<IpAddr, u32> = oracle
            .lines()
            .filter_map(|line| {
                let mut fields = line.split('\t');
                let address = fields.next()?.parse().ok()?;
                Some((address, fields.next()?.parse().unwrap_or(0)))
            })
            .collect();
        assert!(
            oracle.len() >= 9_000,
            "the oracle's file was read: {}",
            oracle.len()
        );
        let theirs: Vec<IpAddr> = oracle.keys().copied().collect();
        let m = compare(&table, &theirs, |address| oracle[&address]);
        eprintln!("{file}: {n} look-ups equal prefix-trie, {m} equal pyasn (seed {SEED:#x})");
    }
}
