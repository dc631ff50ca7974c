//! What is recorded of slots that were replaced, as those who check see it.
//!
//! Law 6: a generation of a slot holds one thing for ever. Looked at without faults whenever a replayer may have recorded
//! something, so that it is known before any store can be given it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use flow_proto::{RowView, Width};
use flow_state::{SlotCounts, StateStore};

use crate::rows::{Key, Written, padded};

/// One generation of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recording {
    pub(crate) rows: BTreeMap<Key, Written>,
    pub(crate) counts: SlotCounts,
}

/// By slot and generation.
type All = BTreeMap<(u64, u64), Arc<Recording>>;

/// All there are; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Recordings(Arc<Mutex<All>>);

impl Recordings {
    /// Looks for new ones of a slot.
    pub(crate) fn look(&self, state: &StateStore, slot_secs: u64) -> Result<(), String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for generation in 1.. {
            let read = state.replaced(slot_secs, generation);
            let Some(replaced) = read.map_err(|error| error.to_string())? else {
                break;
            };
            let revision = u64::from(generation) << 48 | replaced.number;
            let row = |record: RowView<'_>| Written {
                key: (record.rollup, record.slot_secs, padded(record.key)),
                sums: *record.sums,
                table_version: replaced.table_version,
                revision,
            };
            // All simulated keys are short.
            let words = replaced.words(Width::Narrow.record_bytes());
            let words = words.ok_or("records of another size")?;
            let records = Width::Narrow.rows(&words).map(row);
            let found = Recording {
                rows: records.map(|row| (row.key, row)).collect(),
                counts: replaced.counts,
            };
            let at = (slot_secs, u64::from(generation));
            if *all
                .entry(at)
                .or_insert_with(|| Arc::new(found.clone()))
                .as_ref()
                != found
            {
                return Err(format!(
                    "generation {generation} of {slot_secs}: two contents"
                ));
            }
        }
        Ok(())
    }

    /// One of them.
    pub(crate) fn of(&self, slot_secs: u64, generation: u64) -> Option<Arc<Recording>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(slot_secs, generation)).cloned()
    }
}
