//! Ten million addresses on each published table, every border among them, against `prefix-trie`; and on a table twice
//! as large as any of them, with what they do not have: IPv6 beyond /64, values of 32 bits, every block split.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod reference;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use flow_tables::{Kind, PrefixTable, Source, TableSet};
use maxminddb::{PathElement, Reader, WithinOptions};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use reference::asked::Borders;
use reference::files::{shared, unpacked, unpacked_bytes};
use reference::{Trie, Wall, octets, v4, v6};

const SEED: u128 = 0x5eed;
const ADDRESSES: usize = 10_000_000;
/// For tables that are drawn, which have fewer ways to be odd.
const DRAWN_ADDRESSES: usize = 2_000_000;
/// A batch is not of the table's own batch size, so that rests of all sizes occur.
const BATCH: usize = 1000;

fn table(kind: Kind, text: &str) -> Arc<PrefixTable> {
    let source = Source::Text("table", text.as_bytes());
    let (set, _) = TableSet::load_sources(&[(kind, source)]).unwrap();
    set.asn.or(set.country).unwrap()
}

/// Asks for every border, those beside, and as many others; alone and in batches.
fn compare(name: &str, table: &PrefixTable, trie: &Trie, borders: &Borders, others: usize) {
    let (mut random, is_v4) = (Pcg64Mcg::new(SEED), borders.is_v4());
    let drawn = std::iter::repeat_with(|| borders.draw(&mut random)).take(others);
    let asked = borders.neighbours().chain(drawn);
    // `::` and mapped addresses are the table's own affair: see `random.rs`.
    let asked = asked.filter(|&n| is_v4 || n >> 32 != 0xffff && n != 0);
    let address = |n: u128| {
        if is_v4 {
            v4(u32::try_from(n).unwrap())
        } else {
            v6(n)
        }
    };
    let mut asked = asked.map(address).peekable();
    let (mut compared, mut found) = (0, 0);
    let (mut batch, mut values) = (Vec::with_capacity(BATCH), vec![0; BATCH]);
    while asked.peek().is_some() {
        let addresses: Vec<IpAddr> = asked.by_ref().take(BATCH).collect();
        batch.clear();
        batch.extend(addresses.iter().map(|a| octets(*a)));
        table.lookup_batch(&batch, &mut values[..batch.len()]);
        for ((address, octets), &value) in addresses.iter().zip(&batch).zip(&values) {
            let expected = trie.lookup(*address);
            assert_eq!(
                (table.lookup(octets), value),
                (expected, expected),
                "{name}: {address}"
            );
            found += usize::from(expected != 0);
        }
        compared += addresses.len();
    }
    eprintln!("{name}: {compared} look-ups equal, {found} with a value (seed {SEED:#x})");
    assert!(compared > others && found > compared / 4);
}

/// A published row `first,last,value,...`; of a country the value is its two letters.
fn range_row(line: &str) -> (u128, u128, u32) {
    let fields: Vec<&str> = line.splitn(4, ',').collect();
    let number = |text: &str| match text.parse().unwrap() {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    };
    let letters = || {
        fields[2]
            .bytes()
            .fold(0, |n, letter| n << 8 | u32::from(letter))
    };
    let value = fields[2].parse().unwrap_or_else(|_| letters());
    (number(fields[0]), number(fields[1]), value)
}

fn range_table(file: &str, kind: Kind, is_v4: bool) {
    let Some(text) = unpacked(&format!("ip-location-db/{file}.csv.gz")) else {
        return;
    };
    let mut rows: Vec<_> = text.lines().map(range_row).collect();
    rows.sort_by_key(|row| (row.0, std::cmp::Reverse(row.1)));
    let (mut wall, mut trie, mut borders) = (Wall::default(), Trie::default(), Vec::new());
    for (first, last, value) in rows {
        wall.paint(first, last, value);
        borders.extend([first, last]);
    }
    for (first, last, value) in wall.pieces() {
        trie.insert_range(first, last, is_v4, value);
    }
    let borders = Borders::new(borders, is_v4);
    compare(file, &table(kind, &text), &trie, &borders, ADDRESSES);
}

#[test]
fn ipv4_ranges_of_ases() {
    range_table("asn-ipv4", Kind::Asn, true);
}

#[test]
fn ipv6_ranges_of_ases() {
    range_table("asn-ipv6", Kind::Asn, false);
}

#[test]
fn ipv4_ranges_of_countries() {
    range_table("geo-whois-asn-country-ipv4", Kind::Country, true);
}

#[test]
fn ipv6_ranges_of_countries() {
    range_table("geo-whois-asn-country-ipv6", Kind::Country, false);
}

/// Prefixes as a text, a trie, and borders of both families.
#[derive(Default)]
struct Prefixes {
    text: String,
    trie: Trie,
    v4: Vec<u128>,
    v6: Vec<u128>,
}

impl Prefixes {
    /// Without a line of the text.
    fn note(&mut self, base: IpAddr, length: u8, value: u32) {
        self.trie.insert(base, length, value);
        match base {
            IpAddr::V4(a) => {
                let last = u32::from(a) | u32::MAX.checked_shr(length.into()).unwrap_or(0);
                self.v4.extend([u32::from(a), last].map(u128::from));
            }
            IpAddr::V6(a) => {
                let last = u128::from(a) | u128::MAX.checked_shr(length.into()).unwrap_or(0);
                self.v6.extend([u128::from(a), last]);
            }
        }
    }

    fn insert(&mut self, base: IpAddr, length: u8, value: u32) {
        self.note(base, length, value);
        writeln!(self.text, "{base}/{length},{value}").unwrap();
    }

    fn compare(self, name: &str, others: usize) -> Arc<PrefixTable> {
        let table = table(Kind::Asn, &self.text);
        self.compare_with(name, &table, others);
        table
    }

    fn compare_with(self, name: &str, table: &PrefixTable, others: usize) {
        for (borders, is_v4) in [(self.v4, true), (self.v6, false)] {
            if !borders.is_empty() {
                let borders = Borders::new(borders, is_v4);
                compare(name, table, &self.trie, &borders, others);
            }
        }
    }
}

#[test]
fn routing_tables() {
    for file in ["ipasn_20140513", "ipasn6_20151101"] {
        let Some(text) = unpacked(&format!("pyasn/{file}.dat.gz")) else {
            return;
        };
        let mut prefixes = Prefixes::default();
        for line in text.lines().filter(|line| !line.starts_with(';')) {
            let (prefix, value) = line.split_once('\t').unwrap();
            let (base, length) = prefix.split_once('/').unwrap();
            prefixes.insert(
                base.parse().unwrap(),
                length.parse().unwrap(),
                value.parse().unwrap(),
            );
        }
        prefixes.compare(file, ADDRESSES);
    }
}

#[test]
fn countries_of_a_maxmind_db_file() {
    let Some(packed) = shared("ip-location-db/iptoasn-country.mmdb.gz") else {
        return;
    };
    let sources = [(Kind::Country, Source::File(&packed))];
    let (set, _) = TableSet::load_sources(&sources).unwrap();
    let reader = Reader::from_source(unpacked_bytes(&packed)).unwrap();
    let mut prefixes = Prefixes::default();
    for found in reader.networks(WithinOptions::default()).unwrap() {
        let found = found.unwrap();
        let code = found.decode_path::<&str>(&[PathElement::Key("country_code")]);
        let letters = code.unwrap().unwrap_or_default().bytes();
        let value = letters.fold(0, |n, letter| n << 8 | u32::from(letter));
        let network = found.network().unwrap();
        prefixes.note(network.ip(), network.prefix(), value);
    }
    prefixes.compare_with("iptoasn-country.mmdb", &set.country.unwrap(), ADDRESSES);
}

/// Values of all sizes; one of 2^30 and more is stored apart.
fn value(random: &mut Pcg64Mcg) -> u32 {
    match random.next_u32() % 4 {
        0 => 1 << 30 | random.next_u32(),
        1 => 1 + random.next_u32() % 3,
        _ => 1 + random.next_u32() % 400_000,
    }
}

#[test]
fn a_table_larger_than_any_that_is_published() {
    let (mut random, mut prefixes) = (Pcg64Mcg::new(SEED), Prefixes::default());
    for _ in 0..1_800_000 {
        let length = [
            24, 24, 24, 24, 23, 22, 21, 20, 19, 18, 16, 14, 12, 25, 28, 32,
        ][random.next_u32() as usize % 16];
        // Half of the address space stays without a value.
        let base = (random.next_u32() | 1 << 29) & (u32::MAX << (32 - length));
        prefixes.insert(v4(base), u8::try_from(length).unwrap(), value(&mut random));
    }
    let mut block = 0;
    for _ in 0..800_000 {
        // Beyond /64 often in the /64 of the one before, so that it is split again and again.
        let length =
            [48, 48, 44, 40, 36, 32, 64, 65, 80, 96, 127, 128][random.next_u64() as usize % 12];
        if random.next_u32() % 4 != 0 {
            block = 0x2000_u128 << 112 | u128::from(random.next_u64() >> 3) << 64 & !(0xffff << 80);
        }
        let base = (block | u128::from(random.next_u64())) & (u128::MAX << (128 - length));
        prefixes.insert(v6(base), u8::try_from(length).unwrap(), value(&mut random));
    }
    let table = prefixes.compare("drawn", DRAWN_ADDRESSES);
    assert!(table.range_count() > 2_600_000, "{}", table.range_count());
}

#[test]
fn every_block_of_several_networks_split() {
    let mut prefixes = Prefixes::default();
    // More than there are blocks: the last ones are found in another way.
    for slash24 in 0..3_u32 << 16 {
        let base = (10 << 24) + (slash24 << 8);
        let host = 1 + slash24 % 254;
        prefixes.insert(v4(base), 25, slash24 + 1);
        prefixes.insert(v4(base | host), 32, u32::MAX - slash24);
    }
    for slash64 in 0..1_u32 << 16 {
        let base = 0x2001_0db8 << 96 | u128::from(slash64) << 64;
        prefixes.insert(v6(base), 65, slash64 + 1);
        prefixes.insert(
            v6(base | u128::from(slash64 % 256)),
            128,
            u32::MAX - slash64,
        );
    }
    prefixes.compare("every block split", DRAWN_ADDRESSES);
}
