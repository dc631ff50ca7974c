//! `PrefixTable`: one table compiled, IPv4 and IPv6, one address or a batch at a time.
//!
//! Law: equals the canonical ranges at every address. IPv4 addresses see only IPv4 rows, whatever IPv6 row
//! spans `::ffff:0:0/96`; the address `::`, which stands for an absent one, has no value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use crate::dir24::Dir24;
use crate::entry::Entry;
use crate::flat64::{BATCH, Flat64};
use crate::ranges::{Range, Ranges};

/// Addresses to values: about 70 MB for a million IPv4 prefixes, untouched pages of a small one excepted.
#[derive(Debug)]
pub struct PrefixTable {
    ranges: Ranges,
    v4: Dir24,
    v6: Flat64,
    pub(crate) digest: OnceLock<[u8; 32]>,
}

impl Default for PrefixTable {
    /// Without a value at any address.
    fn default() -> PrefixTable {
        PrefixTable::new(Ranges::default())
    }
}

impl PrefixTable {
    pub(crate) fn new(ranges: Ranges) -> PrefixTable {
        let (v4, v6) = (Dir24::new(&ranges.v4), Flat64::new(&ranges.v6));
        PrefixTable {
            ranges,
            v4,
            v6,
            digest: OnceLock::new(),
        }
    }

    pub(crate) fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// Number of merged ranges with a value.
    pub fn range_count(&self) -> usize {
        self.ranges.v4.len() + self.ranges.v6.len()
    }

    /// The merged range that holds an address, and its value.
    pub fn range_at(&self, address: &[u8; 16]) -> Option<TableRange> {
        let address = u128::from_be_bytes(*address);
        match as_v4(address) {
            Some(v4) => around(&self.ranges.v4, v4).map(TableRange::from),
            None if address == 0 => None,
            None => around(&self.ranges.v6, address).map(TableRange::from),
        }
    }

    /// All merged ranges, those of IPv4 first, ascending.
    pub fn iter(&self) -> impl Iterator<Item = TableRange> {
        let v4 = self.ranges.v4.iter().map(TableRange::from);
        v4.chain(self.ranges.v6.iter().map(TableRange::from))
    }

    /// The value at an address (16 bytes, IPv4 in `::ffff:0:0/96`); 0: none.
    pub fn lookup(&self, address: &[u8; 16]) -> u32 {
        let address = u128::from_be_bytes(*address);
        match as_v4(address) {
            Some(v4) => self
                .v4
                .resolve(self.v4.first_level(v4), v4, &self.ranges.v4),
            None if address == 0 => 0,
            None => self.v6.lookup(address, &self.ranges.v6),
        }
    }

    /// The values at all of `addresses`, into `out`: as `lookup` for each, arranged so that the
    /// cache misses of a batch can overlap.
    ///
    /// # Panics
    /// If the two are not of one length.
    pub fn lookup_batch(&self, addresses: &[[u8; 16]], out: &mut [u32]) {
        assert_eq!(
            addresses.len(),
            out.len(),
            "a batch has one place for each address"
        );
        for (addresses, out) in addresses.chunks(BATCH).zip(out.chunks_mut(BATCH)) {
            self.lookup_chunk(addresses, out);
        }
    }

    /// At most `BATCH` addresses: first all loads of the first level, which then overlap, then what is finer.
    fn lookup_chunk(&self, addresses: &[[u8; 16]], out: &mut [u32]) {
        let (mut v6, mut places, mut count) = ([0_u128; BATCH], [0_u8; BATCH], 0);
        for (i, (address, out)) in addresses.iter().zip(out.iter_mut()).enumerate() {
            let address = u128::from_be_bytes(*address);
            let v4 = as_v4(address);
            *out = self.v4.first_level(v4.unwrap_or(0));
            // Written always, counted only for IPv6: the mix of families is no pattern for a branch.
            v6[count] = address;
            places[count] = u8::try_from(i).unwrap_or(0);
            count += usize::from(v4.is_none());
        }
        for (address, out) in addresses.iter().zip(out.iter_mut()) {
            if !Entry::is_value(*out) {
                let [.., a, b, c, d] = *address;
                let v4 = u32::from_be_bytes([a, b, c, d]);
                *out = self.v4.resolve(*out, v4, &self.ranges.v4);
            }
        }
        if count > 0 {
            let mut values = [0; BATCH];
            self.v6
                .lookup_batch(&v6[..count], &self.ranges.v6, &mut values);
            for ((&place, &address), &value) in places.iter().zip(&v6[..count]).zip(&values) {
                out[usize::from(place)] = if address == 0 { 0 } else { value };
            }
        }
    }
}

/// A range with one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRange {
    /// First address.
    pub first: IpAddr,
    /// Last address.
    pub last: IpAddr,
    /// What it maps to.
    pub value: u32,
}

impl From<&Range<u32>> for TableRange {
    fn from(range: &Range<u32>) -> TableRange {
        TableRange {
            first: Ipv4Addr::from(range.first).into(),
            last: Ipv4Addr::from(range.last).into(),
            value: range.value,
        }
    }
}

impl From<&Range<u128>> for TableRange {
    fn from(range: &Range<u128>) -> TableRange {
        TableRange {
            first: Ipv6Addr::from(range.first).into(),
            last: Ipv6Addr::from(range.last).into(),
            value: range.value,
        }
    }
}

fn around<A: Ord + Copy>(ranges: &[Range<A>], address: A) -> Option<&Range<A>> {
    let at = ranges.partition_point(|range| range.last < address);
    ranges.get(at).filter(|range| range.first <= address)
}

/// The IPv4 address in a mapped one.
#[inline]
fn as_v4(address: u128) -> Option<u32> {
    if address >> 32 == 0xffff {
        u32::try_from(address & 0xffff_ffff).ok()
    } else {
        None
    }
}
