//! Two tables compared: where in the address space they differ.
//!
//! Law: a difference is one of values at addresses; how the rows are cut is none.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ranges::Range;
use crate::step::Step;
use crate::table::PrefixTable;

/// Adjoining addresses whose values differ in one way; 0: no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// First address.
    pub first: IpAddr,
    /// Last address.
    pub last: IpAddr,
    /// The value in the first table.
    pub before: u32,
    /// The value in the second table.
    pub after: u32,
}

impl Change {
    /// How many addresses it has, less one.
    pub fn span(&self) -> u128 {
        match (self.first, self.last) {
            (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(u32::from(b).saturating_sub(a.into())),
            (IpAddr::V6(a), IpAddr::V6(b)) => u128::from(b).saturating_sub(a.into()),
            _ => 0,
        }
    }
}

/// All that differs, ascending, IPv4 first. `same`: whether a value of the first table and one of the second are one.
pub fn changes(
    before: &PrefixTable,
    after: &PrefixTable,
    same: &dyn Fn(u32, u32) -> bool,
) -> Vec<Change> {
    let (a, b) = (before.ranges(), after.ranges());
    let v4 = differing(&a.v4, &b.v4, same)
        .into_iter()
        .map(|(first, last, before, after)| Change {
            first: Ipv4Addr::from(first).into(),
            last: Ipv4Addr::from(last).into(),
            before,
            after,
        });
    let v6 = differing(&a.v6, &b.v6, same)
        .into_iter()
        .map(|(first, last, before, after)| Change {
            first: Ipv6Addr::from(first).into(),
            last: Ipv6Addr::from(last).into(),
            before,
            after,
        });
    v4.chain(v6).collect()
}

/// Sweeps over the addresses at which a range of either table begins, or ends.
fn differing<A: Step>(
    a: &[Range<A>],
    b: &[Range<A>],
    same: &dyn Fn(u32, u32) -> bool,
) -> Vec<(A, A, u32, u32)> {
    let mut steps: BTreeMap<A, [Option<u32>; 2]> = BTreeMap::new();
    for (side, ranges) in [a, b].into_iter().enumerate() {
        for range in ranges {
            steps.entry(range.first).or_default()[side] = Some(range.value);
            if let Some(after) = range.last.next() {
                // What begins there says so itself, later.
                steps.entry(after).or_default()[side].get_or_insert(0);
            }
        }
    }
    let (mut out, mut open): (Vec<_>, Option<(A, [u32; 2])>) = (Vec::new(), None);
    let mut values = [0; 2];
    for (at, step) in steps {
        let before = values;
        for (value, new) in values.iter_mut().zip(step) {
            *value = new.unwrap_or(*value);
        }
        if values == before {
            continue;
        }
        if let Some((first, [a, b])) = open.take() {
            out.push((first, at.previous(), a, b));
        }
        let differs = match values {
            [0, 0] => false,
            [0, _] | [_, 0] => true,
            [a, b] => !same(a, b),
        };
        open = differs.then_some((at, values));
    }
    // Up to the end of the address space.
    if let Some((first, [x, y])) = open {
        let last = [a, b].into_iter().filter_map(|ranges| ranges.last());
        out.extend(
            last.map(|range| range.last)
                .max()
                .map(|last| (first, last, x, y)),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranges::of_values;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Painted back, they are what a comparison of each address says; values of one parity are the same.
        #[test]
        fn equals_address_by_address(pairs in prop::collection::vec((0_u32..4, 0_u32..4), 20)) {
            let (a, b): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
            let same = |x: u32, y: u32| x % 2 == y % 2;
            let found = differing(&of_values(&a), &of_values(&b), &same);
            let mut painted = vec![None; 20];
            for (first, last, x, y) in &found {
                for at in *first..=*last {
                    painted[(at - (u32::MAX - 19)) as usize] = Some((*x, *y));
                }
            }
            let expected: Vec<_> = pairs.iter().map(|&(x, y)| {
                let is_same = x == y || x != 0 && y != 0 && same(x, y);
                (!is_same).then_some((x, y))
            }).collect();
            prop_assert_eq!(painted, expected);
        }
    }
}
