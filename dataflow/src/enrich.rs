//! Enrichment: addresses to AS and country by the table version of the flow's slot, in batches.
//!
//! Law 3: every flow of a slot meets one version, whatever worker reads it and however late it comes.
//! SrcAS and DstAS are the table's, else the flow's own field, else 0.

use std::sync::Arc;

use flow_proto::{FlowCore, Rollup, Sums};
use flow_state::SlotSecs;
use flow_tables::TableSet;

use crate::preaggregate::PreAggregate;

/// Flows looked up together: enough to overlap cache misses, few enough to stay in the first-level cache.
const BATCH: usize = 512;

/// Which table version holds from which slot on, ascending; the first holds from 0.
#[derive(Clone, Debug)]
pub(crate) struct Versions(Vec<(SlotSecs, Arc<TableSet>)>);

impl Versions {
    /// From the timeline's entries, each with its loaded set. Empty: no tables at all.
    pub(crate) fn new(mut versions: Vec<(SlotSecs, Arc<TableSet>)>) -> Versions {
        if versions.is_empty() {
            versions.push((0, Arc::new(TableSet::default())));
        }
        Versions(versions)
    }

    /// The last one alone.
    #[cfg(feature = "mutants")]
    pub(crate) fn newest(&self) -> Versions {
        Versions(
            self.0
                .last()
                .map(|(_, set)| (0, Arc::clone(set)))
                .into_iter()
                .collect(),
        )
    }

    /// Index of the version of a slot.
    fn index(&self, slot: SlotSecs) -> usize {
        self.0
            .iter()
            .rposition(|(from, _)| *from <= slot)
            .unwrap_or(0)
    }
}

/// Accepted flows that wait for their look-up, all of one table version.
pub(crate) struct Enricher {
    versions: Versions,
    version: usize,
    waiting: Vec<(SlotSecs, FlowCore)>,
    sources: Vec<[u8; 16]>,
    destinations: Vec<[u8; 16]>,
    found: [Vec<u32>; 2],
}

impl Enricher {
    pub(crate) fn new(versions: Versions) -> Enricher {
        Enricher {
            versions,
            version: 0,
            waiting: Vec::with_capacity(BATCH),
            sources: Vec::with_capacity(BATCH),
            destinations: Vec::with_capacity(BATCH),
            found: [vec![0; BATCH], vec![0; BATCH]],
        }
    }

    /// Takes an accepted flow; a full batch goes on to `sums`.
    #[inline]
    pub(crate) fn push(&mut self, slot: SlotSecs, flow: &FlowCore, sums: &mut PreAggregate) {
        let version = self.versions.index(slot);
        if version != self.version || self.waiting.len() == BATCH {
            self.flush(sums);
            self.version = version;
        }
        self.sources.push(flow.src_addr.0);
        self.destinations.push(flow.dst_addr.0);
        self.waiting.push((slot, *flow));
    }

    /// Everything that waits goes on to `sums`.
    pub(crate) fn flush(&mut self, sums: &mut PreAggregate) {
        let tables = Arc::clone(&self.versions.0[self.version].1);
        let count = self.waiting.len();
        let [sources, destinations] = &mut self.found;
        let (sources, destinations) = (&mut sources[..count], &mut destinations[..count]);
        match &tables.asn {
            Some(table) => {
                table.lookup_batch(&self.sources, sources);
                table.lookup_batch(&self.destinations, destinations);
            }
            None => {
                sources.fill(0);
                destinations.fill(0);
            }
        }
        for ((slot, flow), (src, dst)) in self
            .waiting
            .iter()
            .zip(sources.iter().zip(destinations.iter()))
        {
            let key = [
                own_if_none(*src, flow.src_as),
                own_if_none(*dst, flow.dst_as),
                flow.etype,
            ];
            sums.add(Rollup::As as u16, *slot, key, &sums_of(flow));
        }
        if let Some(table) = &tables.country {
            table.lookup_batch(&self.sources, sources);
            table.lookup_batch(&self.destinations, destinations);
            for ((slot, flow), (src, dst)) in self
                .waiting
                .iter()
                .zip(sources.iter().zip(destinations.iter()))
            {
                sums.add(
                    Rollup::Country as u16,
                    *slot,
                    [*src, *dst, flow.etype],
                    &sums_of(flow),
                );
            }
        }
        self.waiting.clear();
        self.sources.clear();
        self.destinations.clear();
    }
}

/// The table's AS, else the flow's own.
#[inline]
pub(crate) fn own_if_none(table: u32, sent: u32) -> u32 {
    if table != 0 { table } else { sent }
}

/// What one flow adds to its row. Law 2 has bounded the products.
#[inline]
fn sums_of(flow: &FlowCore) -> Sums {
    let rate = flow.sampling_rate.max(1);
    Sums {
        bytes: flow.bytes,
        packets: flow.packets,
        flows: 1,
        scaled_bytes: flow.bytes * rate,
        scaled_packets: flow.packets * rate,
        unknown_rate_flows: u64::from(flow.sampling_rate == 0),
    }
}
