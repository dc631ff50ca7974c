//! The few distributions that traffic needs, on a seeded generator.
//!
//! Written by hand: a crate of distributions is not bound to give the same numbers in its next version, and a seed
//! is to mean the same flows for years. Law: the same draws in the same order for the same seed.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// Seeded chance.
#[derive(Clone, Debug)]
pub(super) struct Chance(Pcg64Mcg);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(Pcg64Mcg::seed_from_u64(seed))
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform from 0 up to, not including, `bound` (at least 1).
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound.max(1));
        (product >> 64) as u64
    }

    /// Uniform in [0, 1).
    pub(super) fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True in that fraction of cases; draws nothing if it is 0.
    pub(super) fn happens(&mut self, fraction: f64) -> bool {
        fraction > 0.0 && self.fraction() < fraction
    }

    /// Pareto of shape 1.2 from 1 on: most are small, a few hold most of the sum.
    pub(super) fn pareto(&mut self, most: u64) -> u64 {
        ((1.0 - self.fraction()).powf(-1.0 / 1.2) as u64).clamp(1, most)
    }
}

/// Draws indexes with given weights.
#[derive(Clone, Debug)]
pub(super) struct Weighted(Vec<u64>);

impl Weighted {
    /// Zipf's law: the k-th of `count` has weight 1/k.
    pub(super) fn zipf(count: usize) -> Weighted {
        // 2^32 over k: sums of 2^20 of them stay far below 2^64.
        Weighted::new((1..=count as u64).map(|rank| (1 << 32) / rank))
    }

    pub(super) fn new(weights: impl Iterator<Item = u64>) -> Weighted {
        Weighted(
            weights
                .scan(0u64, |sum, weight| {
                    *sum += weight;
                    Some(*sum)
                })
                .collect(),
        )
    }

    /// An index; 0 if there are no weights.
    pub(super) fn draw(&self, chance: &mut Chance) -> usize {
        let at = chance.below(self.0.last().copied().unwrap_or(0));
        self.0.partition_point(|sum| *sum <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_is_zipf() {
        let (zipf, mut chance) = (Weighted::zipf(100), Chance::new(1));
        let mut seen = [0u32; 100];
        for _ in 0..1_000_000 {
            seen[zipf.draw(&mut chance)] += 1;
        }
        // The harmonic number of 100 is 5.187: the first has 19.28 %, the tenth a tenth of that.
        assert!((191_000..194_600).contains(&seen[0]), "{}", seen[0]);
        assert!((18_500..20_100).contains(&seen[9]), "{}", seen[9]);
        assert!(seen[99] > 1_500);
    }

    #[test]
    fn pareto_is_skewed_and_bounded() {
        let mut chance = Chance::new(2);
        let drawn: Vec<u64> = (0..100_000).map(|_| chance.pareto(10_000)).collect();
        assert!(drawn.iter().all(|n| (1..=10_000).contains(n)));
        let small = drawn.iter().filter(|n| **n < 3).count();
        assert!((68_000..78_000).contains(&small), "{small}");
    }
}
