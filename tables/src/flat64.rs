//! IPv6 look-up: sorted ranges of /64s, found through a tree of their starts.
//!
//! Routed prefixes are /64 or shorter, so 8 bytes an entry suffice; a /64 that is split finer leads to its
//! slice of the canonical ranges.

use crate::entry::{Entry, LargeValues};
use crate::ranges::{Range, value_at};
use crate::starts::Starts;

/// Look-ups in step.
pub(crate) const BATCH: usize = 64;

/// The compiled form of disjoint IPv6 ranges.
#[derive(Debug)]
pub(crate) struct Flat64 {
    /// First /64 of each piece; the first piece starts at 0, and pieces without a value stand here too.
    starts: Starts,
    /// What the piece holds.
    entries: Vec<u32>,
    /// For a /64 that is split finer: its slice of the canonical ranges.
    mixed: Vec<(u32, u32)>,
    large: LargeValues,
}

impl Flat64 {
    pub(crate) fn new(ranges: &[Range<u128>]) -> Flat64 {
        let mut pieces = Pieces {
            starts: vec![0],
            entries: vec![0],
            mixed: Vec::new(),
            large: LargeValues::default(),
        };
        for (i, range) in ranges.iter().enumerate() {
            pieces.add(i, range);
        }
        pieces.entries.shrink_to_fit();
        Flat64 {
            starts: Starts::new(pieces.starts),
            entries: pieces.entries,
            mixed: pieces.mixed,
            large: pieces.large,
        }
    }

    fn resolve(&self, piece: usize, address: u128, ranges: &[Range<u128>]) -> u32 {
        match Entry::of(self.entries[piece]) {
            Entry::Value(value) => value,
            Entry::Large(index) => self.large.get(index),
            Entry::Finer(slice) => {
                let (from, to) = self.mixed[slice as usize];
                value_at(&ranges[from as usize..to as usize], address)
            }
        }
    }

    /// The value at an address; 0: none. `ranges` are those the table was made of.
    pub(crate) fn lookup(&self, address: u128, ranges: &[Range<u128>]) -> u32 {
        self.resolve(self.starts.find(high(address)), address, ranges)
    }

    /// The values at up to `BATCH` addresses.
    pub(crate) fn lookup_batch(
        &self,
        addresses: &[u128],
        ranges: &[Range<u128>],
        out: &mut [u32; BATCH],
    ) {
        let (mut slash64s, mut pieces) = ([0; BATCH], [0; BATCH]);
        for (slash64, &address) in slash64s.iter_mut().zip(addresses) {
            *slash64 = high(address);
        }
        let count = addresses.len();
        self.starts
            .find_batch(&slash64s[..count], &mut pieces[..count]);
        for ((out, &piece), &address) in out.iter_mut().zip(&pieces).zip(addresses) {
            *out = self.resolve(piece, address, ranges);
        }
    }
}

/// The pieces while they are made, range by range.
struct Pieces {
    starts: Vec<u64>,
    entries: Vec<u32>,
    mixed: Vec<(u32, u32)>,
    large: LargeValues,
}

impl Pieces {
    /// Appends the pieces of canonical range `i`: a split /64 at either end, whole ones between.
    fn add(&mut self, i: usize, range: &Range<u128>) {
        let (mut first, last) = (high(range.first), high(range.last));
        let (head, tail) = (low(range.first) != 0, low(range.last) != u64::MAX);
        if head || (tail && first == last) {
            self.mix(first, i);
            if first == last {
                return;
            }
            first += 1;
        }
        if !tail || first < last {
            let entry = self.large.entry(range.value);
            self.piece(first, entry);
            self.end_after(if tail { last - 1 } else { last });
        }
        if tail {
            self.mix(last, i);
        }
    }

    /// Range `i` holds a part of this /64.
    fn mix(&mut self, slash64: u64, i: usize) {
        let i = u32::try_from(i).unwrap_or(u32::MAX);
        let at = self.starts.partition_point(|&start| start < slash64);
        if let (Some(&start), Some(&entry)) = (self.starts.get(at), self.entries.get(at))
            && start == slash64
            && let Entry::Finer(slice) = Entry::of(entry)
        {
            self.mixed[slice as usize].1 = i + 1;
            return;
        }
        self.mixed.push((i, i + 1));
        self.piece(slash64, Entry::finer(self.mixed.len() - 1));
        self.end_after(slash64);
    }

    /// Starts a piece at or above the start of the last one.
    fn piece(&mut self, start: u64, entry: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.entries.pop();
        }
        self.starts.push(start);
        self.entries.push(entry);
    }

    /// What follows `last` has no value, until a piece starts there.
    fn end_after(&mut self, last: u64) {
        if let Some(next) = last.checked_add(1) {
            self.piece(next, 0);
        }
    }
}

#[inline]
fn high(address: u128) -> u64 {
    (address >> 64) as u64
}

#[inline]
fn low(address: u128) -> u64 {
    (address & u128::from(u64::MAX)) as u64
}
