//! Several sources of one kind: an address has the value of the first source that has one.
//!
//! Law: the order of sources is an order of preference, whatever their rows' widths are.

use crate::ranges::{Range, Ranges, append};
use crate::step::Step;

/// `preferred`, and of `other` what is not covered by it.
pub(crate) fn overlay(preferred: &Ranges, other: &Ranges) -> Ranges {
    Ranges {
        v4: over(&preferred.v4, &other.v4),
        v6: over(&preferred.v6, &other.v6),
    }
}

fn over<A: Step>(preferred: &[Range<A>], other: &[Range<A>]) -> Vec<Range<A>> {
    let mut out = Vec::with_capacity(preferred.len() + other.len());
    let mut preferred = preferred.iter().copied().peekable();
    for range in other {
        let mut from = Some(range.first);
        while let Some(first) = from {
            while let Some(before) = preferred.next_if(|p| p.last < first) {
                append(&mut out, before);
            }
            let covers = preferred.peek().filter(|p| p.first <= range.last).copied();
            let free_to = match covers {
                Some(p) if p.first <= first => None,
                Some(p) => Some(p.first.previous()),
                None => Some(range.last),
            };
            if let Some(last) = free_to {
                append(
                    &mut out,
                    Range {
                        first,
                        last,
                        ..*range
                    },
                );
            }
            // One that goes on beyond this range stays for the next.
            from = covers
                .and_then(|p| p.last.next())
                .filter(|after| *after <= range.last);
        }
    }
    preferred.for_each(|range| append(&mut out, range));
    out.shrink_to_fit();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranges::of_values;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn equals_address_by_address(
            pairs in prop::collection::vec((0_u32..3, 0_u32..3), 30),
        ) {
            let (a, b): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
            let both: Vec<u32> = pairs.iter().map(|(a, b)| if *a != 0 { *a } else { *b }).collect();
            prop_assert_eq!(over(&of_values(&a), &of_values(&b)), of_values(&both));
        }
    }
}
