//! What is no table, or half of one: refused in one line or read right, never a panic.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod reference;

use std::io::Read;

use flow_tables::{Kind, LoadReport, Source, TableSet};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use reference::files::shared;

const SEED: u128 = 0xbad;

fn load(kind: &Kind, bytes: &[u8]) -> Result<(TableSet, LoadReport), String> {
    let found = TableSet::load_sources(&[(kind.clone(), Source::Text("t", bytes))]);
    found.map_err(|error| {
        let line = error.to_string();
        assert!(line.starts_with("t: ") && !line.contains('\n'), "{line}");
        assert!(line.len() < 1000, "{line}");
        line
    })
}

fn kinds() -> Vec<Kind> {
    let names = [
        "asn",
        "country",
        "customer",
        "as-names",
        "exporters",
        "interfaces",
    ];
    names.map(|name| name.parse().unwrap()).to_vec()
}

#[test]
fn what_is_no_table_is_refused_in_one_line() {
    for (text, words) in [
        ("", "no row with"),
        ("\n\n# only a comment\n", "no row with"),
        (
            "<!DOCTYPE html>\n<html><body>404</body></html>\n",
            "HTML or XML",
        ),
        ("[{\"prefix\":\"10.0.0.0/8\",\"asn\":1}]", "a JSON array"),
        (
            "[\n {\"prefix\":\"10.0.0.0/8\",\"asn\":1}\n]\n",
            "a JSON array",
        ),
        ("\x00\x01\x02", "binary"),
        ("prefix,weather\n10.0.0.0/8,1\n", "no column with"),
        (
            "weather,asn,country,customer,name\nx,1,DE,2,3\n",
            "no column with",
        ),
        ("{\n \"prefix\": \"10.0.0.0/8\"\n}\n", "rows are bad"),
    ] {
        for kind in kinds() {
            // The header may have what a table of names needs.
            let Err(line) = load(&kind, text.as_bytes()) else {
                assert!(
                    words == "no column with" && kind == Kind::AsNames,
                    "{kind}: {text}"
                );
                continue;
            };
            let is_names = matches!(
                kind,
                Kind::AsNames | Kind::ExporterNames | Kind::InterfaceNames
            );
            assert!(line.contains(words) || is_names, "{kind}: {line}");
        }
    }
    let zeros = "10.0.0.0/8,0\n11.0.0.0/8,0\n";
    let line = load(&Kind::Asn, zeros.as_bytes()).map(|_| ()).unwrap_err();
    assert_eq!(line, "t: no row with an AS number in it");
}

#[test]
fn noise_is_survived() {
    let mut random = Pcg64Mcg::new(SEED);
    let heads: [&[u8]; 8] = [
        b"",
        b"\x1f\x8b\x08\x00",
        b"\x28\xb5\x2f\xfd",
        b"BZh91AY&SY",
        b"{\"prefix\":\"",
        b"10.0.0.0/8,",
        b"prefix,asn\n",
        &[0, 0, 0, 0, 0, 13, 0, 1],
    ];
    let (mut taken, kinds) = (0, kinds());
    for round in 0..1000 {
        let mut bytes = heads[round % heads.len()].to_vec();
        let length = random.next_u32() % 400;
        // Half of it from the bytes that formats are made of.
        let some = b"0123456789.:/,;\t\n\"{}[]-AS";
        bytes.extend((0..length).map(|_| match random.next_u32() % 2 {
            0 => some[random.next_u32() as usize % some.len()],
            _ => random.next_u32().to_le_bytes()[0],
        }));
        if round % 16 == 15 {
            bytes.extend(b"\xab\xcd\xefMaxMind.com");
        }
        for kind in &kinds {
            taken += usize::from(load(kind, &bytes).is_ok());
        }
    }
    eprintln!(
        "{taken} of {} were tables (seed {SEED:#x})",
        1000 * kinds.len()
    );
}

/// Cut in the middle of a row: that row at most is bad.
#[test]
fn a_cut_table_loses_its_last_row_at_most() {
    let mut tried = 0;
    for (path, kind, step) in [
        ("ip-location-db/asn-ipv6.csv.gz", Kind::Asn, 1),
        ("ip-location-db/asn-ipv4.csv.gz", Kind::Asn, 20),
        (
            "ip-location-db/geo-whois-asn-country-ipv4.csv.gz",
            Kind::Country,
            20,
        ),
        (
            "ip-location-db/geo-whois-asn-country-ipv6.csv.gz",
            Kind::Country,
            20,
        ),
        ("pyasn/ipasn6_20151101.dat.gz", Kind::Asn, 20),
    ] {
        let Some(path) = shared(path) else { return };
        let packed = std::fs::read(path).unwrap();
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(&packed[..])
            .read_to_end(&mut text)
            .unwrap();
        for percent in (1..100).step_by(step) {
            let cut = &text[..text.len() / 100 * percent + percent];
            let lines = cut
                .split(|b| *b == b'\n')
                .filter(|line| !line.is_empty() && !line.starts_with(b";"));
            let lines = u64::try_from(lines.count()).unwrap();
            let (_, report) = load(&kind, cut).unwrap();
            let table = &report.tables[0];
            assert!(table.bad_rows <= 1, "{percent} %: {:?}", table.bad);
            assert_eq!(table.rows + table.bad_rows, lines, "{percent} %");
            let cut = &packed[..packed.len() / 100 * percent];
            let line = load(&kind, cut).map(|_| ()).unwrap_err();
            assert!(line.contains("cut or damaged"), "{line}");
            tried += 1;
        }
    }
    assert_eq!(tried, 99 + 4 * 5);
}

/// A quote that is never closed takes its own line at most.
#[test]
fn stray_quotes_harm_no_other_line() {
    let text = "10.0.0.0/8,1,\"a \"stray\n11.0.0.0/8,2,\"b\n12.0.0.0/8,3,\"c, d\" e\"\n";
    let (set, report) = load(&Kind::Asn, text.as_bytes()).unwrap();
    assert_eq!((report.tables[0].rows, report.tables[0].bad_rows), (3, 0));
    assert_eq!(set.asn.unwrap().range_count(), 3);
}
