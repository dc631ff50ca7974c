//! Canonical bytes and hash: independent of the rows' order, round trip, every damage refused.

mod reference;

use flow_tables::{DEMO_ASN_CSV, DEMO_COUNTRY_CSV, Kind, Source, TableSet};
use proptest::prelude::*;
use reference::{octets, v4, v6};

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
            "network,asn\n10.128.0.0/9,AS1\n10.0.0.0,10.127.255.255,1,\"x\"\n",
            Kind::Asn
        )
    );
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
