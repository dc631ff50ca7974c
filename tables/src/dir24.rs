//! IPv4 look-up: one entry per /24 (DIR-24-8, Gupta, Lin and McKeown 1998), blocks of 256 for those split finer.
//!
//! Nearly every look-up is one load. The 64 MiB of the first level come zeroed from the system, so a small
//! table touches only the pages of its own ranges.
//!
//! Law: memory is bounded by the number of ranges, also where each of them splits a /24 of its own (a table of hosts,
//! not of routes): beyond `MOST_BLOCKS` a /24 leads to its slice of the canonical ranges.

use std::ops::RangeInclusive;

use crate::entry::{Entry, LargeValues};
use crate::ranges::{Range, value_at};

const TOP: usize = 1 << 24;
/// Blocks of 256: 128 MiB. Routing tables have some 10,000, as routes are seldom longer than /24.
const MOST_BLOCKS: usize = 1 << 17;

/// The compiled form of disjoint IPv4 ranges.
#[derive(Debug)]
pub(crate) struct Dir24 {
    top: Vec<u32>,
    blocks: Vec<u32>,
    /// For /24s beyond `MOST_BLOCKS`: their ranges, from and to.
    slices: Vec<(u32, u32)>,
    large: LargeValues,
}

impl Dir24 {
    pub(crate) fn new(ranges: &[Range<u32>]) -> Dir24 {
        let mut table = Dir24 {
            top: vec![0; TOP],
            blocks: Vec::new(),
            slices: Vec::new(),
            large: LargeValues::default(),
        };
        for (i, range) in (0..).zip(ranges) {
            let entry = table.large.entry(range.value);
            let (first, last) = (range.first >> 8, range.last >> 8);
            if first == last {
                table.fill(i, range.first..=range.last, entry);
            } else {
                table.fill(i, range.first..=first << 8 | 255, entry);
                table.top[first as usize + 1..last as usize].fill(entry);
                table.fill(i, last << 8..=range.last, entry);
            }
        }
        table.blocks.shrink_to_fit();
        table
    }

    /// Sets addresses of one /24, which are of range `i`. Ranges are disjoint, so what is not split yet has no value.
    fn fill(&mut self, i: u32, addresses: RangeInclusive<u32>, entry: u32) {
        let (from, to) = (addresses.start() & 255, addresses.end() & 255);
        let slot = &mut self.top[(addresses.start() >> 8) as usize];
        if (from, to) == (0, 255) {
            *slot = entry;
            return;
        }
        let block = match Entry::of(*slot) {
            Entry::Finer(block) => block as usize,
            Entry::Value(_) | Entry::Large(_) if self.blocks.len() < MOST_BLOCKS * 256 => {
                let block = self.blocks.len() / 256;
                *slot = Entry::finer(block);
                self.blocks.resize(self.blocks.len() + 256, 0);
                block
            }
            Entry::Value(_) | Entry::Large(_) => {
                let block = MOST_BLOCKS + self.slices.len();
                *slot = Entry::finer(block);
                self.slices.push((i, i));
                block
            }
        };
        match block.checked_sub(MOST_BLOCKS) {
            Some(slice) => self.slices[slice].1 = i + 1,
            None => self.blocks[block * 256..][from as usize..=to as usize].fill(entry),
        }
    }

    /// First step: the entry of the address's /24.
    #[inline]
    pub(crate) fn first_level(&self, address: u32) -> u32 {
        self.top[(address >> 8) as usize]
    }

    /// Second step: the value behind an entry. `ranges` are those the table was made of.
    #[inline]
    pub(crate) fn resolve(&self, entry: u32, address: u32, ranges: &[Range<u32>]) -> u32 {
        match Entry::of(entry) {
            Entry::Value(value) => value,
            Entry::Large(index) => self.large.get(index),
            Entry::Finer(block) => self.resolve_finer(block as usize, address, ranges),
        }
    }

    fn resolve_finer(&self, block: usize, address: u32, ranges: &[Range<u32>]) -> u32 {
        if let Some(slice) = block.checked_sub(MOST_BLOCKS) {
            let (from, to) = self.slices[slice];
            return value_at(&ranges[from as usize..to as usize], address);
        }
        match Entry::of(self.blocks[block * 256 + (address & 255) as usize]) {
            Entry::Large(index) => self.large.get(index),
            Entry::Value(value) | Entry::Finer(value) => value,
        }
    }
}
