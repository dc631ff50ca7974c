//! Trees and records of every structure, against look-ups by the library, which decodes whole records.

use std::net::IpAddr;

use serde_json::Value;

use super::collected::{rows, shared, text};
use super::*;
use crate::parse::Family;

/// Compares every edge with look-ups by the library, which decodes whole records; returns how many.
pub(super) fn compare_with_library(name: &str, bytes: &[u8], field: &str) -> usize {
    let reader = Reader::from_source(bytes).unwrap();
    let (rows, pointer) = (
        rows(bytes, &[field]),
        format!("/{}", field.replace('.', "/")),
    );
    assert!(rows.is_sound(), "{name}: {:?}", rows.refused);
    let mut compared = 0;
    for address in rows.edges() {
        if reader.metadata().ip_version == 4 && address.is_ipv6() || is_v4_in_v6(address) {
            continue;
        }
        let found = reader.lookup(address).unwrap();
        let is_alias =
            alias_bits(address).is_some_and(|bits| found.network().unwrap().prefix() > bits);
        let expected = found.decode::<Value>().unwrap().filter(|_| !is_alias);
        let expected = expected.map(|record| text(record.pointer(&pointer)).unwrap_or_default());
        assert_eq!(rows.at(address), expected.as_deref(), "{name}: {address}");
        compared += 1;
    }
    eprintln!(
        "{name}: {} rows, {compared} look-ups equal those of the library",
        rows.rows.len()
    );
    compared
}

/// Whether it lies in `::/96`, which is IPv4 in an IPv6 tree.
fn is_v4_in_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(a) if u128::from(a) >> 32 == 0)
}

/// Length of the prefix under which IPv4 may stand a second time.
fn alias_bits(address: IpAddr) -> Option<u8> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    match address.segments() {
        [0x2002, ..] => Some(16),
        [0x2001, 0, ..] => Some(32),
        [0, 0, 0, 0, 0, 0xffff, ..] => Some(96),
        _ => None,
    }
}

#[test]
fn every_structure_gives_what_look_ups_by_the_library_give() {
    let Some(folder) = shared("maxmind/test-data") else {
        return;
    };
    let mut compared = 0;
    for (name, field) in [
        ("GeoIP2-Country-Test", "country.iso_code"),
        ("GeoIP2-ISP-Test", "autonomous_system_number"),
        ("GeoLite2-ASN-Test", "autonomous_system_number"),
        ("GeoLite2-Country-Test", "registered_country.names.pt-BR"),
        ("MaxMind-DB-test-ipv4-24", "ip"),
        ("MaxMind-DB-test-ipv4-28", "ip"),
        ("MaxMind-DB-test-ipv4-32", "ip"),
        ("MaxMind-DB-test-ipv6-24", "ip"),
        ("MaxMind-DB-test-ipv6-28", "ip"),
        ("MaxMind-DB-test-ipv6-32", "ip"),
        ("MaxMind-DB-test-mixed-24", "ip"),
        ("MaxMind-DB-test-mixed-28", "ip"),
        ("MaxMind-DB-test-mixed-32", "ip"),
        ("MaxMind-DB-test-nested", "map1.map2.array.0.map3.a"),
    ] {
        let bytes = std::fs::read(folder.join(name).with_extension("mmdb")).unwrap();
        compared += compare_with_library(name, &bytes, field);
    }
    eprintln!("{compared} look-ups equal");
}

#[test]
fn every_type_of_a_value_is_text_or_bad() {
    let Some(folder) = shared("maxmind/test-data") else {
        return;
    };
    let bytes = std::fs::read(folder.join("MaxMind-DB-test-decoder.mmdb")).unwrap();
    let at = |field| {
        rows(&bytes, &[field])
            .at([1, 1, 1, 1].into())
            .map(str::to_owned)
    };
    for (field, expected) in [
        ("utf8_string", "unicode! ☯ - ♫"),
        ("boolean", "true"),
        ("uint16", "100"),
        ("uint32", "268435456"),
        ("uint64", "1152921504606846976"),
        ("uint128", "1329227995784915872903807060280344576"),
        ("int32", "-268435456"),
        ("array.2", "3"),
        ("map.mapX.arrayX.0", "7"),
        ("map.mapX.utf8_stringX", "hello"),
    ] {
        assert_eq!(at(field).as_deref(), Some(expected), "{field}");
    }
    // Where a path leads nowhere the next one is tried.
    for nowhere in [
        "none",
        "array.3",
        "array.x",
        "map.0",
        "utf8_string.x",
        "boolean.0",
        "map.mapX.none.none",
    ] {
        let rows = rows(&bytes, &[nowhere, "uint16"]);
        assert_eq!(
            (rows.at([1, 1, 1, 1].into()), rows.bad.len()),
            (Some("100"), 0),
            "{nowhere}"
        );
    }
    for (field, reason) in [
        ("map", "1.1.1.0/24: map is a map, not a value"),
        (
            "map.mapX.arrayX",
            "1.1.1.0/24: map.mapX.arrayX is an array, not a value",
        ),
        (
            "double",
            "1.1.1.0/24: double is a floating-point number, not text or a whole number",
        ),
        (
            "float",
            "1.1.1.0/24: float is a floating-point number, not text or a whole number",
        ),
        (
            "bytes",
            "1.1.1.0/24: bytes is bytes, not text or a whole number",
        ),
    ] {
        let rows = rows(&bytes, &[field, "uint16"]);
        assert!(
            rows.bad.iter().any(|bad| bad == reason),
            "{field}: {:?}",
            rows.bad
        );
        assert_eq!(rows.at([1, 1, 1, 1].into()), None, "{field}");
    }
    let refused = rows(&bytes, &["none", "no.more"]).refused;
    assert_eq!(
        refused.as_deref(),
        Some(
            "no network has none or no.more; that of 0.0.0.0/32 has array, boolean, bytes, double, float, int32, map, \
             uint128, uint16, uint32, uint64, utf8_string"
        )
    );
}

#[test]
fn a_record_above_ipv4_is_that_of_every_ipv4_address() {
    let Some(folder) = shared("maxmind/test-data") else {
        return;
    };
    let bytes = std::fs::read(folder.join("MaxMind-DB-no-ipv4-search-tree.mmdb")).unwrap();
    let mut found = Vec::new();
    let refused = read(&bytes, &["none"], &mut |place, item| {
        found.push((place, format!("{item:?}")));
    });
    assert_eq!(
        refused,
        Err("no network has none; that of ::/64 has no fields".to_owned())
    );
    let row = |family, last| {
        Item::Row(Found {
            family,
            first: 0,
            last,
            value: b"",
        })
    };
    let expected = [
        row(Family::V6, u128::from(u64::MAX)),
        row(Family::V4, u128::from(u32::MAX)),
    ];
    assert_eq!(found, expected.map(|item| (1, format!("{item:?}"))));
}
