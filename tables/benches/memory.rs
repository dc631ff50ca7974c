//! Memory of one version of the tables and of two: resident memory of a process of its own, before and after its loads.
//!
//! `cargo bench -p flow-tables --bench memory`. A version has an AS table and a country table of 1.3 M drawn prefixes each;
//! while a job changes versions, both are there.

mod prefixes;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;

use flow_tables::{Kind, Source, TableSet};
use prefixes::{Prefix, drawn_v4, drawn_v6, resident_mb};
use rand_pcg::Pcg64Mcg;

type Failed = Box<dyn std::error::Error>;

const V4_PREFIXES: usize = 1_060_000;
const V6_PREFIXES: usize = 240_000;

fn drawn(seed: u128) -> Vec<Prefix> {
    let mut random = Pcg64Mcg::new(seed);
    let mut prefixes = drawn_v4(&mut random, V4_PREFIXES);
    prefixes.extend(drawn_v6(&mut random, V6_PREFIXES));
    prefixes
}

/// Countries from `AA` to `PP`.
fn countries(prefixes: &[Prefix]) -> Result<String, Failed> {
    let letter = |n: u32| char::from_u32(u32::from(b'A') + n % 16).unwrap_or('A');
    let mut text = String::new();
    for (base, length, value) in prefixes {
        writeln!(
            text,
            "{base}/{length},{}{}",
            letter(*value),
            letter(*value / 16)
        )?;
    }
    Ok(text)
}

fn version(asn_seed: u128, country_seed: u128) -> Result<TableSet, Failed> {
    let (asn, country) = (
        prefixes::text(&drawn(asn_seed)),
        countries(&drawn(country_seed))?,
    );
    let sources = [
        (Kind::Asn, Source::Text("asn", asn.as_bytes())),
        (Kind::Country, Source::Text("country", country.as_bytes())),
    ];
    Ok(TableSet::load_sources(&sources)?.0)
}

/// Loads versions with these seeds, each sharing with those before what is equal, and prints how much memory they took.
fn measure(seeds: &[(u128, u128)]) -> Result<(), Failed> {
    let before = resident_mb()?;
    let mut versions: Vec<Arc<TableSet>> = Vec::new();
    for &(asn, country) in seeds {
        let mut version = version(asn, country)?;
        version.share_with(&versions);
        versions.push(Arc::new(version));
    }
    let tables = versions
        .iter()
        .flat_map(|version| [&version.asn, &version.country])
        .flatten();
    let ranges: usize = tables.map(|table| table.range_count()).sum();
    writeln!(
        std::io::stdout(),
        "{ranges} ranges, {:.0} MB",
        resident_mb()? - before
    )?;
    Ok(())
}

fn main() -> Result<(), Failed> {
    match std::env::args().nth(1).as_deref() {
        Some("one") => return measure(&[(1, 2)]),
        Some("half") => return measure(&[(1, 2), (3, 2)]),
        Some("different") => return measure(&[(1, 2), (3, 4)]),
        _ => {}
    }
    for (case, name) in [
        ("one", "one version"),
        ("half", "two versions with one country table"),
        ("different", "two versions, nothing in common"),
    ] {
        let output = Command::new(std::env::current_exe()?).arg(case).output()?;
        write!(
            std::io::stdout(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stdout)
        )?;
    }
    Ok(())
}
