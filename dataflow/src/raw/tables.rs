//! The table versions that raw flows are enriched by, loaded from the state's archive when a flow asks for one.
//!
//! Law 3: a flow meets the version of its slot, as in the dataflow. Law 8: a few sets are held, the one that was asked
//! for least recently gives way; today's is shared with the job.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use flow_proto::{EnrichedFlow, FlowCore};
use flow_state::{SlotSecs, StateStore, TableVersion, Timeline, table_hash};
use flow_tables::{PrefixTable, TableSet};

use crate::enrich::own_if_none;
use crate::failure::JobError;

/// Sets held beside the one in use. Late flows need the version before today's, rarely an older one.
const HELD: usize = 3;

/// A version, loaded.
#[derive(Clone)]
pub(super) struct Version {
    number: u32,
    set: Arc<TableSet>,
}

impl Version {
    /// Writes into a flow what the tables say of its addresses.
    pub(super) fn enrich(&self, core: &FlowCore, flow: &mut EnrichedFlow) {
        let find = |table: &Option<Arc<PrefixTable>>, address: &[u8; 16]| {
            table.as_ref().map_or(0, |table| table.lookup(address))
        };
        let (src, dst) = (&core.src_addr.0, &core.dst_addr.0);
        flow.table_version = self.number;
        flow.src_as = own_if_none(find(&self.set.asn, src), core.src_as);
        flow.dst_as = own_if_none(find(&self.set.asn, dst), core.dst_as);
        flow.src_country = find(&self.set.country, src);
        flow.dst_country = find(&self.set.country, dst);
    }
}

/// Loaded sets, by the hash under which they are archived.
pub(super) struct TableCache {
    state: StateStore,
    /// Most recently used last.
    sets: Mutex<Vec<(String, Arc<TableSet>)>>,
}

impl fmt::Debug for TableCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableCache").finish_non_exhaustive()
    }
}

impl TableCache {
    pub(super) fn new(state: StateStore, today: Arc<TableSet>) -> TableCache {
        let hash = table_hash(&today.archive());
        TableCache {
            state,
            sets: Mutex::new(vec![(hash, today)]),
        }
    }

    /// The version of a slot; `None` before the first.
    pub(super) fn of(
        &self,
        timeline: &Timeline,
        slot: SlotSecs,
    ) -> Result<Option<Version>, JobError> {
        let holds = timeline
            .versions
            .iter()
            .rev()
            .find(|(from, _)| *from <= slot);
        let Some((_, version)) = holds else {
            return Ok(None);
        };
        let set = self.set(version)?;
        Ok(Some(Version {
            number: version.number,
            set,
        }))
    }

    fn set(&self, version: &TableVersion) -> Result<Arc<TableSet>, JobError> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match sets.iter().position(|(hash, _)| *hash == version.hash) {
            Some(at) => sets.remove(at),
            None => {
                let bytes = self.state.read_table(&version.hash)?;
                let set = TableSet::from_archive(&bytes).map_err(|error| JobError::Tables {
                    version: version.number,
                    what: error.to_string(),
                })?;
                if sets.len() > HELD {
                    sets.remove(0);
                }
                (version.hash.clone(), Arc::new(set))
            }
        };
        let set = Arc::clone(&entry.1);
        sets.push(entry);
        Ok(set)
    }
}
