//! The canonical form of a table: sorted, disjoint, merged ranges with a value, IPv4 and IPv6 apart.
//!
//! Published tables hold nested and even half-overlapping rows. At any address the covering row that starts
//! last wins; of those with one start the narrower; of those with one range the later in the file. Of nested
//! rows, as prefixes always are, that is the inner one; of others the later in a sorted file, as publishers'
//! own tools have it.
//!
//! Law: the form depends only on what each address maps to.

use crate::parse::{Family, Row};

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

impl Ranges {
    /// From rows in the order of their sources; also the number of contradictions: neighbours in sorted
    /// order that give one range two values.
    pub(crate) fn new(rows: Vec<Row>) -> (Ranges, u64) {
        let (v4, v6): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|r| r.family == Family::V4);
        let ((v4, in_v4), (v6, in_v6)) = (flatten(v4), flatten(v6));
        let v4 = v4.into_iter().map(|r| Range {
            first: low(r.first),
            last: low(r.last),
            value: r.value,
        });
        (
            Ranges {
                v4: v4.collect(),
                v6,
            },
            in_v4 + in_v6,
        )
    }

    /// Whether the ranges, which came from outside, keep the form's law.
    pub(crate) fn is_canonical(&self) -> bool {
        is_canonical(&self.v4, |a| a.checked_add(1)) && is_canonical(&self.v6, |a| a.checked_add(1))
    }
}

/// Sorted, disjoint, with values, and no two neighbours that ought to be one. `after`: the next address.
fn is_canonical<A: Copy + Ord>(ranges: &[Range<A>], after: fn(A) -> Option<A>) -> bool {
    let apart = |a: &Range<A>, b: &Range<A>| {
        a.last < b.first && !(a.value == b.value && after(a.last) == Some(b.first))
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
fn flatten(mut rows: Vec<Row>) -> (Vec<Range<u128>>, u64) {
    rows.sort_by_key(|row| (row.first, std::cmp::Reverse(row.last)));
    let contradicts =
        |a: &Row, b: &Row| (a.first, a.last) == (b.first, b.last) && a.value != b.value;
    let contradictions = rows
        .windows(2)
        .filter(|pair| contradicts(&pair[0], &pair[1]))
        .count();
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
    (out, u64::try_from(contradictions).unwrap_or(u64::MAX))
}

/// Appends a range that starts above all others; joins it with an equal neighbour, drops it if it has no value.
fn append(out: &mut Vec<Range<u128>>, range: Range<u128>) {
    match out.last_mut() {
        _ if range.value == 0 => {}
        Some(last) if last.value == range.value && last.last + 1 == range.first => {
            last.last = range.last;
        }
        _ => out.push(range),
    }
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
        };
        let (ranges, contradictions) = Ranges::new(vec![row(5), row(5), row(6)]);
        assert_eq!(
            (ranges.v4, contradictions),
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
}
