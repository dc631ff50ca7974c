//! What the tests of this folder share: a tiny job over maps, and readers of what a store holds.

// Each test file is a crate of its own and uses its part of this.
#![allow(dead_code)]

pub(crate) mod chaos;
pub(crate) mod given;
pub(crate) mod job;
pub(crate) mod raw_read_back;
pub(crate) mod reader;

/// A small generator, so that a printed seed repeats a run.
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
