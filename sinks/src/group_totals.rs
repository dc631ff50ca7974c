//! All rows of one slot, read from the segments that a checkpoint lists.
//!
//! Law 6: segments in ascending order, so that a later one's absolute totals take the place of an earlier one's. One
//! shard of one segment and the rows of one slot are in memory at a time.

use std::collections::BTreeMap;

use flow_proto::{RowRecord, Sums};
use flow_state::{Checkpoint, Group, StateError, StateStore};

/// Totals by key.
pub type GroupTotals = BTreeMap<[u32; 3], Sums>;

/// Reads them.
///
/// # Errors
/// The state's, `Missing` if a segment is not there any more.
pub fn group_totals(
    state: &StateStore,
    checkpoint: &Checkpoint,
    group: Group,
) -> Result<GroupTotals, StateError> {
    let mut totals = GroupTotals::new();
    let mut records: Vec<RowRecord> = Vec::new();
    for (name, groups) in &checkpoint.segments {
        if !groups.contains(&group) {
            continue;
        }
        let file = state.open_segment(*name)?;
        for shard in 0..file.shards() {
            file.read_shard(shard, &mut records)?;
            let ours =
                |row: &&RowRecord| (row.rollup, row.slot_secs) == (group.rollup, group.slot_secs);
            totals.extend(records.iter().filter(ours).map(|row| (row.key, row.sums)));
        }
    }
    Ok(totals)
}
