//! The queue of `tables swap --from`: slots that are to have other tables, once they are final.
//!
//! Law 6: a slot is through when the store holds its replacement by the version that it is to have. What is through is left
//! alone, what is not final yet stays in the queue, however often this is run.

use std::collections::BTreeSet;

use super::base::{Base, Stored};
use super::repair::together;
use crate::failure::Failure;

/// The queued slots that a store lacks, in ranges that each are computed at once.
///
/// # Errors
/// The state's.
pub(super) fn parts(base: &Base, stored: &Stored) -> Result<Vec<Base>, Failure> {
    let (mut due, mut left) = (BTreeSet::new(), 0_u64);
    for (slot_secs, slot) in &stored.slots {
        let Some(version) = base.amended_at(*slot_secs) else {
            continue;
        };
        let replaced = base.newest_replaced(*slot_secs)?;
        let is_there = |generation: u32| u64::from(generation) == slot.generation;
        let through = match &replaced {
            Some(replaced) => {
                replaced.table_version == version.number && is_there(replaced.generation)
            }
            // It had these tables from the first.
            None => base.recorded_at(*slot_secs) == Some(version.number),
        };
        if through {
            continue;
        }
        if base.is_retired(*slot_secs) {
            due.insert(*slot_secs);
        } else {
            left += 1;
        }
    }
    if left > 0 {
        tracing::info!(
            slots = left,
            "not retired yet: they stay in the queue; run it again later"
        );
    }
    Ok(together(base, due))
}
