//! The table versions that raw flows are enriched by.
//!
//! Law 3: a flow meets the version of its slot, as in the dataflow.

use std::sync::Arc;

use flow_proto::{EnrichedFlow, FlowCore};
use flow_state::{SlotSecs, Timeline};
use flow_tables::{PrefixTable, TableSet};

use crate::enrich::asns;
use crate::failure::JobError;
use crate::shelf::TableShelf;
use crate::texts::Texts;

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
        let found = [find(&self.set.asn, src), find(&self.set.asn, dst)];
        [flow.src_as, flow.dst_as] = asns(&self.set.asn_order, core, found);
        flow.src_country = find(&self.set.country, src);
        flow.dst_country = find(&self.set.country, dst);
        Texts::of(&self.set).enrich(flow);
    }
}

/// The version of a slot; `None` before the first.
pub(super) fn version_of(
    shelf: &TableShelf,
    timeline: &Timeline,
    slot: SlotSecs,
) -> Result<Option<Version>, JobError> {
    let mut versions = timeline.versions.iter().rev();
    let Some((_, version)) = versions.find(|(from, _)| *from <= slot) else {
        return Ok(None);
    };
    let set = shelf.get(version)?;
    Ok(Some(Version {
        number: version.number,
        set,
    }))
}
