//! Seeded chance: numbers below a bound, and a skewed choice.
//!
//! Law: only the seed decides; the order of draws is part of the generator's definition.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// A source of numbers.
#[derive(Clone, Debug)]
pub(super) struct Chance(Pcg64Mcg);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(Pcg64Mcg::seed_from_u64(seed))
    }

    /// A number below `bound`; 0 if that is 0.
    #[inline]
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number below `bound`.
    #[inline]
    pub(super) fn below_u32(&mut self, bound: u32) -> u32 {
        u32::try_from(self.below(u64::from(bound))).unwrap_or(0)
    }

    /// True `parts` times in a million.
    #[inline]
    pub(super) fn happens(&mut self, parts_per_million: u32) -> bool {
        parts_per_million > 0 && self.below_u32(1_000_000) < parts_per_million
    }

    /// One of the choices.
    #[inline]
    pub(super) fn one_of<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        let at = usize::try_from(self.below(choices.len() as u64)).unwrap_or(0);
        choices.get(at).copied().unwrap_or_default()
    }
}

/// Zipf's law by a table: the n-th is drawn in proportion to 1/n.
#[derive(Clone, Debug)]
pub(super) struct Skew(Vec<u16>);

/// Entries of the table: what is drawn more rarely than that is drawn once in so many.
const ENTRIES: usize = 4096;

impl Skew {
    /// Of `n` things; `None` for none.
    pub(super) fn zipf(n: usize) -> Option<Skew> {
        let n = u16::try_from(n.min(ENTRIES)).ok().filter(|n| *n > 0)?;
        let weight = |k: u16| 1.0 / (f64::from(k) + 1.0);
        let total: f64 = (0..n).map(weight).sum();
        // Everything once, so that the last ones occur too; then by weight until the table is full.
        let mut table: Vec<u16> = (0..n).collect();
        let room = (ENTRIES - table.len()) as f64;
        for k in 0..n {
            let share = (weight(k) / total * room).round() as usize;
            table.extend(std::iter::repeat_n(k, share.min(ENTRIES - table.len())));
        }
        Some(Skew(table))
    }

    #[inline]
    pub(super) fn draw(&self, chance: &mut Chance) -> usize {
        usize::from(chance.one_of(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_drawn_about_twice_as_often_as_the_second() {
        let (skew, mut chance) = (Skew::zipf(100).unwrap(), Chance::new(7));
        let mut drawn = [0_u32; 100];
        for _ in 0..200_000 {
            drawn[skew.draw(&mut chance)] += 1;
        }
        assert!(drawn.iter().all(|n| *n > 0));
        let ratio = f64::from(drawn[0]) / f64::from(drawn[1]);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
        assert!(Skew::zipf(0).is_none());
        assert!(Skew::zipf(1_000_000).is_some());
    }

    #[test]
    fn numbers_stay_below_their_bound_and_follow_the_seed() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (0..1000).map(|_| chance.below(10)).collect::<Vec<_>>()
        };
        assert!(draw(1).iter().all(|n| *n < 10));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(Chance::new(1).below(0), 0);
    }
}
