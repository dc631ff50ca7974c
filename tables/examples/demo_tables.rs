//! Writes the two demo tables: `cargo run -p flow-tables --example demo_tables -- tables/demo`.
//!
//! They are synthetic: AS numbers and addresses are those reserved for documentation, benchmarks and private
//! use (RFC 5398, 6996, 5737, 2544, 6598, 1918, 3849, 4193), so that a demo speaks of nobody.
//!
//! Law: the files in `tables/demo/` are what this program prints; a test compares them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Own ASes: few, with large blocks.
const OWN: u32 = 8;
/// Countries, by rank; the empty one leaves a hole in the country table.
const COUNTRIES: [&str; 12] = [
    "DE", "US", "NL", "FR", "GB", "PL", "BR", "JP", "IN", "", "SE", "ZA",
];

/// One row: first address, last address, AS number, name, country.
struct Row {
    first: String,
    last: String,
    asn: u32,
    name: String,
    country: &'static str,
}

fn v4(first: [u8; 4], last: [u8; 4], asn: u32, name: &str, country: &'static str) -> Row {
    let (first, last) = (
        Ipv4Addr::from(first).to_string(),
        Ipv4Addr::from(last).to_string(),
    );
    Row {
        first,
        last,
        asn,
        name: name.to_owned(),
        country,
    }
}

/// The block of `bits` that starts at the groups `a:b:c`.
fn v6(groups: [u16; 3], bits: u32, asn: u32, name: &str, country: &'static str) -> Row {
    let first = Ipv6Addr::new(groups[0], groups[1], groups[2], 0, 0, 0, 0, 0);
    let last = Ipv6Addr::from(u128::from(first) | (u128::MAX >> bits));
    Row {
        first: first.to_string(),
        last: last.to_string(),
        asn,
        name: name.to_owned(),
        country,
    }
}

fn byte(n: u32) -> u8 {
    u8::try_from(n).expect("fits in an address byte")
}

fn group(n: u32) -> u16 {
    u16::try_from(n).expect("fits in an address group")
}

fn country(n: u32) -> &'static str {
    COUNTRIES[n as usize % COUNTRIES.len()]
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for i in 0..OWN {
        let (asn, name) = (64496 + i, format!("Own network {}", i + 1));
        // Mostly at home, the last two abroad.
        let at = if i < 6 { "DE" } else { "NL" };
        let a = byte(16 * i);
        rows.push(v4([10, a, 0, 0], [10, a + 15, 255, 255], asn, &name, at));
        // A customer's block inside the own one: the later, narrower row wins.
        let customer = format!("Customer {}", i + 1);
        rows.push(v4(
            [10, a, 200, 0],
            [10, a, 200, 255],
            65000 + i,
            &customer,
            "DE",
        ));
        rows.push(v6([0x2001, 0xdb8, group(i << 12)], 36, asn, &name, at));
    }
    for i in 0..8 {
        let (asn, name) = (64504 + i, format!("Exchange peer {}", i + 1));
        let (b, c) = (byte(18 + i / 4), byte(i % 4 * 64));
        rows.push(v4(
            [198, b, c, 0],
            [198, b, c + 63, 255],
            asn,
            &name,
            country(i),
        ));
    }
    for i in 0..60 {
        let (asn, name) = (65000 + i, format!("Transit network {}", i + 1));
        let b = byte(128 + i);
        rows.push(v4([10, b, 0, 0], [10, b, 255, 255], asn, &name, country(i)));
        rows.push(v6(
            [0x2001, 0xdb8, group(0x8000 + (i << 8))],
            40,
            asn,
            &name,
            country(i),
        ));
    }
    for i in 0..40 {
        let (asn, name) = (4_200_000_000 + i, format!("Content network {}", i + 1));
        // 200 blocks of 256 addresses: no single CIDR block.
        let b = byte(64 + i);
        rows.push(v4(
            [100, b, 0, 0],
            [100, b, 199, 255],
            asn,
            &name,
            country(i + 3),
        ));
        rows.push(v6(
            [group(0xfd00 + i), 0, 0],
            16,
            asn,
            &name,
            country(i + 3),
        ));
    }
    rows
}

/// `asn.csv` and `country.csv`.
fn tables() -> (String, String) {
    let (mut asn, mut country) = (String::new(), String::new());
    for row in rows() {
        writeln!(
            asn,
            "{},{},{},\"{}\"",
            row.first, row.last, row.asn, row.name
        )
        .expect("a String takes every write");
        if !row.country.is_empty() {
            writeln!(country, "{},{},{}", row.first, row.last, row.country)
                .expect("a String takes every write");
        }
    }
    (asn, country)
}

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .unwrap_or_else(|| "tables/demo".into());
    let (asn, country) = tables();
    std::fs::write(Path::new(&folder).join("asn.csv"), asn)?;
    std::fs::write(Path::new(&folder).join("country.csv"), country)
}

#[cfg(test)]
mod tests {
    #[test]
    fn committed_files_are_what_this_program_writes() {
        let (asn, country) = super::tables();
        assert_eq!(flow_tables::DEMO_ASN_CSV, asn);
        assert_eq!(flow_tables::DEMO_COUNTRY_CSV, country);
    }
}
