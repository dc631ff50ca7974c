//! Look-ups per CPU second against `prefix-trie` and `maxminddb`: same table, same addresses, one run, medians of pairs.
//!
//! `cargo bench -p flow-tables --bench lookup`. One table is drawn by a seed: 1.0 M IPv4 and 0.2 M IPv6 prefixes with the
//! lengths of a routing table; the other, if `../shared/tables` is there, is a published MaxMind DB file of countries. All
//! are measured in turns and single-threaded, so that their ratio holds on a busy machine too.

mod prefixes;

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use flow_tables::{Kind, PrefixTable, Source, TableSet};
use maxminddb::{PathElement, Reader, WithinOptions};
use prefix_trie::PrefixMap;
use prefixes::{Prefix, drawn_v4, drawn_v6, median, published, text, thread_cpu};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

type Failed = Box<dyn std::error::Error>;

const ADDRESSES: usize = 1 << 20;
const ROUNDS: usize = 7;
const V4_PREFIXES: usize = 1_000_000;
const V6_PREFIXES: usize = 200_000;
/// Of skewed addresses half are among as many, and half of the rest among four times as many, and so on.
const HOT_ADDRESSES: usize = 1000;

struct Trie {
    v4: PrefixMap<(u32, u8), u32>,
    v6: PrefixMap<(u128, u8), u32>,
}

impl Trie {
    fn of(prefixes: &[Prefix]) -> Trie {
        let mut trie = Trie {
            v4: PrefixMap::new(),
            v6: PrefixMap::new(),
        };
        for &(base, length, value) in prefixes {
            match base {
                IpAddr::V4(a) => trie.v4.insert((a.into(), length), value),
                IpAddr::V6(a) => trie.v6.insert((a.into(), length), value),
            };
        }
        trie
    }

    fn lookup(&self, address: &[u8; 16]) -> u32 {
        let n = u128::from_be_bytes(*address);
        let found = match u32::try_from(n & 0xffff_ffff) {
            Ok(v4) if n >> 32 == 0xffff => self.v4.get_lpm(&(v4, 32)).map(|(_, value)| *value),
            _ => self.v6.get_lpm(&(n, 128)).map(|(_, value)| *value),
        };
        found.unwrap_or(0)
    }
}

/// Two letters as the table has them.
fn country(code: &str) -> u32 {
    code.bytes().fold(0, |n, letter| n << 8 | u32::from(letter))
}

fn country_in(reader: &Reader<Vec<u8>>, address: &[u8; 16]) -> u32 {
    let address = Ipv6Addr::from(*address).to_canonical();
    let found = reader
        .lookup(address)
        .and_then(|found| found.decode_path::<&str>(&[PathElement::Key("country_code")]));
    found.ok().flatten().map_or(0, country)
}

/// The networks of a file, as its own library finds them.
fn networks(reader: &Reader<Vec<u8>>) -> Result<Vec<Prefix>, Failed> {
    let mut prefixes = Vec::new();
    for found in reader.networks(WithinOptions::default())? {
        let found = found?;
        let network = found.network()?;
        if let Some(code) = found.decode_path::<&str>(&[PathElement::Key("country_code")])? {
            prefixes.push((network.ip(), network.prefix(), country(code)));
        }
    }
    Ok(prefixes)
}

/// Addresses inside the prefixes, in random order.
fn uniform(random: &mut Pcg64Mcg, prefixes: &[Prefix]) -> Vec<[u8; 16]> {
    let pick = |_| {
        let (base, length, _) = prefixes[random.next_u64() as usize % prefixes.len()];
        match base {
            IpAddr::V4(a) => {
                let host = u32::MAX.checked_shr(length.into()).unwrap_or(0) & random.next_u32();
                Ipv4Addr::from(u32::from(a) | host)
                    .to_ipv6_mapped()
                    .octets()
            }
            IpAddr::V6(a) => (u128::from(a) | u128::from(random.next_u64())).to_be_bytes(),
        }
    };
    (0..ADDRESSES).map(pick).collect()
}

/// The same addresses again, as traffic has them: few often, many seldom.
fn skewed(random: &mut Pcg64Mcg, addresses: &[[u8; 16]]) -> Vec<[u8; 16]> {
    let pick = |_| {
        let quarters = random.next_u32().trailing_zeros();
        let among = HOT_ADDRESSES << (2 * quarters.min(5));
        addresses[random.next_u64() as usize % among.min(addresses.len())]
    };
    (0..ADDRESSES).map(pick).collect()
}

fn timed(work: impl FnOnce() -> u64) -> std::io::Result<(Duration, u64)> {
    let started = thread_cpu()?;
    let sum = black_box(work());
    Ok((thread_cpu()? - started, sum))
}

/// One way to look an address up.
type LookUp<'a> = (&'a str, &'a dyn Fn(&[u8; 16]) -> u32);

fn compare(
    name: &str,
    table: &PrefixTable,
    rivals: &[LookUp<'_>],
    asked: &[[u8; 16]],
) -> Result<(), Failed> {
    let sum = |values: &mut dyn Iterator<Item = u32>| values.map(u64::from).sum::<u64>();
    let mut batch = vec![0; asked.len()];
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let single = timed(|| sum(&mut asked.iter().map(|a| table.lookup(a))))?;
        let batched = timed(|| {
            for (asked, out) in asked.chunks(512).zip(batch.chunks_mut(512)) {
                table.lookup_batch(asked, out);
            }
            sum(&mut batch.iter().copied())
        })?;
        let mut times = vec![single, batched];
        for (_, lookup) in rivals {
            times.push(timed(|| sum(&mut asked.iter().map(lookup)))?);
        }
        assert!(
            times.iter().all(|time| time.1 == single.1),
            "all find the same values"
        );
        rounds.push(
            times
                .iter()
                .map(|time| time.0.as_secs_f64())
                .collect::<Vec<_>>(),
        );
    }
    let names = ["single", "batch"]
        .into_iter()
        .chain(rivals.iter().map(|rival| rival.0));
    let mut out = std::io::stdout().lock();
    write!(out, "{name}:")?;
    for (i, of) in names.enumerate() {
        let nanos = median(rounds.iter().map(|times| times[i])) * 1e9 / asked.len() as f64;
        write!(out, " {of} {nanos:.1} ns")?;
        if i >= 2 {
            let slower = |ours: usize| median(rounds.iter().map(|times| times[i] / times[ours]));
            write!(out, " ({:.1}x, {:.1}x)", slower(0), slower(1))?;
        }
    }
    writeln!(out)?;
    Ok(())
}

/// The table of AS numbers.
fn asn_table(prefixes: &[Prefix]) -> Result<Arc<PrefixTable>, Failed> {
    let text = text(prefixes);
    let sources = [(Kind::Asn, Source::Text("bench", text.as_bytes()))];
    TableSet::load_sources(&sources)?
        .0
        .asn
        .ok_or("no table".into())
}

/// The table of countries, whose values are two letters each.
fn country_table(prefixes: &[Prefix]) -> Result<Arc<PrefixTable>, Failed> {
    let mut text = String::new();
    for (base, length, code) in prefixes {
        let [.., a, b] = code.to_be_bytes().map(char::from);
        writeln!(text, "{base}/{length},{a}{b}")?;
    }
    let sources = [(Kind::Country, Source::Text("bench", text.as_bytes()))];
    TableSet::load_sources(&sources)?
        .0
        .country
        .ok_or("no table".into())
}

/// Every mix of addresses on one table.
fn compare_all(
    random: &mut Pcg64Mcg,
    table: &PrefixTable,
    prefixes: &[Prefix],
    rivals: &[LookUp<'_>],
) -> Result<(), Failed> {
    let (v4, v6): (Vec<Prefix>, Vec<Prefix>) =
        prefixes.iter().partition(|prefix| prefix.0.is_ipv4());
    let (v4, v6) = (uniform(random, &v4), uniform(random, &v6));
    let mixed: Vec<[u8; 16]> = (0..ADDRESSES)
        .map(|i| if i % 5 == 0 { v6[i] } else { v4[i] })
        .collect();
    for (name, addresses) in [("IPv4", &v4), ("IPv6", &v6), ("one in five IPv6", &mixed)] {
        compare(&format!("{name}, random"), table, rivals, addresses)?;
        compare(
            &format!("{name}, skewed"),
            table,
            rivals,
            &skewed(random, addresses),
        )?;
    }
    Ok(())
}

fn main() -> Result<(), Failed> {
    let mut random = Pcg64Mcg::new(0x5eed);
    let mut prefixes = drawn_v4(&mut random, V4_PREFIXES);
    prefixes.extend(drawn_v6(&mut random, V6_PREFIXES));
    let (table, trie) = (asn_table(&prefixes)?, Trie::of(&prefixes));
    writeln!(
        std::io::stdout(),
        "drawn: {} ranges (how much slower: than single, than batch)",
        table.range_count()
    )?;
    compare_all(
        &mut random,
        &table,
        &prefixes,
        &[("prefix-trie", &|a| trie.lookup(a))],
    )?;

    let Some(file) = published("ip-location-db/iptoasn-country.mmdb.gz") else {
        writeln!(std::io::stdout(), "SKIPPED: ../shared/tables is not here")?;
        return Ok(());
    };
    let reader = Reader::from_source(file)?;
    let prefixes = networks(&reader)?;
    let (table, trie) = (country_table(&prefixes)?, Trie::of(&prefixes));
    writeln!(
        std::io::stdout(),
        "iptoasn-country.mmdb: {} ranges",
        table.range_count()
    )?;
    let rivals: [LookUp<'_>; 2] = [
        ("prefix-trie", &|a| trie.lookup(a)),
        ("maxminddb", &|a| country_in(&reader, a)),
    ];
    compare_all(&mut random, &table, &prefixes, &rivals)
}
