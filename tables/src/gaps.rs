//! Address space without a value: of the space that can be routed at all, by /8 of IPv4 and in total.
//!
//! Law: what can't be routed in the internet (RFC 6890, multicast, class E) is no gap.

use crate::ranges::Range;
use crate::table::PrefixTable;

/// What is not routed: first and last address.
const UNROUTED: [(u32, u32); 15] = [
    (0x0000_0000, 0x00ff_ffff), // 0.0.0.0/8
    (0x0a00_0000, 0x0aff_ffff), // 10.0.0.0/8
    (0x6440_0000, 0x647f_ffff), // 100.64.0.0/10
    (0x7f00_0000, 0x7fff_ffff), // 127.0.0.0/8
    (0xa9fe_0000, 0xa9fe_ffff), // 169.254.0.0/16
    (0xac10_0000, 0xac1f_ffff), // 172.16.0.0/12
    (0xc000_0000, 0xc000_00ff), // 192.0.0.0/24
    (0xc000_0200, 0xc000_02ff), // 192.0.2.0/24
    (0xc058_6300, 0xc058_63ff), // 192.88.99.0/24
    (0xc0a8_0000, 0xc0a8_ffff), // 192.168.0.0/16
    (0xc612_0000, 0xc613_ffff), // 198.18.0.0/15
    (0xc633_6400, 0xc633_64ff), // 198.51.100.0/24
    (0xcb00_7100, 0xcb00_71ff), // 203.0.113.0/24
    (0xe000_0000, 0xefff_ffff), // 224.0.0.0/4
    (0xf000_0000, 0xffff_ffff), // 240.0.0.0/4
];
/// Global unicast, 2000::/3.
const V6_ROUTED: (u128, u128) = (0x2 << 124, (0x4 << 124) - 1);

/// How much of the space that can be routed has no value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gaps {
    /// Of all such IPv4 addresses.
    pub v4_share: f64,
    /// /8s by their first byte with the share of theirs that has no value, those with the largest first; without those that lack
    /// nothing.
    pub v4_blocks: Vec<(u8, f64)>,
    /// Of 2000::/3.
    pub v6_share: f64,
}

impl Gaps {
    /// Of a table.
    pub fn of(table: &PrefixTable) -> Gaps {
        let ranges = table.ranges();
        let (mut missing, mut routed, mut blocks) = (0, 0, Vec::new());
        for block in 0..=255_u8 {
            let (mut of_block, mut without) = (0, 0);
            for (first, last) in routed_in(block) {
                let size = u64::from(last - first) + 1;
                of_block += size;
                without += size - covered_v4(&ranges.v4, first, last);
            }
            routed += of_block;
            missing += without;
            if without > 0 {
                blocks.push((block, share(without as f64, of_block as f64), without));
            }
        }
        blocks.sort_by_key(|(block, _, without)| (std::cmp::Reverse(*without), *block));
        let (first, last) = V6_ROUTED;
        let covered: f64 = within(&ranges.v6, first, last)
            .map(|range| (range.last.min(last) - range.first.max(first)) as f64 + 1.0)
            .sum();
        Gaps {
            v4_share: share(missing as f64, routed as f64),
            v4_blocks: blocks
                .into_iter()
                .map(|(block, share, _)| (block, share))
                .collect(),
            v6_share: 1.0 - share(covered, (last - first) as f64 + 1.0),
        }
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// The parts of a /8 that can be routed.
fn routed_in(block: u8) -> Vec<(u32, u32)> {
    let (start, end) = (u32::from(block) << 24, u32::from(block) << 24 | 0x00ff_ffff);
    let (mut parts, mut from) = (Vec::new(), Some(start));
    for (first, last) in UNROUTED {
        let Some(at) = from.filter(|_| first <= end && last >= start) else {
            continue;
        };
        if first > at {
            parts.push((at, first - 1));
        }
        from = last.checked_add(1);
    }
    parts.extend(from.filter(|at| *at <= end).map(|at| (at, end)));
    parts
}

fn covered_v4(ranges: &[Range<u32>], first: u32, last: u32) -> u64 {
    within(ranges, first, last)
        .map(|range| u64::from(range.last.min(last) - range.first.max(first)) + 1)
        .sum()
}

/// The ranges that have a part of `first..=last`.
fn within<A: Ord + Copy>(
    ranges: &[Range<A>],
    first: A,
    last: A,
) -> impl Iterator<Item = &Range<A>> {
    let from = ranges.partition_point(|range| range.last < first);
    ranges[from..]
        .iter()
        .take_while(move |range| range.first <= last)
}

#[cfg(test)]
mod tests {
    use crate::{Gaps, Kind, Source, TableSet};

    fn gaps(text: &str) -> Gaps {
        let source = Source::Text("t", text.as_bytes());
        let (set, _) = TableSet::load_sources(&[(Kind::Asn, source)]).expect("a table");
        Gaps::of(&set.asn.expect("it"))
    }

    #[test]
    fn what_cannot_be_routed_is_no_gap() {
        let all = gaps("0.0.0.0/0,1\n::/0,1\n");
        assert_eq!(
            (all.v4_share, all.v4_blocks.len(), all.v6_share),
            (0.0, 0, 0.0)
        );
        // Half of 9.0.0.0/8, and of 192.0.0.0/8 all that is routed.
        let text = "0.0.0.0,9.127.255.255,1\n10.0.0.0,191.255.255.255,1\n193.0.0.0,255.255.255.255,1\n\
                    192.168.0.0/16,1\n3000::/4,1\n";
        let some = gaps(text);
        assert_eq!(some.v4_blocks, [(192, 1.0), (9, 0.5)]);
        assert!((some.v6_share - 0.5).abs() < 1e-12);
        let routed = 3_702_258_432.0 - 256.0;
        let of_192 = f64::from((1 << 24) - 65_536 - 3 * 256);
        let expected = (f64::from(1 << 23) + of_192) / routed;
        assert!(
            (some.v4_share - expected).abs() < 1e-6,
            "{} {expected}",
            some.v4_share
        );
    }
}
