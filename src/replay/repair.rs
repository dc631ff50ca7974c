//! Which slots are worth another look: those that are partial, lack a partition, or have refused flows.
//!
//! Law 7: what was refused or missed stands in `slots`, and nowhere is it forgotten until a replay has counted it.

use std::collections::BTreeSet;

use super::base::{Base, Stored};
use crate::failure::Failure;

/// Slots that are no further apart are computed together: so far away flows of a slot may lie, and twice read is slower.
const TOGETHER_SECS: u64 = 24 * 3_600;

/// The troubled slots of a store, in ranges that each are computed at once.
///
/// # Errors
/// The state's.
pub(super) fn parts(base: &Base, stored: &Stored) -> Result<Vec<Base>, Failure> {
    let troubled = stored.slots.values().filter(|slot| slot.is_troubled());
    let mut slots: BTreeSet<u64> = troubled.map(|slot| slot.slot_secs).collect();
    slots.extend(base.refused_since()?);
    Ok(together(base, slots))
}

/// Slots, in ranges that each are computed at once.
pub(super) fn together(base: &Base, slots: BTreeSet<u64>) -> Vec<Base> {
    let mut parts: Vec<BTreeSet<u64>> = Vec::new();
    for slot_secs in slots {
        let last = parts.last_mut();
        let near = last.filter(|part| {
            let before = part.last().copied().unwrap_or(0);
            slot_secs - before <= TOGETHER_SECS
        });
        match near {
            Some(part) => {
                part.insert(slot_secs);
            }
            None => parts.push(BTreeSet::from([slot_secs])),
        }
    }
    let range = |part: BTreeSet<u64>| {
        let (first, last) = (part.first().copied()?, part.last().copied()?);
        Some(base.of((first, last + base.rows.window_secs), part))
    };
    parts.into_iter().filter_map(range).collect()
}
