//! What a slot is replaced by: its record in the state, and that record as a store takes it.
//!
//! Law 6: put-if-absent decides what a generation of a slot holds, before the first store is written; whoever comes second
//! takes what is there, or the next generation. It knows neither options nor URLs: the simulator tries it, too.

use std::collections::BTreeMap;

use flow_proto::{Rollups, RowView};
use flow_sinks::{Delta, Row, Rows, SinkError, SlotRow, SlotState, StoredSlot};
use flow_state::{Checkpoint, Replaced, SlotCounts, StateError, StateStore};

/// Flows of a slot that the job has refused, as far as anybody knows: the checkpoint at hand, else the store, and what the
/// slot was replaced by last.
pub(crate) fn refused(
    counted: Option<&SlotCounts>,
    stored: Option<&StoredSlot>,
    replaced: Option<&Replaced>,
) -> SlotCounts {
    let mut refused = counted.copied().unwrap_or_default();
    let mut known = |early: u64, late: u64, implausible: u64| {
        refused.too_early = refused.too_early.max(early);
        refused.too_late = refused.too_late.max(late);
        refused.implausible = refused.implausible.max(implausible);
    };
    // Where the job has let go of its counts the store has them.
    if let (None, Some(slot)) = (counted, stored) {
        known(slot.too_early, slot.too_late, slot.implausible);
    }
    if let Some(replaced) = replaced {
        known(replaced.early, replaced.late, replaced.counts.implausible);
    }
    refused
}

/// What is recorded of the slot under the next generation: as wanted, by whoever was first. `newest`: the highest generation
/// that was recorded when records were listed; `above`: that of the store, or of the job. `None`: none below `end` is free.
///
/// # Errors
/// The state's.
pub(crate) fn record(
    state: &StateStore,
    wanted: &Replaced,
    (newest, above, end): (Option<u32>, u32, u64),
    attempt: u64,
) -> Result<Option<Replaced>, StateError> {
    // One that was recorded before, and that this store lacks: an apply that was cut short, or for another store.
    if let Some(generation) = newest.filter(|generation| *generation > above)
        && let Some(found) = state.replaced(wanted.slot_secs, generation)?
        && alike(&found, wanted)
    {
        return Ok(Some(found));
    }
    let mut generation = newest.unwrap_or(0).max(above);
    // Somebody else may have recorded some since they were listed.
    loop {
        generation += 1;
        if u64::from(generation) >= end {
            return Ok(None);
        }
        let offered = Replaced {
            generation,
            ..wanted.clone()
        };
        let found = state.record_replaced(&offered, attempt)?;
        if alike(&found, wanted) {
            return Ok(Some(found));
        }
    }
}

/// Whether rows of this revision are those of a record.
///
/// # Errors
/// The state's.
pub(crate) fn is_recorded(
    state: &StateStore,
    slot_secs: u64,
    revision: u64,
) -> Result<bool, StateError> {
    let (generation, number) = (revision >> 48, revision & ((1 << 48) - 1));
    let Ok(generation) = u32::try_from(generation) else {
        return Ok(false);
    };
    let found = state.replaced(slot_secs, generation)?;
    Ok(found.is_some_and(|found| found.number == number))
}

/// Whether two records say the same of a slot.
fn alike(found: &Replaced, wanted: &Replaced) -> bool {
    let said = |replaced: &Replaced| Replaced {
        generation: 0,
        number: 0,
        counts: SlotCounts {
            changed: 0,
            ..replaced.counts
        },
        every: false,
        cut: BTreeMap::new(),
        ..replaced.clone()
    };
    said(found) == said(wanted)
}

/// The rows of `slots` that a record brings.
pub(crate) fn slots(
    replaced: &Replaced,
    rollups: Rollups,
    checkpoint: &Checkpoint,
    now_secs: u64,
) -> Vec<SlotRow> {
    let row = |rollup| SlotRow {
        rollup,
        slot_secs: replaced.slot_secs,
        state: SlotState::Retired,
        partial: replaced.partial,
        generation: replaced.generation.into(),
        written_secs: Some(now_secs),
        counts: Some(replaced.counts),
        missing_partitions: replaced.missing_partitions.clone(),
        complete_through_secs: u64::try_from(checkpoint.watermark_ns)
            .ok()
            .map(|ns| ns / 1_000_000_000),
    };
    rollups.iter().map(row).collect()
}

/// A record as a store takes it, under the job that stands in its cursors.
pub(crate) fn delta<'a>(job: &'a str, rows: &'a Recorded<'a>, slots: &'a [SlotRow]) -> Delta<'a> {
    Delta {
        job,
        from: 0,
        to: rows.replaced.number,
        shards: &[0],
        rows,
        slots,
        retired_through: &[],
        watermark_secs: None,
    }
}

/// The rows of a slot, as a store takes them.
#[derive(Debug)]
pub(crate) struct Recorded<'a> {
    pub(crate) rows: &'a [RowView<'a>],
    pub(crate) rollups: Rollups,
    pub(crate) replaced: &'a Replaced,
}

impl Rows for Recorded<'_> {
    fn for_each(
        &self,
        take: &mut dyn FnMut(Row<'_>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let revision = u64::from(self.replaced.generation) << 48 | self.replaced.number;
        for record in self.rows {
            let Some(rollup) = self.rollups.get(record.rollup) else {
                return Err(SinkError::fatal(
                    "the record of a replaced slot has a rollup that this program does not know",
                ));
            };
            take(Row {
                rollup,
                record: *record,
                table_version: self.replaced.table_version,
                revision,
            })?;
        }
        Ok(())
    }
}
