//! The canonical form of a table: sorted, disjoint, merged ranges with a value, IPv4 and IPv6 apart.
//!
//! Published tables hold nested and even half-overlapping rows. At any address the covering row that starts
//! last wins; of those with one start the narrower; of those with one range the later in the file. Of nested
//! rows, as prefixes always are, that is the inner one; of others the later in a sorted file, as publishers'
//! own tools have it.
//!
//! Law: the form depends only on what each address maps to.

use crate::parse::Family;
use crate::step::Step;

/// A row: an inclusive range of one family and its value; 0: no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) first: u128,
    pub(crate) last: u128,
    pub(crate) value: u32,
    /// Where it stands in its source.
    pub(crate) line: u32,
    pub(crate) family: Family,
}

/// An inclusive range and its value, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range<A> {
    pub(crate) first: A,
    pub(crate) last: A,
    pub(crate) value: u32,
}

/// A table in canonical form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    pub(crate) v4: Vec<Range<u32>>,
    pub(crate) v6: Vec<Range<u128>>,
}

/// How the rows of one source lie to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lie {
    /// Neighbours in sorted order that give one range two values.
    pub(crate) contradictions: u64,
    /// Rows inside another one.
    pub(crate) nested: u64,
    /// Rows that begin inside another one and end after it.
    pub(crate) overlaps: u64,
}

impl Ranges {
    /// From the rows of one source, in its order.
    pub(crate) fn new(rows: Vec<Row>) -> (Ranges, Lie) {
        let (v4, v6): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|r| r.family == Family::V4);
        let ((v4, in_v4), (v6, in_v6)) = (flatten(v4), flatten(v6));
        let v4 = v4.into_iter().map(|r| Range {
            first: low(r.first),
            last: low(r.last),
            value: r.value,
        });
        let lie = Lie {
            contradictions: in_v4.contradictions + in_v6.contradictions,
            nested: in_v4.nested + in_v6.nested,
            overlaps: in_v4.overlaps + in_v6.overlaps,
        };
        (
            Ranges {
                v4: v4.collect(),
                v6,
            },
            lie,
        )
    }

    /// Whether the ranges, which came from outside, keep the form's law.
    pub(crate) fn is_canonical(&self) -> bool {
        is_canonical(&self.v4) && is_canonical(&self.v6)
    }

    /// All values, in the order of their addresses.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        let v4 = self.v4.iter_mut().map(|range| &mut range.value);
        v4.chain(self.v6.iter_mut().map(|range| &mut range.value))
    }

    /// How many distinct values there are.
    pub(crate) fn distinct_values(&self) -> usize {
        let v4 = self.v4.iter().map(|range| range.value);
        let mut values: Vec<u32> = v4.chain(self.v6.iter().map(|range| range.value)).collect();
        values.sort_unstable();
        values.dedup();
        values.len()
    }

    /// Addresses with a value, of IPv4 and of IPv6.
    pub(crate) fn covered(&self) -> (u64, u128) {
        let v4 = self
            .v4
            .iter()
            .map(|range| u64::from(range.last - range.first) + 1);
        let v6 = self
            .v6
            .iter()
            .map(|range| (range.last - range.first).saturating_add(1));
        (v4.sum(), v6.fold(0, u128::saturating_add))
    }
}

/// The value at an address in a slice of canonical ranges; 0: none.
pub(crate) fn value_at<A: Copy + Ord>(ranges: &[Range<A>], address: A) -> u32 {
    let at = ranges.partition_point(|range| range.last < address);
    ranges
        .get(at)
        .filter(|range| range.first <= address)
        .map_or(0, |range| range.value)
}

/// Sorted, disjoint, with values, and no two neighbours that ought to be one.
fn is_canonical<A: Step>(ranges: &[Range<A>]) -> bool {
    let apart = |a: &Range<A>, b: &Range<A>| {
        a.last < b.first && !(a.value == b.value && a.last.next() == Some(b.first))
    };
    ranges
        .iter()
        .all(|range| range.first <= range.last && range.value != 0)
        && ranges.windows(2).all(|pair| apart(&pair[0], &pair[1]))
}

/// The low 32 bits.
fn low(address: u128) -> u32 {
    u32::try_from(address & 0xffff_ffff).unwrap_or(0)
}

/// Sweeps over the rows by start. Since the row that starts last wins, those that cover the current address
/// form a stack whose top wins.
fn flatten(mut rows: Vec<Row>) -> (Vec<Range<u128>>, Lie) {
    rows.sort_by_key(|row| (row.first, std::cmp::Reverse(row.last)));
    let lie = lie(&rows);
    let mut rows = rows.into_iter().peekable();
    let (mut open, mut out): (Vec<Row>, _) = (Vec::new(), Vec::new());
    let mut at = 0;
    loop {
        if let Some(row) = rows.next_if(|row| row.first <= at || open.is_empty()) {
            at = row.first;
            open.push(row);
            continue;
        }
        let Some(&top) = open.last() else { break };
        if top.last < at {
            open.pop();
            continue;
        }
        let end = match rows.peek() {
            Some(next) if next.first <= top.last => next.first - 1,
            _ => top.last,
        };
        append(
            &mut out,
            Range {
                first: at,
                last: end,
                value: top.value,
            },
        );
        match end.checked_add(1) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.shrink_to_fit();
    (out, lie)
}

/// Of sorted rows.
fn lie(rows: &[Row]) -> Lie {
    let (mut lie, mut open) = (Lie::default(), Vec::<&Row>::new());
    for row in rows {
        while open.pop_if(|top| top.last < row.first).is_some() {}
        match open.last() {
            Some(top) if (top.first, top.last) == (row.first, row.last) => {
                lie.contradictions += u64::from(top.value != row.value);
            }
            Some(top) if row.last <= top.last => lie.nested += 1,
            Some(_) => lie.overlaps += 1,
            None => {}
        }
        open.push(row);
    }
    lie
}

/// Appends a range that starts above all others; joins it with an equal neighbour, drops it if it has no value.
pub(crate) fn append<A: Step>(out: &mut Vec<Range<A>>, range: Range<A>) {
    match out.last_mut() {
        _ if range.value == 0 => {}
        Some(last) if last.value == range.value && last.last.next() == Some(range.first) => {
            last.last = range.last;
        }
        _ => out.push(range),
    }
}

/// Canonical ranges of a small space at the end of the addresses, from its values one by one.
#[cfg(test)]
pub(crate) fn of_values(values: &[u32]) -> Vec<Range<u32>> {
    let mut out = Vec::new();
    let count = u32::try_from(values.len()).expect("a small space");
    for (at, value) in (u32::MAX - (count - 1)..=u32::MAX).zip(values) {
        let (first, last, value) = (at, at, *value);
        append(&mut out, Range { first, last, value });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(rows: &[(u128, u128, u32)]) -> Vec<(u128, u128, u32)> {
        let row = |&(first, last, value): &(u128, u128, u32)| Row {
            family: Family::V6,
            first,
            last,
            value,
            line: 0,
        };
        let ranges = flatten(rows.iter().map(row).collect()).0;
        ranges
            .into_iter()
            .map(|r| (r.first, r.last, r.value))
            .collect()
    }

    #[test]
    fn inner_row_wins_and_ends() {
        let expected = vec![
            (0, 9, 1),
            (10, 14, 2),
            (15, 15, 3),
            (16, 19, 2),
            (20, 99, 1),
        ];
        assert_eq!(flat(&[(0, 99, 1), (10, 19, 2), (15, 15, 3)]), expected);
        assert_eq!(flat(&[(15, 15, 3), (10, 19, 2), (0, 99, 1)]), expected);
        assert_eq!(
            flat(&[(0, 99, 1), (0, 9, 2), (90, 99, 2)]),
            [(0, 9, 2), (10, 89, 1), (90, 99, 2)]
        );
    }

    #[test]
    fn of_half_overlapping_rows_the_later_start_wins() {
        assert_eq!(
            flat(&[(0, 10, 1), (5, 100, 2), (8, 9, 0)]),
            [(0, 4, 1), (5, 7, 2), (10, 100, 2)]
        );
    }

    #[test]
    fn neighbours_are_joined_at_the_edges_too() {
        assert_eq!(
            flat(&[(0, 0, 7), (1, u128::MAX - 1, 7), (u128::MAX, u128::MAX, 7)]),
            [(0, u128::MAX, 7)]
        );
        assert_eq!(flat(&[(0, 4, 7), (6, 9, 7)]), [(0, 4, 7), (6, 9, 7)]);
    }

    #[test]
    fn contradictions_are_counted_and_the_later_row_wins() {
        let row = |value| Row {
            family: Family::V4,
            first: 1,
            last: 2,
            value,
            line: 0,
        };
        let (ranges, lie) = Ranges::new(vec![row(5), row(5), row(6)]);
        assert_eq!(
            (ranges.v4, lie.contradictions),
            (
                vec![Range {
                    first: 1,
                    last: 2,
                    value: 6
                }],
                1
            )
        );
    }

    #[test]
    fn rows_lie_apart_inside_or_across() {
        let row = |&(first, last): &(u128, u128)| Row {
            family: Family::V4,
            first,
            last,
            value: 1,
            line: 0,
        };
        let rows = [(0, 9), (2, 5), (5, 12), (6, 7), (13, 14), (13, 14)];
        let (_, lie) = Ranges::new(rows.iter().map(row).collect());
        let expected = Lie {
            contradictions: 0,
            nested: 2,
            overlaps: 1,
        };
        assert_eq!(lie, expected);
    }
}
