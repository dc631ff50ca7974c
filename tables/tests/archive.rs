//! Canonical bytes and hash: independent of the rows' order, round trip, every damage refused.

mod reference;

use flow_tables::{DEMO_ASN_CSV, DEMO_COUNTRY_CSV, Kind, Order, Source, TableSet};
use proptest::prelude::*;
use reference::{octets, v4, v6};
use sha2::{Digest, Sha256};
use std::net::Ipv4Addr;
use std::sync::Arc;

fn set(asn: &str, country: &str) -> TableSet {
    let (asn, country) = (
        Source::Text("asn", asn.as_bytes()),
        Source::Text("country", country.as_bytes()),
    );
    TableSet::load_sources(&[(Kind::Asn, asn), (Kind::Country, country)])
        .expect("loads")
        .0
}

fn demo() -> TableSet {
    set(DEMO_ASN_CSV, DEMO_COUNTRY_CSV)
}

#[test]
fn round_trip_keeps_values_and_hash() {
    let (before, after) = (
        demo(),
        TableSet::from_archive(&demo().archive()).expect("reads"),
    );
    assert_eq!(after.archive(), before.archive());
    assert_eq!(after.hash(), before.hash());
    assert_eq!(before.hash().len(), 64);
    let (a, b) = (before.asn.unwrap(), after.asn.unwrap());
    for i in 0..1 << 16 {
        for address in [
            v4(10 << 24 | i << 8),
            v4(100 << 24 | i << 8),
            v6(0x2001_0db8 << 96 | u128::from(i) << 80),
        ] {
            assert_eq!(
                a.lookup(&octets(address)),
                b.lookup(&octets(address)),
                "{address}"
            );
        }
    }
    let empty = TableSet::default();
    let read = TableSet::from_archive(&empty.archive()).expect("reads");
    assert!(read.asn.is_none() && read.country.is_none());
    assert_ne!(empty.hash(), after.country.map(|_| demo().hash()).unwrap());
}

#[test]
fn one_other_value_or_kind_is_another_hash() {
    let hash = |text: &str, kind| {
        TableSet::load_sources(&[(kind, Source::Text("t", text.as_bytes()))])
            .unwrap()
            .0
            .hash()
    };
    let base = hash("10.0.0.0/8,1\n", Kind::Asn);
    assert_ne!(base, hash("10.0.0.0/8,2\n", Kind::Asn));
    assert_ne!(base, hash("10.0.0.0/9,1\n", Kind::Asn));
    assert_ne!(
        hash("10.0.0.0/8,DE\n", Kind::Country),
        hash("10.0.0.0/8,17477\n", Kind::Asn)
    );
    // The same content, written in another way.
    assert_eq!(
        base,
        hash(
            "; by hand\n10.128.0.0/9;AS1\n\"10.0.0.0\";10.127.255.255;1;\"x\"\n",
            Kind::Asn
        )
    );
}

/// A set with every part there can be, all of them small.
fn small(country: &str, customer: &str) -> TableSet {
    let customer_kind: Kind = "customer".parse().expect("a kind");
    let sources = [
        (Kind::Asn, "10.0.0.0/8,1\n2001:db8::/32,4200000000\n"),
        (Kind::Country, country),
        (customer_kind, customer),
        (Kind::AsNames, "1,one\n2,two\n"),
        (Kind::ExporterNames, "192.0.2.1,edge\n"),
        (Kind::InterfaceNames, "192.0.2.1,3,eth0\n"),
    ];
    let sources = sources.map(|(kind, text)| (kind, Source::Text("t", text.as_bytes())));
    let mut set = TableSet::load_sources(&sources).expect("loads").0;
    set.asn_order.all = Order::FlowTable;
    let exporter = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets();
    set.asn_order.exporters.insert(exporter, Order::Table);
    set
}

#[test]
fn every_part_comes_back() {
    let set = small("10.0.0.0/8,DE\n", "10.0.0.0/9,b\n10.128.0.0/9,a\n");
    let read = TableSet::from_archive(&set.archive()).expect("reads");
    assert_eq!(read.archive(), set.archive());
    assert_eq!(read.hash(), set.hash());
    assert_eq!(read.asn_order, set.asn_order);
    assert_eq!(read.attributes["customer"].values, ["a", "b"]);
    assert_eq!(read.as_names.expect("names").get(&2), Some("two"));
    assert_eq!(read.interface_names.expect("names").len(), 1);
    // An order that says nothing is none.
    let mut plain = demo();
    let other = plain.archive();
    plain.asn_order.exporters.insert([7; 16], Order::default());
    assert_eq!(plain.archive(), other);
}

#[test]
fn equal_parts_are_shared_and_others_are_not() {
    let before = Arc::new(small("10.0.0.0/8,DE\n", "10.0.0.0/9,b\n"));
    let mut after = small("10.0.0.0/8,FR\n", "10.0.0.0/9,b\n");
    let archive = after.archive();
    let read = TableSet::from_archive_sharing(&archive, &[Arc::default(), Arc::clone(&before)]);
    let read = read.expect("reads");
    after.share_with(&[Arc::clone(&before)]);
    for set in [&read, &after] {
        let same = |a: &Option<Arc<_>>, b: &Option<Arc<_>>| {
            Arc::ptr_eq(a.as_ref().expect("a"), b.as_ref().expect("b"))
        };
        assert!(same(&set.asn, &before.asn) && !same(&set.country, &before.country));
        assert!(Arc::ptr_eq(
            &set.attributes["customer"],
            &before.attributes["customer"]
        ));
        let names = [&set.as_names, &before.as_names].map(|names| names.as_ref().expect("names"));
        assert!(Arc::ptr_eq(names[0], names[1]));
        assert_eq!(set.archive(), archive);
    }
}

/// As the first version wrote it, by hand.
#[test]
fn the_first_version_is_still_read() {
    let numbers = |numbers: &[u32]| {
        numbers
            .iter()
            .flat_map(|n| n.to_be_bytes())
            .collect::<Vec<_>>()
    };
    let mut bytes = b"flowtabl".to_vec();
    bytes.extend(numbers(&[
        1,
        2,
        0,
        1,
        0,
        10 << 24,
        (11 << 24) - 1,
        7,
        1,
        1,
        0,
    ]));
    bytes.extend(numbers(&[10 << 24, (11 << 24) - 1, 0x4445]));
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    let read = TableSet::from_archive(&bytes).expect("reads");
    let expected = set("10.0.0.0/8,7\n", "10.0.0.0/8,DE\n");
    assert_eq!(read.archive(), expected.archive());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(
            TableSet::from_archive(&damaged).is_err()
                && TableSet::from_archive(&bytes[..at]).is_err(),
            "{at}"
        );
    }
}

#[test]
fn every_damage_to_a_small_one_is_refused() {
    let archive = small("10.0.0.0/8,DE\n", "10.0.0.0/9,b\n").archive();
    for at in 0..archive.len() {
        assert!(
            TableSet::from_archive(&archive[..at]).is_err(),
            "cut at {at}"
        );
        for bit in 0..8 {
            let mut damaged = archive.clone();
            damaged[at] ^= 1 << bit;
            assert!(
                TableSet::from_archive(&damaged).is_err(),
                "bit {bit} of {at}"
            );
        }
    }
}

/// One part's bytes and a header that names them rightly.
fn forged(kind: u8, name: &str, part: &[u8]) -> Result<TableSet, flow_tables::TableError> {
    let mut bytes = b"flowtabl".to_vec();
    bytes.extend([
        0,
        0,
        0,
        2,
        0,
        0,
        0,
        1,
        kind,
        u8::try_from(name.len()).expect("short"),
    ]);
    bytes.extend(name.as_bytes());
    bytes.extend(u64::try_from(part.len()).expect("short").to_be_bytes());
    bytes.extend_from_slice(&Sha256::digest(part));
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes.extend(part);
    TableSet::from_archive(&bytes)
}

#[test]
fn right_checksums_over_what_is_not_canonical_are_refused() {
    let v4 = |ranges: &[[u32; 3]]| {
        let count = u32::try_from(ranges.len()).expect("few");
        let all = [&[count, 0], ranges.as_flattened()].concat();
        all.iter()
            .flat_map(|n| n.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    assert!(forged(0, "", &v4(&[[1, 5, 7], [6, 6, 8]])).is_ok());
    for bad in [
        &[[5, 1, 7]][..],
        &[[1, 5, 0]],
        &[[1, 5, 7], [5, 6, 8]],
        &[[1, 5, 7], [6, 6, 7]],
        &[[8, 9, 7], [6, 6, 8]],
    ] {
        assert!(forged(0, "", &v4(bad)).is_err(), "{bad:?}");
    }
    let attribute = |values: &[u8], ranges: &[[u32; 3]]| [values, &v4(ranges)[..]].concat();
    let two = [0, 0, 0, 0, 2, 1, b'a', 1, b'b'];
    let both = [[1, 1, 1], [2, 2, 2]];
    assert!(forged(2, "rack", &attribute(&two, &both)).is_ok());
    for (name, values, ranges) in [
        ("Rack", &two[..], &both[..]),
        ("rack", &two, &both[..1]),
        ("rack", &two, &[[1, 1, 1], [2, 2, 2], [4, 4, 3]]),
        ("rack", &[0, 0, 0, 0, 2, 1, b'b', 1, b'a'], &both),
        ("rack", &[1, 0, 0, 0, 2, 1, b'1', 2, b'0', b'2'], &both),
        ("rack", &[0, 0xff, 0xff, 0xff, 0xff, 1, b'a'], &both),
    ] {
        assert!(
            forged(2, name, &attribute(values, ranges)).is_err(),
            "{values:?}"
        );
    }
    assert!(forged(3, "", &[0, 0, 0, 1, 0, 0, 0, 9, 1, b'n']).is_ok());
    assert!(
        forged(
            3,
            "",
            &[0, 0, 0, 2, 0, 0, 0, 9, 1, b'n', 0, 0, 0, 9, 1, b'm']
        )
        .is_err()
    );
    assert!(forged(6, "", &[1, 0, 0, 0, 0]).is_ok());
    assert!(forged(6, "", &[0, 0, 0, 0, 0]).is_err(), "it says nothing");
    assert!(forged(7, "", &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_of_rows_changes_nothing(order in Just(DEMO_ASN_CSV.lines().collect::<Vec<_>>()).prop_shuffle()) {
        prop_assert_eq!(set(&order.join("\n"), DEMO_COUNTRY_CSV).archive(), demo().archive());
    }

    #[test]
    fn any_changed_byte_and_any_cut_is_refused(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let archive = demo().archive();
        let mut changed = archive.clone();
        let at = at.index(archive.len());
        changed[at] ^= 1 << bit;
        prop_assert!(TableSet::from_archive(&changed).is_err());
        prop_assert!(TableSet::from_archive(&archive[..at]).is_err());
        prop_assert!(TableSet::from_archive(&[&archive[..], &[0]].concat()).is_err());
    }
}
