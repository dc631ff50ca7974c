//! What the benchmarks of tables load, and how they measure: prefixes drawn or published, medians, CPU time, memory.

// Each benchmark takes from here what it needs.
#![allow(dead_code, unreachable_pub)]

use std::fmt::Write as _;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// Network, length, value.
pub type Prefix = (IpAddr, u8, u32);

/// `count` IPv4 prefixes with the lengths of a routing table.
pub fn drawn_v4(random: &mut Pcg64Mcg, count: usize) -> Vec<Prefix> {
    const LENGTHS: [u8; 16] = [
        24, 24, 24, 24, 24, 24, 23, 22, 22, 21, 20, 19, 18, 16, 14, 12,
    ];
    let draw = |_| {
        let length = LENGTHS[random.next_u32() as usize % 16];
        let base = (random.next_u32() % (223 << 24)) & (u32::MAX << (32 - length));
        (
            IpAddr::V4(Ipv4Addr::from(base)),
            length,
            1 + random.next_u32() % 400_000,
        )
    };
    (0..count).map(draw).collect()
}

/// `count` IPv6 prefixes from 2001::/16 to 2c00::/16, in /32s that meet often.
pub fn drawn_v6(random: &mut Pcg64Mcg, count: usize) -> Vec<Prefix> {
    const LENGTHS: [u8; 8] = [48, 48, 48, 48, 44, 40, 36, 32];
    let draw = |_| {
        let length = LENGTHS[random.next_u32() as usize % 8];
        let top = u128::from(0x2001_0000 + random.next_u64() % 0x0bff_0000 / 997 * 997) << 96;
        let base = (top | u128::from(random.next_u32()) << 64) & (u128::MAX << (128 - length));
        (
            IpAddr::V6(Ipv6Addr::from(base)),
            length,
            1 + random.next_u32() % 400_000,
        )
    };
    (0..count).map(draw).collect()
}

/// Lines `prefix,value`.
pub fn text(prefixes: &[Prefix]) -> String {
    let mut text = String::with_capacity(prefixes.len() * 24);
    for (base, length, value) in prefixes {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{base}/{length},{value}");
    }
    text
}

/// An unpacked file of `../shared/tables`, if it is there.
pub fn published(path: &str) -> Option<Vec<u8>> {
    let shared = std::env::var_os("FLOW_PIPELINE_SHARED").map(PathBuf::from);
    let shared = shared
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")));
    let output = Command::new("gzip")
        .arg("-dc")
        .arg(shared.join("tables").join(path))
        .output();
    output
        .ok()
        .filter(|output| output.status.success())
        .map(|output| output.stdout)
}

/// The fewest prefixes that make up the ranges `first,last,asn,...` of a published table.
pub fn as_prefixes(ranges: &[u8]) -> Vec<Prefix> {
    let mut prefixes = Vec::new();
    for line in String::from_utf8_lossy(ranges).lines() {
        let mut fields = line.split(',');
        let mut next = || fields.next().unwrap_or_default();
        if let (Ok(first), Ok(last), Ok(value)) = (next().parse(), next().parse(), next().parse()) {
            split(first, last, |base, length| {
                prefixes.push((base, length, value));
            });
        }
    }
    prefixes
}

fn split(first: IpAddr, last: IpAddr, mut give: impl FnMut(IpAddr, u8)) {
    let number = |address: IpAddr| match address {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    };
    let bits = if first.is_ipv4() { 32 } else { 128 };
    let (mut at, last) = (number(first), number(last));
    while at <= last {
        // The largest prefix that begins here and ends in the range; no published one is all of IPv6.
        let most = at.trailing_zeros().min(bits).min(127);
        let size = (0..=most)
            .rev()
            .find(|&n| (1_u128 << n) - 1 <= last - at)
            .unwrap_or(0);
        let base = match u32::try_from(at) {
            Ok(at) if bits == 32 => IpAddr::V4(at.into()),
            _ => IpAddr::V6(at.into()),
        };
        give(base, u8::try_from(bits - size).unwrap_or(0));
        let Some(next) = at.checked_add(1 << size) else {
            return;
        };
        at = next;
    }
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time of this thread: the system's count in ns, so that neighbours on the machine cost nothing.
pub fn thread_cpu() -> std::io::Result<Duration> {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let on_cpu = counts.split(' ').next().and_then(|n| n.parse().ok());
    on_cpu
        .map(Duration::from_nanos)
        .ok_or(ErrorKind::InvalidData.into())
}

/// CPU time of a process and all its threads, those that ended too, in steps of 10 ms; `self`: of this one.
pub fn process_cpu(pid: &str) -> std::io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold spaces; after it user and system time are the 12th and 13th fields.
    let ticks = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .skip(11)
        .take(2);
    let ticks: Option<u64> = ticks.map(|n| n.parse::<u64>().ok()).sum();
    ticks
        .map(|n| Duration::from_millis(n * 10))
        .ok_or(ErrorKind::InvalidData.into())
}

/// Memory of this process that is really there, in MB.
pub fn resident_mb() -> std::io::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0 / 1e6)
        .ok_or_else(|| Error::from(ErrorKind::InvalidData))
}
