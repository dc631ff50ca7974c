//! IPv4 look-up: one entry per /24 (DIR-24-8, Gupta, Lin and McKeown 1998), blocks of 256 for those split finer.
//!
//! Nearly every look-up is one load. The 64 MiB of the first level come zeroed from the system, so a small
//! table touches only the pages of its own ranges.

use crate::entry::{Entry, LargeValues};
use crate::ranges::Range;

const TOP: usize = 1 << 24;

/// The compiled form of disjoint IPv4 ranges.
#[derive(Debug)]
pub(crate) struct Dir24 {
    top: Vec<u32>,
    blocks: Vec<u32>,
    large: LargeValues,
}

impl Dir24 {
    pub(crate) fn new(ranges: &[Range<u32>]) -> Dir24 {
        let mut table = Dir24 {
            top: vec![0; TOP],
            blocks: Vec::new(),
            large: LargeValues::default(),
        };
        for range in ranges {
            let entry = table.large.entry(range.value);
            let (first, last) = (range.first >> 8, range.last >> 8);
            if first == last {
                table.fill(first, range.first & 255, range.last & 255, entry);
            } else {
                table.fill(first, range.first & 255, 255, entry);
                table.top[first as usize + 1..last as usize].fill(entry);
                table.fill(last, 0, range.last & 255, entry);
            }
        }
        table.blocks.shrink_to_fit();
        table
    }

    /// Sets addresses `from..=to` of one /24. Ranges are disjoint, so what is not split yet has no value.
    fn fill(&mut self, slash24: u32, from: u32, to: u32, entry: u32) {
        let slot = &mut self.top[slash24 as usize];
        if (from, to) == (0, 255) {
            *slot = entry;
            return;
        }
        let block = match Entry::of(*slot) {
            Entry::Finer(block) => block as usize,
            Entry::Value(_) | Entry::Large(_) => {
                let block = self.blocks.len() / 256;
                *slot = Entry::finer(block);
                self.blocks.resize(self.blocks.len() + 256, 0);
                block
            }
        };
        let start = block * 256;
        self.blocks[start + from as usize..=start + to as usize].fill(entry);
    }

    /// First step: the entry of the address's /24.
    #[inline]
    pub(crate) fn first_level(&self, address: u32) -> u32 {
        self.top[(address >> 8) as usize]
    }

    /// Second step: the value behind an entry.
    #[inline]
    pub(crate) fn resolve(&self, entry: u32, address: u32) -> u32 {
        match Entry::of(entry) {
            Entry::Value(value) => value,
            Entry::Large(index) => self.large.get(index),
            Entry::Finer(block) => {
                match Entry::of(self.blocks[block as usize * 256 + (address & 255) as usize]) {
                    Entry::Large(index) => self.large.get(index),
                    Entry::Value(value) | Entry::Finer(value) => value,
                }
            }
        }
    }
}
