//! Tests of sealing in slices: what it shows, whatever the slices, and what it keeps.

use std::collections::BTreeMap;

use flow_proto::{RowRecord, Sums};

use super::*;
use crate::key;

type Row = (u64, u16, [u32; 3]);

fn row(slot_secs: u64, of: u32, bytes: u64) -> RowRecord {
    let key = [64_496 + of, of % 11, 0x800];
    RowRecord {
        slot_secs,
        rollup: 0,
        shard: key::shard(key::hash(0, &key)),
        key,
        sums: Sums {
            bytes,
            flows: 1,
            ..Sums::default()
        },
    }
}

/// Seals in slices of so many rows; counts the slices.
fn seal(
    state: &mut WindowState<RowRecord>,
    lines: (u64, u64),
    slice: usize,
) -> (BTreeMap<Row, u64>, usize) {
    let mut sealing = state.begin_seal(lines.0, lines.1);
    let (mut slices, largest) = (0, 200);
    let rows = loop {
        slices += 1;
        let (mut budget, before) = (slice, sealing.rows.iter().map(Vec::len).sum::<usize>());
        if let Some(rows) = state.seal(&mut sealing, &mut budget) {
            break rows;
        }
        let copied = sealing.rows.iter().map(Vec::len).sum::<usize>() - before;
        assert!(
            copied <= slice.saturating_add(largest),
            "{copied} rows in a slice of {slice}"
        );
    };
    assert_eq!(rows.len(), SHARDS);
    let mut shown = BTreeMap::new();
    for (number, shard) in rows.iter().enumerate() {
        for row in shard {
            assert_eq!(usize::from(row.shard), number);
            let id = (row.slot_secs, row.rollup, row.key);
            assert!(shown.insert(id, row.sums.bytes).is_none(), "{id:?} twice");
        }
    }
    (shown, slices)
}

/// The rows of so many keys of a slot.
fn rows(slot_secs: u64, keys: u32, bytes: u64) -> BTreeMap<Row, u64> {
    let all = (0..keys).map(|of| row(slot_secs, of, bytes));
    all.map(|row| ((row.slot_secs, row.rollup, row.key), row.sums.bytes))
        .collect()
}

#[test]
fn slices_change_nothing() {
    for slice in [1, 100, 1000, usize::MAX] {
        let mut state = WindowState::new(Rollups::STANDARD, BTreeSet::new());
        let fold = |state: &mut WindowState<RowRecord>, slot, keys| {
            let rows: Vec<_> = (0..keys).map(|of| row(slot, of, 5)).collect();
            state.fold(&rows);
        };
        fold(&mut state, 0, 4000);
        fold(&mut state, 300, 2000);
        // Nothing complete: both slots' touched rows, which are all.
        let (shown, slices) = seal(&mut state, (0, 0), slice);
        let mut want = rows(0, 4000, 5);
        want.extend(rows(300, 2000, 5));
        assert_eq!(shown, want);
        assert_eq!(slices > 1, slice < 6000, "{slices} slices of {slice}");
        // The first is complete: whole; of the other one what is touched.
        fold(&mut state, 0, 10);
        fold(&mut state, 300, 20);
        let (shown, _) = seal(&mut state, (300, 0), slice);
        let mut want = rows(0, 4000, 5);
        want.extend(rows(0, 10, 10));
        want.extend(rows(300, 20, 10));
        assert_eq!(shown, want);
        // Once only, and corrected from then on.
        fold(&mut state, 0, 3);
        assert_eq!(seal(&mut state, (300, 0), slice).0, rows(0, 3, 15));
        assert_eq!(state.keys(), 6000);
        // Retired: its last change is still shown, then it is gone.
        fold(&mut state, 0, 1);
        assert_eq!(seal(&mut state, (300, 300), slice).0, rows(0, 1, 20));
        assert_eq!(state.keys(), 2000);
        assert!(seal(&mut state, (300, 300), slice).0.is_empty());
    }
}

#[test]
fn a_restored_slot_shows_what_changed_since() {
    let complete = Group {
        rollup: 0,
        slot_secs: 0,
    };
    let mut state = WindowState::new(Rollups::STANDARD, BTreeSet::from([complete]));
    for bytes in [5, 7] {
        (0..100).for_each(|of| state.restore(&row(0, of, bytes)));
        (0..100).for_each(|of| state.restore(&row(300, of, bytes)));
    }
    assert_eq!(state.keys(), 200);
    state.fold(&[row(0, 4, 1)]);
    let want = BTreeMap::from([((0, 0, row(0, 4, 0).key), 8)]);
    assert_eq!(
        seal(&mut state, (300, 0), 10).0,
        want,
        "written whole before the restart"
    );
    assert_eq!(seal(&mut state, (600, 0), 10).0, rows(300, 100, 7));
}
