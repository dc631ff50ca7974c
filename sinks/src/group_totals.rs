//! All rows of one slot, read from the segments that a checkpoint lists.
//!
//! Law 6: segments in ascending order, so that a later one's absolute totals take the place of an earlier one's. One
//! shard of one segment and the rows of one slot are in memory at a time.

use std::collections::BTreeMap;

use flow_proto::{Rollup, RowView, Sums};
use flow_state::{Checkpoint, Group, SlotSecs, StateError, StateStore};

/// Totals by the words of the key.
pub type GroupTotals = BTreeMap<Vec<u32>, Sums>;

/// Reads them.
///
/// # Errors
/// The state's, `Missing` if a segment is not there any more.
pub fn group_totals(
    state: &StateStore,
    checkpoint: &Checkpoint,
    (rollup, slot_secs): (Rollup, SlotSecs),
) -> Result<GroupTotals, StateError> {
    let mut totals = GroupTotals::new();
    let group = Group {
        rollup: rollup.number(),
        slot_secs,
    };
    let mut words: Vec<u64> = Vec::new();
    for (name, groups) in &checkpoint.segments {
        if !groups.contains(&group) {
            continue;
        }
        let file = state.open_segment(*name)?;
        for shard in 0..file.shards() {
            file.read_words(shard, &mut words)?;
            let records = words.chunks_exact((file.record_bytes() / size_of::<u64>()).max(1));
            let rows = records.filter_map(RowView::of_words);
            let ours = rows.filter(|row| (row.rollup, row.slot_secs) == (group.rollup, slot_secs));
            totals.extend(ours.map(|row| (row.key_of(rollup).to_vec(), *row.sums)));
        }
    }
    Ok(totals)
}
