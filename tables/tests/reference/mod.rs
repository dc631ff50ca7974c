//! What a table ought to say: `prefix-trie` for prefixes, painted ranges for everything; no code of the crate.

// Each test file takes from here what it needs.
#![allow(dead_code, unreachable_pub)]
// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

pub mod asked;
pub mod files;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow_tables::{Kind, PrefixTable, Source, TableSet};
use prefix_trie::PrefixMap;

/// An address as the table takes it.
pub fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
        IpAddr::V6(a) => a.octets(),
    }
}

/// IPv4 address by number.
pub fn v4(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(n))
}

/// IPv6 address by number.
pub fn v6(n: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(n))
}

/// The AS table of a text.
pub fn asn_table(text: &str) -> std::sync::Arc<PrefixTable> {
    let (set, _) = TableSet::load_sources(&[(Kind::Asn, Source::Text("test", text.as_bytes()))])
        .expect("the test's own table loads");
    set.asn.expect("an AS table")
}

/// Longest-prefix match by `prefix-trie`.
#[derive(Default)]
pub struct Trie {
    v4: PrefixMap<(u32, u8), u32>,
    v6: PrefixMap<(u128, u8), u32>,
}

impl Trie {
    pub fn insert(&mut self, base: IpAddr, length: u8, value: u32) {
        match base {
            IpAddr::V4(a) => self.v4.insert((a.into(), length), value),
            IpAddr::V6(a) => self.v6.insert((a.into(), length), value),
        };
    }

    pub fn lookup(&self, address: IpAddr) -> u32 {
        let value = match address {
            IpAddr::V4(a) => self.v4.get_lpm(&(a.into(), 32)).map(|(_, v)| *v),
            IpAddr::V6(a) => self.v6.get_lpm(&(a.into(), 128)).map(|(_, v)| *v),
        };
        value.unwrap_or(0)
    }

    /// Inserts a range as the fewest prefixes that make it up.
    pub fn insert_range(&mut self, first: u128, last: u128, is_v4: bool, value: u32) {
        let bits = if is_v4 { 32 } else { 128 };
        let mut at = first;
        loop {
            // The largest prefix that begins here and ends in the range.
            let aligned = at.trailing_zeros().min(bits);
            let size = (0..=aligned)
                .rev()
                .find(|&n| {
                    n < 128 && (1_u128 << n) - 1 <= last - at || n == 128 && last - at == u128::MAX
                })
                .unwrap();
            let length = u8::try_from(bits - size).unwrap();
            let base = if is_v4 {
                v4(u32::try_from(at).unwrap())
            } else {
                v6(at)
            };
            self.insert(base, length, value);
            match u128::MAX
                .checked_shr(128 - size)
                .unwrap_or(0)
                .checked_add(1)
                .and_then(|n| at.checked_add(n))
            {
                Some(next) if next <= last => at = next,
                _ => break,
            }
        }
    }
}

/// One family as a wall that rows are painted on one after the other: the later row covers.
#[derive(Default)]
pub struct Wall(BTreeMap<u128, (u128, u32)>);

impl Wall {
    pub fn paint(&mut self, first: u128, last: u128, value: u32) {
        let mut cut = Vec::new();
        if let Some((&f, &(l, v))) = self.0.range(..first).next_back()
            && l >= first
        {
            cut.push((f, l, v));
        }
        cut.extend(self.0.range(first..=last).map(|(&f, &(l, v))| (f, l, v)));
        for (f, l, v) in cut {
            self.0.remove(&f);
            if f < first {
                self.0.insert(f, (first - 1, v));
            }
            if l > last {
                self.0.insert(last + 1, (l, v));
            }
        }
        self.0.insert(first, (last, value));
    }

    pub fn lookup(&self, at: u128) -> u32 {
        self.0
            .range(..=at)
            .next_back()
            .filter(|(_, (last, _))| *last >= at)
            .map_or(0, |(_, (_, v))| *v)
    }

    /// First and last address and value of every piece that is to be seen.
    pub fn pieces(&self) -> impl Iterator<Item = (u128, u128, u32)> + '_ {
        self.0
            .iter()
            .map(|(&first, &(last, value))| (first, last, value))
    }

    /// Every first and last address, and those beside.
    pub fn edges(&self) -> impl Iterator<Item = u128> + '_ {
        self.0.iter().flat_map(|(&first, &(last, _))| {
            [first.saturating_sub(1), first, last, last.saturating_add(1)]
        })
    }
}
