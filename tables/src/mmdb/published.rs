//! Published files against what was put into them, in another format, and against look-ups that others made.

use std::net::IpAddr;

use prefix_trie::PrefixMap;
use serde_json::Value;

use super::collected::{rows, shared, text, unpacked};
use super::structures::compare_with_library;

const ASN: &[&str] = &["autonomous_system_number", "asn", "as_number"];
const COUNTRY: &[&str] = &[
    "country.iso_code",
    "country_code",
    "country",
    "registered_country.iso_code",
];

#[test]
fn test_databases_hold_what_was_put_into_them() {
    let Some(folder) = shared("maxmind") else {
        return;
    };
    for (name, fields) in [
        ("GeoLite2-ASN-Test", ["autonomous_system_number"].as_slice()),
        ("GeoIP2-ISP-Test", &["isp"]),
        (
            "GeoLite2-Country-Test",
            &["country.iso_code", "registered_country.iso_code"],
        ),
        (
            "GeoIP2-Country-Test",
            &["traits.is_anycast", "country.geoname_id"],
        ),
    ] {
        let source = std::fs::read(folder.join(format!("source-data/{name}.json"))).unwrap();
        let source: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(&source).unwrap();
        // Of the source's networks the inner one wins, as it was written later.
        let mut trie = PrefixMap::<(u128, u8), Option<String>>::new();
        let mut asked = Vec::new();
        for (network, record) in source.iter().flatten() {
            let (base, length) = network.split_once('/').unwrap();
            let (base, length): (IpAddr, u8) = (base.parse().unwrap(), length.parse().unwrap());
            // As in the tree: IPv4 below ::/96.
            let (base, length) = match base {
                IpAddr::V4(a) => (u128::from(u32::from(a)), length + 96),
                IpAddr::V6(a) => (u128::from(a), length),
            };
            let field = |field: &&str| {
                let pointer = format!("/{}", field.replace('.', "/"));
                text(record.pointer(&pointer))
            };
            trie.insert((base, length), fields.iter().find_map(field));
            asked.extend([
                base,
                base | u128::MAX.checked_shr(length.into()).unwrap_or(0),
            ]);
        }
        let rows = rows(
            &std::fs::read(folder.join(format!("test-data/{name}.mmdb"))).unwrap(),
            fields,
        );
        assert!(rows.is_sound(), "{name}: {:?}", rows.refused);
        let asked: Vec<IpAddr> = asked
            .into_iter()
            .map(|a| u32::try_from(a).map_or(IpAddr::V6(a.into()), |a| IpAddr::V4(a.into())))
            .chain(rows.edges())
            .collect();
        for &address in &asked {
            let key = match address {
                IpAddr::V4(a) => u128::from(u32::from(a)),
                IpAddr::V6(a) => u128::from(a),
            };
            let expected = trie
                .get_lpm(&(key, 128))
                .map(|(_, value)| value.as_deref().unwrap_or_default());
            assert_eq!(rows.at(address), expected, "{name}: {address}");
        }
        eprintln!(
            "{name}: {} networks of the source, {} look-ups equal",
            source.len(),
            asked.len()
        );
        assert!(
            rows.rows.values().any(|(_, value)| !value.is_empty()),
            "{name}: values"
        );
    }
}

#[test]
fn a_full_table_equals_look_ups_by_others() {
    let Some(folder) = shared("ip-location-db") else {
        return;
    };
    let bytes = unpacked(&folder.join("iptoasn-country.mmdb.gz"));
    let rows = rows(&bytes, COUNTRY);
    assert_eq!((rows.is_sound(), rows.rows.len()), (true, 400_859));
    let lookups =
        String::from_utf8(unpacked(&folder.join("lookups_iptoasn-country.tsv.gz"))).unwrap();
    let mut equal = 0;
    for line in lookups.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let expected = if fields[1] == "-" { "" } else { fields[1] };
        assert_eq!(
            rows.at(fields[0].parse().unwrap()).unwrap_or_default(),
            expected,
            "{line}"
        );
        equal += 1;
    }
    assert_eq!(equal, 15_000);
    compare_with_library("iptoasn-country", &bytes, "country_code");
}

#[test]
fn samples_equal_the_same_in_json() {
    let Some(folder) = shared("ipinfo") else {
        return;
    };
    for (name, column, fields) in [
        ("ip_asn", "asn", ASN),
        ("ip_country_asn", "asn", ASN),
        ("ip_country_asn", "country", COUNTRY),
        ("ipinfo_lite", "asn", ASN),
        ("ipinfo_lite", "country_code", COUNTRY),
    ] {
        let json = std::fs::read_to_string(folder.join(format!("{name}_sample.json"))).unwrap();
        let rows = rows(
            &std::fs::read(folder.join(format!("{name}_sample.mmdb"))).unwrap(),
            fields,
        );
        assert!(rows.is_sound(), "{name}: {:?}", rows.refused);
        let mut equal = 0;
        for line in json.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let of = |name: &str| text(row.get(name)).unwrap_or_default();
            let first = of("network")
                .split_once('/')
                .map_or(of("start_ip"), |(base, _)| base.to_owned());
            for address in [first, of("end_ip")].iter().filter(|a| !a.is_empty()) {
                assert_eq!(
                    rows.at(address.parse().unwrap()),
                    Some(of(column).as_str()),
                    "{name}: {line}"
                );
                equal += 1;
            }
        }
        assert!(equal >= 100, "{equal}");
    }
}
