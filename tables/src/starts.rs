//! A search tree over sorted numbers: which of them is the last that is not above a given one.
//!
//! Wide nodes in arrays, level by level, each level holding the first number of every node of the next. An index by
//! address bits would be uneven, since registries hand out /48s densely in a few /32s; this is as deep everywhere and has
//! no branch to mispredict. The searches of a batch go down in step, so that their cache misses overlap.

/// Numbers in a node: one cache line.
const FAN: usize = 8;

/// Sorted numbers, filled up with the highest.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Node([u64; FAN]);

impl Node {
    /// How many of its numbers are not above `number`.
    #[inline]
    fn rank(&self, number: u64) -> usize {
        self.0.iter().map(|&n| usize::from(n <= number)).sum()
    }
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Starts {
    /// From the top, which is one node, to the numbers themselves; with each level, the place of its last number.
    levels: Vec<(Vec<Node>, usize)>,
}

impl Starts {
    /// Of sorted numbers, the first of which is 0.
    pub(crate) fn new(mut numbers: Vec<u64>) -> Starts {
        let mut levels = Vec::new();
        loop {
            let nodes: Vec<Node> = numbers
                .chunks(FAN)
                .map(|chunk| {
                    let mut node = Node([u64::MAX; FAN]);
                    node.0[..chunk.len()].copy_from_slice(chunk);
                    node
                })
                .collect();
            let firsts = nodes.iter().map(|node| node.0[0]).collect();
            let is_top = nodes.len() <= 1;
            levels.push((nodes, numbers.len().saturating_sub(1)));
            if is_top {
                break;
            }
            numbers = firsts;
        }
        levels.reverse();
        Starts { levels }
    }

    /// The place of the last number that is not above `number`.
    #[inline]
    pub(crate) fn find(&self, number: u64) -> usize {
        let step = |at: usize, (nodes, last): &(Vec<Node>, usize)| below(at, nodes, *last, number);
        self.levels.iter().fold(0, step)
    }

    /// As `find` for each of `numbers`; `places` are as many, and 0.
    pub(crate) fn find_batch(&self, numbers: &[u64], places: &mut [usize]) {
        for (nodes, last) in &self.levels {
            for (at, &number) in places.iter_mut().zip(numbers) {
                *at = below(*at, nodes, *last, number);
            }
        }
    }
}

/// From node `at` of a level to the place in the level. What fills a node up ranks below the highest number only.
#[inline]
fn below(at: usize, nodes: &[Node], last: usize, number: u64) -> usize {
    (at * FAN + nodes[at].rank(number))
        .saturating_sub(1)
        .min(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn finds_what_a_scan_finds(
            drawn in prop::collection::btree_set(prop_oneof![0_u64..400, any::<u64>(), Just(u64::MAX)], 0..700),
            others in prop::collection::vec(any::<u64>(), 0..20),
        ) {
            let mut numbers = vec![0];
            numbers.extend(drawn.into_iter().filter(|&n| n > 0));
            let starts = Starts::new(numbers.clone());
            let beside = numbers.iter().flat_map(|&n| [n.saturating_sub(1), n, n.saturating_add(1)]);
            let asked: Vec<u64> = beside.chain(others).collect();
            let mut places = vec![0; asked.len()];
            starts.find_batch(&asked, &mut places);
            for (&number, &place) in asked.iter().zip(&places) {
                let expected = numbers.iter().rposition(|&n| n <= number).unwrap();
                prop_assert_eq!((starts.find(number), place), (expected, expected), "{}", number);
            }
        }
    }
}
