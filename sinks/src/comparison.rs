//! Two accounts of one slot, compared: what was computed, and what a store holds, row by row.
//!
//! Law: every row that is in one of them and not alike in the other is a difference, and is told once, in the order of
//! keys. A map and one pass do it: a slot's rows are at hand on both sides, so that there is nothing to maintain
//! (`docs/adr/0011-comparison.md`).

use std::collections::BTreeMap;

use flow_proto::{Rollup, Sums};
use flow_state::SlotSecs;

use crate::stored_rows::StoredRow;

/// What the row of a key says: its totals, and the version of its tables.
pub type Said = (Sums, u32);

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// The store has no such row.
    Missing,
    /// The store has a row that was not computed.
    Extra,
    /// Other totals.
    Changed,
    /// The same totals under another version of the tables.
    TableVersion,
    /// The same row under a revision that no writer of this job can have given it.
    Revision,
}

impl DifferenceKind {
    /// All of them.
    pub const ALL: [DifferenceKind; 5] = [
        DifferenceKind::Missing,
        DifferenceKind::Extra,
        DifferenceKind::Changed,
        DifferenceKind::TableVersion,
        DifferenceKind::Revision,
    ];

    /// As reports have it.
    pub fn name(self) -> &'static str {
        match self {
            DifferenceKind::Missing => "missing",
            DifferenceKind::Extra => "extra",
            DifferenceKind::Changed => "changed",
            DifferenceKind::TableVersion => "table_version",
            DifferenceKind::Revision => "revision",
        }
    }
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its rollup.
    pub rollup: Rollup,
    /// Its slot.
    pub slot_secs: SlotSecs,
    /// The words of its key, in the order of the rollup's dimensions.
    pub key: Vec<u32>,
    /// As computed.
    pub computed: Option<Said>,
    /// As the store has it.
    pub stored: Option<Said>,
    /// The store's revision of it.
    pub revision: Option<u64>,
}

impl Difference {
    /// How it differs.
    pub fn kind(&self) -> DifferenceKind {
        match (self.computed, self.stored) {
            (_, None) => DifferenceKind::Missing,
            (None, _) => DifferenceKind::Extra,
            (Some(computed), Some(stored)) if computed == stored => DifferenceKind::Revision,
            (Some((computed, _)), Some((stored, _))) if computed == stored => {
                DifferenceKind::TableVersion
            }
            _ => DifferenceKind::Changed,
        }
    }

    /// By how many bytes, without regard to the sign: as sent, or scaled where that is more.
    pub fn bytes(&self) -> u64 {
        let differs = |bytes: fn(&Sums) -> u64| {
            let of = |said: Option<Said>| said.map_or(0, |(sums, _)| bytes(&sums));
            of(self.computed).abs_diff(of(self.stored))
        };
        differs(|sums| sums.bytes).max(differs(|sums| sums.scaled_bytes))
    }
}

/// Compares what should be in a slot, by key, with what a store holds. `possible`: whether a revision can be one of the job's.
pub fn compare(
    (rollup, slot_secs): (Rollup, SlotSecs),
    computed: impl IntoIterator<Item = (Vec<u32>, Said)>,
    stored: &[StoredRow],
    possible: &dyn Fn(u64) -> bool,
) -> Vec<Difference> {
    let difference = |key, computed, stored: Option<&StoredRow>| Difference {
        rollup,
        slot_secs,
        key,
        computed,
        stored: stored.map(|row| (row.sums, row.table_version)),
        revision: stored.map(|row| row.revision),
    };
    let mut left: BTreeMap<Vec<u32>, Said> = computed.into_iter().collect();
    let mut found = Vec::new();
    for row in stored {
        let computed = left.remove(&row.key);
        let alike = computed == Some((row.sums, row.table_version));
        if !alike || !possible(row.revision) {
            found.push(difference(row.key.clone(), computed, Some(row)));
        }
    }
    let missing = left.into_iter();
    found.extend(missing.map(|(key, said)| difference(key, Some(said), None)));
    found.sort_by(|one, other| one.key.cmp(&other.key));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sums(bytes: u64) -> Sums {
        Sums {
            bytes,
            flows: 1,
            ..Sums::default()
        }
    }

    fn row(key: u32, bytes: u64, table_version: u32) -> StoredRow {
        StoredRow {
            key: vec![key, 0, 0],
            sums: sums(bytes),
            table_version,
            revision: 1,
        }
    }

    fn compared(computed: &[(u32, u64)], stored: &[StoredRow]) -> Vec<Difference> {
        let computed = computed
            .iter()
            .map(|(key, bytes)| (vec![*key, 0, 0], (sums(*bytes), 2)));
        compare((Rollup::AS, 300), computed, stored, &|revision| {
            revision < 9
        })
    }

    #[test]
    fn each_kind_is_told() {
        let mut stored = [
            row(4, 1, 1),
            row(3, 9, 2),
            row(2, 1, 2),
            row(5, 1, 2),
            row(6, 1, 2),
        ];
        stored[4].revision = 9;
        let found = compared(&[(1, 7), (3, 1), (4, 1), (5, 1), (6, 1)], &stored);
        let told: Vec<_> = found
            .iter()
            .map(|d| (d.key[0], d.kind().name(), d.bytes()))
            .collect();
        let expected = [
            (1, "missing", 7),
            (2, "extra", 1),
            (3, "changed", 8),
            (4, "table_version", 0),
            (6, "revision", 0),
        ];
        assert_eq!(told, expected);
    }

    proptest! {
        /// The oracle looks each key of either side up in both.
        #[test]
        fn it_is_the_symmetric_difference(
            computed in proptest::collection::btree_map(0u32..12, 0u64..3, 0..12),
            stored in proptest::collection::btree_map(0u32..12, (0u64..3, 1u32..3), 0..12),
        ) {
            let rows: Vec<_> = stored.iter().rev().map(|(key, (bytes, version))| row(*key, *bytes, *version)).collect();
            let list: Vec<_> = computed.iter().map(|(key, bytes)| (*key, *bytes)).collect();
            let found: Vec<u32> = compared(&list, &rows).iter().map(|d| d.key[0]).collect();
            let expected: Vec<u32> = (0..12)
                .filter(|key| computed.get(key).map(|bytes| (*bytes, 2)) != stored.get(key).copied())
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
