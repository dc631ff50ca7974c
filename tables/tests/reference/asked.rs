//! Addresses to ask for: every border with its neighbours, and as many others as wanted, close to borders and far.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// First and last addresses of a table's rows in one family, sorted.
pub struct Borders {
    sorted: Vec<u128>,
    /// The highest address of the family.
    top: u128,
}

impl Borders {
    pub fn new(mut borders: Vec<u128>, is_v4: bool) -> Borders {
        borders.sort_unstable();
        borders.dedup();
        let top = if is_v4 {
            u128::from(u32::MAX)
        } else {
            u128::MAX
        };
        Borders {
            sorted: borders,
            top,
        }
    }

    pub fn is_v4(&self) -> bool {
        self.top == u128::from(u32::MAX)
    }

    /// Each border, and the addresses one below and one above.
    pub fn neighbours(&self) -> impl Iterator<Item = u128> + '_ {
        self.sorted
            .iter()
            .flat_map(|&a| [a.saturating_sub(1), a, a.saturating_add(1).min(self.top)])
    }

    /// Of four addresses one within 4 of a border, one in its /24 or /48, one in its /8 or /24, one anywhere.
    pub fn draw(&self, random: &mut Pcg64Mcg) -> u128 {
        let bits = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
        let near = self.sorted[random.next_u64() as usize % self.sorted.len()];
        let free = match (random.next_u32() % 4, self.is_v4()) {
            (0, _) => 2,
            (1, true) => 8,
            (1, false) => 80,
            (2, true) => 24,
            (2, false) => 104,
            (_, true) => 32,
            (_, false) => 125,
        };
        // Anywhere in IPv6 is where addresses are given out: 2000::/3 of most borders.
        near ^ (bits & ((1 << free) - 1))
    }
}
