//! Look-ups per CPU second against `prefix-trie`: same table, same addresses, one run, medians of pairs.
//!
//! `cargo bench -p flow-tables`. The table is drawn by a seed: 1.0 M IPv4 and 0.2 M IPv6 prefixes with the
//! lengths of a routing table; four of five addresses are IPv4. Both are measured in turns and single-threaded,
//! so that their ratio holds on a busy machine too.

use std::hint::black_box;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use flow_tables::{Kind, PrefixTable, Source, TableSet};
use prefix_trie::PrefixMap;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

const ADDRESSES: usize = 1 << 21;
const ROUNDS: usize = 7;
const V4_PREFIXES: usize = 1_000_000;
const V6_PREFIXES: usize = 200_000;

struct Trie {
    v4: PrefixMap<(u32, u8), u32>,
    v6: PrefixMap<(u128, u8), u32>,
}

impl Trie {
    fn lookup(&self, address: &[u8; 16]) -> u32 {
        let n = u128::from_be_bytes(*address);
        let found = match u32::try_from(n & 0xffff_ffff) {
            Ok(v4) if n >> 32 == 0xffff => self.v4.get_lpm(&(v4, 32)).map(|(_, value)| *value),
            _ => self.v6.get_lpm(&(n, 128)).map(|(_, value)| *value),
        };
        found.unwrap_or(0)
    }
}

/// The table as text, and as a trie.
fn tables(random: &mut Pcg64Mcg) -> (String, Trie) {
    let mut text = String::new();
    let mut trie = Trie {
        v4: PrefixMap::new(),
        v6: PrefixMap::new(),
    };
    for _ in 0..V4_PREFIXES {
        let length = [
            24, 24, 24, 24, 24, 24, 23, 22, 22, 21, 20, 19, 18, 16, 14, 12,
        ][random.next_u32() as usize % 16];
        let base = (random.next_u32() % (223 << 24)) & (u32::MAX << (32 - length));
        let value = 1 + random.next_u32() % 400_000;
        text += &format!("{}/{length},{value}\n", Ipv4Addr::from(base));
        trie.v4
            .insert((base, u8::try_from(length).unwrap_or(32)), value);
    }
    for _ in 0..V6_PREFIXES {
        let length = [48, 48, 48, 48, 44, 40, 36, 32][random.next_u32() as usize % 8];
        // 2001::/16 to 2c00::/16, in /32s that meet often.
        let top = u128::from(0x2001_0000 + random.next_u64() % 0x0bff_0000 / 997 * 997) << 96;
        let base = (top | u128::from(random.next_u32()) << 64) & (u128::MAX << (128 - length));
        let value = 1 + random.next_u32() % 400_000;
        text += &format!("{}/{length},{value}\n", Ipv6Addr::from(base));
        trie.v6
            .insert((base, u8::try_from(length).unwrap_or(128)), value);
    }
    (text, trie)
}

/// Addresses inside the prefixes, in random order; one of five is IPv6.
fn addresses(random: &mut Pcg64Mcg, trie: &Trie, v4_only: bool) -> Vec<[u8; 16]> {
    let v6: Vec<u128> = trie.v6.iter().map(|((base, _), _)| base).collect();
    let pick = |random: &mut Pcg64Mcg| {
        if v4_only || !random.next_u32().is_multiple_of(5) {
            Ipv4Addr::from(random.next_u32() % (223 << 24))
                .to_ipv6_mapped()
                .octets()
        } else {
            let base = v6[random.next_u64() as usize % v6.len()];
            (base | u128::from(random.next_u64())).to_be_bytes()
        }
    };
    (0..ADDRESSES).map(|_| pick(random)).collect()
}

/// CPU time of this thread: the system's count in ns, so that neighbours on the machine cost nothing.
fn cpu_time() -> std::io::Result<Duration> {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let on_cpu = counts.split(' ').next().and_then(|n| n.parse().ok());
    on_cpu
        .map(Duration::from_nanos)
        .ok_or(std::io::ErrorKind::InvalidData.into())
}

fn timed(work: impl FnOnce() -> u64) -> std::io::Result<(Duration, u64)> {
    let started = cpu_time()?;
    let sum = black_box(work());
    Ok((cpu_time()? - started, sum))
}

fn sum(values: impl Iterator<Item = u32>) -> u64 {
    values.map(u64::from).sum()
}

/// Million look-ups per CPU second.
fn rate(time: Duration) -> f64 {
    ADDRESSES as f64 / time.as_secs_f64() / 1e6
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compare(
    out: &mut impl Write,
    name: &str,
    table: &PrefixTable,
    trie: &Trie,
    asked: &[[u8; 16]],
) -> std::io::Result<()> {
    let mut batch = vec![0; asked.len()];
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let theirs = timed(|| sum(asked.iter().map(|a| trie.lookup(a))))?;
        let single = timed(|| sum(asked.iter().map(|a| table.lookup(a))))?;
        let batched = timed(|| {
            for (asked, out) in asked.chunks(512).zip(batch.chunks_mut(512)) {
                table.lookup_batch(asked, out);
            }
            sum(batch.iter().copied())
        })?;
        assert_eq!(
            (theirs.1, theirs.1),
            (single.1, batched.1),
            "all three find the same values"
        );
        rounds.push([rate(theirs.0), rate(single.0), rate(batched.0)]);
    }
    let of = |i: usize| median(rounds.iter().map(|r| r[i]));
    let ratio = |i: usize| median(rounds.iter().map(|r| r[i] / r[0]));
    writeln!(
        out,
        "{name}: prefix-trie {:.1} M/s, single {:.1} M/s ({:.1}x), batch {:.1} M/s ({:.1}x)",
        of(0),
        of(1),
        ratio(1),
        of(2),
        ratio(2)
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let mut random = Pcg64Mcg::new(0x5eed);
    let (text, trie) = tables(&mut random);
    let started = Instant::now();
    let (set, report) =
        TableSet::load_sources(&[(Kind::Asn, Source::Text("drawn", text.as_bytes()))])?;
    let table = set.asn.ok_or("no table")?;
    writeln!(
        out,
        "{} rows to {} ranges in {:?}",
        report.tables[0].rows,
        table.range_count(),
        started.elapsed()
    )?;
    compare(
        &mut out,
        "IPv4 uniform",
        &table,
        &trie,
        &addresses(&mut random, &trie, true),
    )?;
    compare(
        &mut out,
        "one in five IPv6",
        &table,
        &trie,
        &addresses(&mut random, &trie, false),
    )?;
    Ok(())
}
