//! Enrichment: addresses to AS and country by the table version of the flow's slot, in batches; then the keys of rollups.
//!
//! Law 3: every flow of a slot meets one version, whatever worker reads it and however late it comes.
//! SrcAS and DstAS are the table's, else the flow's own field, else 0; or in another order, for all exporters or for some.

use std::sync::Arc;

use flow_proto::{FlowCore, Record, Rollup, Rollups};
use flow_state::SlotSecs;
use flow_tables::{AsnOrder, TableSet};

use crate::flow_ends::FlowEnds;
use crate::preaggregate::PreAggregate;
use crate::waiting::Waiting;

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

    /// From a slot on another set holds, in place of whatever was to hold there.
    fn add(&mut self, from: SlotSecs, set: Arc<TableSet>) {
        self.0.retain(|(start, _)| *start < from);
        self.0.push((from, set));
    }

    /// Lets go of versions whose slots are all retired: no flow that can still count needs them.
    fn retire(&mut self, retired_secs: u64) {
        let holds = self.0.iter().rposition(|(from, _)| *from <= retired_secs);
        self.0.drain(..holds.unwrap_or(0));
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
pub(crate) struct Enricher<R: Record> {
    versions: Versions,
    version: usize,
    /// Rollups that sum flows; the others are fed.
    rollups: Vec<Rollup>,
    base_secs: u64,
    waiting: Waiting,
    keys: Vec<R::Key>,
}

impl<R: Record> Enricher<R> {
    pub(crate) fn new(versions: Versions, rollups: Rollups) -> Enricher<R> {
        Enricher {
            versions,
            version: 0,
            rollups: rollups.iter().filter(|one| one.feed().is_none()).collect(),
            base_secs: rollups.base().window_secs(),
            waiting: Waiting::new(BATCH),
            keys: vec![R::Key::default(); BATCH],
        }
    }

    /// Takes an accepted flow, with its ends if any rollup needs them; a full batch goes on to `sums`.
    #[inline]
    pub(crate) fn push(
        &mut self,
        slot: SlotSecs,
        flow: (&FlowCore, Option<&FlowEnds>),
        sums: &mut PreAggregate<R>,
    ) {
        let version = self.versions.index(slot);
        if version != self.version || self.waiting.flows.len() == BATCH {
            self.flush(sums);
            self.version = version;
        }
        let order = &self.versions.0[version].1.asn_order;
        self.waiting.push(slot, flow, order);
    }

    /// From a slot on another set holds; between two ticks, when no flow waits.
    pub(crate) fn swap(&mut self, from: SlotSecs, set: Arc<TableSet>) {
        self.versions.add(from, set);
    }

    /// Slots that end at or below this are retired; between two ticks.
    pub(crate) fn retire(&mut self, retired_secs: u64) {
        self.versions.retire(retired_secs);
        self.version = 0; // of no flow: none waits
    }

    /// Everything that waits goes on to `sums`.
    pub(crate) fn flush(&mut self, sums: &mut PreAggregate<R>) {
        let tables = Arc::clone(&self.versions.0[self.version].1);
        let rollups = &self.rollups;
        let has = |one: &Rollup, dimension| one.dimensions().contains(&dimension);
        self.waiting.look_up(&tables, |dimension| {
            rollups.iter().any(|one| has(one, dimension))
        });
        let keys = &mut self.keys[..self.waiting.flows.len()];
        for rollup in rollups {
            if rollup.needs_country() && tables.country.is_none() {
                continue;
            }
            keys.fill(R::Key::default());
            let mut at = 0;
            for dimension in rollup.dimensions() {
                self.waiting.put(*dimension, (keys, at));
                at += dimension.words();
            }
            let (number, is_base) = (rollup.number(), rollup.window_secs() == self.base_secs);
            for (flow, key) in self.waiting.flows.iter().zip(&*keys) {
                let mut slot = flow.slot_secs;
                if !is_base {
                    slot = rollup.slot_of(slot); // a division a flow would be seen
                }
                sums.add(number, slot, *key, &flow.sums());
            }
        }
        self.waiting.clear();
    }
}

/// Source and destination AS of a flow: the tables' or its own, in the order for its exporter.
#[inline]
pub(crate) fn asns(order: &AsnOrder, flow: &FlowCore, [src, dst]: [u32; 2]) -> [u32; 2] {
    let order = order.of(&flow.exporter.0);
    [order.pick(src, flow.src_as), order.pick(dst, flow.dst_as)]
}
