//! A store that has gone back to an older copy, or was left out for a while: what it can't be given any more is told.
//!
//! Law 6: the state lets go of a retired slot's rows once every store has had them, so they do not come again. Law 7: that is
//! no secret. A store that was only behind has had them: its own table `slots` says so.

use std::collections::BTreeSet;

use flow_proto::Rollups;
use flow_state::{Checkpoint, SlotSecs};

use crate::utc::utc;
use crate::{Sink, SinkError, slot_rows};

/// Looks at a store that stands at `from`, before it is brought to the newest checkpoint.
///
/// # Errors
/// The store's.
pub(crate) fn tell(
    sink: &mut dyn Sink,
    newest: &Checkpoint,
    (from, rollups): (u64, Rollups),
) -> Result<(), SinkError> {
    let gone = slot_rows::unreachable(newest, from, rollups);
    let Some(first) = gone.first() else {
        return Ok(());
    };
    let Some(held) = sink.slot_flows(*first)? else {
        return Ok(());
    };
    // Below its last slot it may have deleted some by its retention.
    let last = held.keys().next_back();
    let lacks = |slot: &SlotSecs| match held.get(slot) {
        Some(flows) => newest.slots.get(slot).is_some_and(|c| *flows < c.flows),
        None => last.is_none_or(|last| slot > last),
    };
    let lacking: BTreeSet<SlotSecs> = gone.into_iter().filter(lacks).collect();
    if let (Some(first), Some(last)) = (lacking.first(), lacking.last()) {
        tracing::warn!(
            sink = sink.name(),
            slots = lacking.len(),
            from = %utc(*first),
            until = %utc(rollups.base().end(*last)),
            "this store has gone back to an older copy, or was left out for a while: slots that have retired since are not whole \
             in it, and are not written again; when it has caught up, replay --as-recorded --apply puts them right"
        );
    }
    Ok(())
}
