//! IPv6 look-up: sorted ranges of /64s, found through an index over the used part of the address space.
//!
//! Routed prefixes are /64 or shorter, so 8 bytes an entry suffice; a /64 that is split finer leads to its
//! slice of the canonical ranges. Searches of a batch go in step, so that their cache misses overlap.

use crate::entry::{Entry, LargeValues};
use crate::ranges::Range;

/// Most buckets of the index: 4 MiB.
const MOST_BUCKETS: u64 = 1 << 20;
/// Look-ups in step.
pub(crate) const BATCH: usize = 64;

/// The compiled form of disjoint IPv6 ranges.
#[derive(Debug)]
pub(crate) struct Flat64 {
    /// First /64 of each piece; the first piece starts at 0, and pieces without a value stand here too.
    starts: Vec<u64>,
    /// What the piece holds.
    entries: Vec<u32>,
    /// For a /64 that is split finer: its slice of the canonical ranges.
    mixed: Vec<(u32, u32)>,
    large: LargeValues,
    /// Where the index begins, and how many low bits of the distance from there it ignores.
    base: u64,
    shift: u32,
    /// The piece in which each bucket begins, and the last piece at the end.
    index: Vec<u32>,
}

impl Flat64 {
    pub(crate) fn new(ranges: &[Range<u128>]) -> Flat64 {
        let mut table = Flat64 {
            starts: vec![0],
            entries: vec![0],
            mixed: Vec::new(),
            large: LargeValues::default(),
            base: 0,
            shift: 0,
            index: Vec::new(),
        };
        for (i, range) in ranges.iter().enumerate() {
            table.add(i, range);
        }
        table.starts.shrink_to_fit();
        table.entries.shrink_to_fit();
        table.build_index();
        table
    }

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

    fn build_index(&mut self) {
        let pieces = self.starts.len();
        self.base = self.starts.get(1).copied().unwrap_or(0);
        let span = self.starts[pieces - 1] - self.base.min(self.starts[pieces - 1]);
        let wanted = u64::try_from(pieces)
            .unwrap_or(MOST_BUCKETS)
            .saturating_mul(4)
            .min(MOST_BUCKETS);
        while span >> self.shift >= wanted {
            self.shift += 1;
        }
        let mut piece = 0;
        for bucket in 0..=span >> self.shift {
            let begin = self.base + (bucket << self.shift);
            while self
                .starts
                .get(piece + 1)
                .is_some_and(|&start| start <= begin)
            {
                piece += 1;
            }
            self.index.push(u32::try_from(piece).unwrap_or(u32::MAX));
        }
        // Addresses below the base fall into the first bucket as well.
        self.index[0] = 0;
        self.index
            .push(u32::try_from(pieces - 1).unwrap_or(u32::MAX));
    }

    /// The pieces among which that of `slash64` is: the first, and how many.
    #[inline]
    fn bucket(&self, slash64: u64) -> (u32, u32) {
        let bucket = slash64.saturating_sub(self.base) >> self.shift;
        let bucket = usize::try_from(bucket)
            .unwrap_or(usize::MAX)
            .min(self.index.len() - 2);
        let (first, last) = (self.index[bucket], self.index[bucket + 1]);
        (first, last - first + 1)
    }

    /// One step of the search: halves the number of pieces. With one piece left it changes nothing.
    #[inline]
    fn step(&self, slash64: u64, at: u32, count: u32) -> (u32, u32) {
        let half = count / 2;
        let middle = at + half;
        (
            if self.starts[middle as usize] <= slash64 {
                middle
            } else {
                at
            },
            count - half,
        )
    }

    fn resolve(&self, piece: u32, address: u128, ranges: &[Range<u128>]) -> u32 {
        match Entry::of(self.entries[piece as usize]) {
            Entry::Value(value) => value,
            Entry::Large(index) => self.large.get(index),
            Entry::Finer(slice) => {
                let (from, to) = self.mixed[slice as usize];
                let slice = &ranges[from as usize..to as usize];
                let at = slice.partition_point(|range| range.last < address);
                slice
                    .get(at)
                    .filter(|range| range.first <= address)
                    .map_or(0, |range| range.value)
            }
        }
    }

    /// The value at an address; 0: none. `ranges` are those the table was made of.
    pub(crate) fn lookup(&self, address: u128, ranges: &[Range<u128>]) -> u32 {
        let slash64 = high(address);
        let (mut at, mut count) = self.bucket(slash64);
        while count > 1 {
            (at, count) = self.step(slash64, at, count);
        }
        self.resolve(at, address, ranges)
    }

    /// The values at up to `BATCH` addresses.
    pub(crate) fn lookup_batch(
        &self,
        addresses: &[u128],
        ranges: &[Range<u128>],
        out: &mut [u32; BATCH],
    ) {
        let mut found = [(0, 1); BATCH];
        let mut longest = 1;
        for (found, &address) in found.iter_mut().zip(addresses) {
            *found = self.bucket(high(address));
            longest = longest.max(found.1);
        }
        while longest > 1 {
            for ((at, count), &address) in found.iter_mut().zip(addresses) {
                (*at, *count) = self.step(high(address), *at, *count);
            }
            longest -= longest / 2;
        }
        for ((out, &(at, _)), &address) in out.iter_mut().zip(&found).zip(addresses) {
            *out = self.resolve(at, address, ranges);
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
