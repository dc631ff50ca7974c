//! `replay --raw`: what would become of a slot's raw flows, and with `--apply` what does.
//!
//! Law 6: a slot's raw flows are replaced as a whole, after its rows; begun again, it finds those that are still to be
//! replaced. A flow that counts now and that the store does not have yet would come as refused: its slot is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::atomic::AtomicBool;

use flow_proto::EnrichedFlow;
use flow_sinks::raw_columns::RAW_FLOWS;
use flow_sinks::{RawDigest, RawReplacement, RawRows, RawSink, SinkError};
use flow_state::Checkpoint;
use serde_json::{Value, json};

use std::ops::ControlFlow;

use super::super::apply::patiently;
use super::super::base::{Base, Stored};
use super::super::recompute::Recomputed;
use super::super::shown::Shown;
use super::super::verify::tell;
use super::merge::{Difference, Kind};
use super::slot_flows::SlotFlows;
use super::{Plan, Raw, told};
use crate::failure::{Exit, Failure};
use crate::progress::time;
use crate::{cli, clock, raw_topic};

/// Why slots that differ were not replaced.
const BEHIND: &str = "left alone: a flow that counts now is still to be written into the store's raw flows; run it again later";

/// A store's raw flows under a replay.
pub(in super::super) struct Replayed<'a> {
    raw: Raw<'a>,
    checkpoint: &'a Checkpoint,
    /// The tables are others than those of the slots: only with its rows does a slot get them.
    others: bool,
    /// With `--apply`.
    sink: Option<Box<dyn RawSink>>,
    left_behind: BTreeSet<u64>,
    slots: u64,
    flows: u64,
}

impl<'a> Replayed<'a> {
    /// Compares all slots.
    ///
    /// # Errors
    /// If either side cannot be read, or the store not be written that is to be.
    pub(in super::super) fn open(
        (url, stored): (&str, &Stored),
        base: &'a Base,
        (checkpoint, recomputed): (&'a Checkpoint, &'a Recomputed),
        (options, asked): (&cli::Replay, &AtomicBool),
    ) -> Result<Replayed<'a>, Failure> {
        let plan = Plan::of_replay(recomputed);
        let raw = Raw::open((url, stored), base, checkpoint, plan, asked)?;
        let sink = match options.apply {
            true => flow_sinks::open_with(url, base.rows.rollups)?.raw,
            false => None,
        };
        Ok(Replayed {
            raw,
            checkpoint,
            others: recomputed.tables.others,
            sink,
            left_behind: BTreeSet::new(),
            slots: 0,
            flows: 0,
        })
    }

    /// Slots of which there are raw flows.
    pub(in super::super) fn slots(&self) -> BTreeSet<u64> {
        self.raw.slots()
    }

    /// Whether a slot has to wait for the store's raw flows.
    pub(in super::super) fn is_behind(&mut self, slot_secs: u64) -> bool {
        let is_behind = self.raw.behind.contains(&slot_secs);
        if is_behind {
            self.left_behind.insert(slot_secs);
        }
        is_behind
    }

    /// Prints how a slot differs, if it does. `rows_differ`: its rows do.
    ///
    /// # Errors
    /// If either side cannot be read.
    pub(in super::super) fn show(
        &mut self,
        (slot_secs, rows_differ): (u64, bool),
        shown: &mut Shown<'_, impl Write>,
    ) -> Result<bool, Failure> {
        if !self.raw.differs(slot_secs) || (self.others && !rows_differ) {
            shown.equal += 1;
            return Ok(false);
        }
        shown.differ += 1;
        let mut by_kind: BTreeMap<Kind, u64> = BTreeMap::new();
        let mut first: Vec<Difference> = Vec::new();
        self.raw.each(slot_secs, &mut |difference| {
            *by_kind.entry(difference.kind).or_default() += 1;
            if first.len() < shown.options.largest {
                first.push(difference.clone());
            }
            Ok(())
        })?;
        let digests = self.raw.digests(slot_secs);
        let count = |kinds: &[Kind]| -> u64 { kinds.iter().filter_map(|k| by_kind.get(k)).sum() };
        let rows = [
            count(&[Kind::Missing]),
            count(&[Kind::Extra, Kind::Doubled]),
            count(&[Kind::Changed]),
        ];
        let about = (self.raw.look.name(), slot_secs);
        match shown.options.json {
            true => shown.print(&line(about, rows, digests, &first).to_string())?,
            false => table(about, rows, digests, &first, shown)?,
        }
        Ok(true)
    }

    /// Replaces the raw flows of a slot.
    ///
    /// # Errors
    /// If they cannot be written; it can be begun again.
    pub(in super::super) fn put(&mut self, slot_secs: u64, generation: u64) -> Result<(), Failure> {
        let Some(sink) = &mut self.sink else {
            let what = format!(
                "sink {}: its raw flows cannot be written",
                self.raw.look.name()
            );
            return Err(Failure::new(Exit::Config, what));
        };
        let rows = Flows {
            flows: &self.raw.flows,
            slot_secs,
        };
        let replacement = RawReplacement {
            job: &self.checkpoint.job,
            range: &self.raw.of_slot(slot_secs),
            generation,
            rows: &rows,
            digest: self.raw.digests(slot_secs).1,
            now_secs: clock::now_ns() / 1_000_000_000,
        };
        self.flows += patiently(|| sink.replace(&replacement))?;
        self.slots += 1;
        Ok(())
    }

    /// Says what was done, and what was not.
    pub(in super::super) fn end(&self) {
        self.raw.tell();
        let sink = self.raw.look.name();
        tell(sink, &self.left_behind, BEHIND);
        if self.sink.is_some() {
            let (slots, flows) = (self.slots, self.flows);
            tracing::info!(sink, slots, flows, "raw flows replaced");
        }
    }
}

fn sums(digest: &RawDigest) -> Value {
    let number = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
    json!({
        "flows": digest.flows, "counted": digest.counted,
        "bytes": number(digest.bytes), "packets": number(digest.packets),
    })
}

fn line(
    (sink, slot_secs): (&str, u64),
    [added, removed, changed]: [u64; 3],
    (before, after): (RawDigest, RawDigest),
    first: &[Difference],
) -> Value {
    let first = first.iter().map(|d| told::difference(sink, slot_secs, d));
    json!({
        "sink": sink, "rollup": RAW_FLOWS, "slot": time(slot_secs),
        "rows": { "added": added, "removed": removed, "changed": changed },
        "before": sums(&before), "after": sums(&after),
        "largest": first.collect::<Vec<_>>(),
    })
}

fn table(
    (_, slot_secs): (&str, u64),
    [added, removed, changed]: [u64; 3],
    (before, after): (RawDigest, RawDigest),
    first: &[Difference],
    shown: &mut Shown<'_, impl Write>,
) -> Result<(), Failure> {
    shown.print(&format!(
        "{:<20} {RAW_FLOWS:<17} {added:>8} {removed:>8} {changed:>8} {:>12} {:>12} {:>18} {:>18}",
        time(slot_secs),
        before.flows,
        after.flows,
        before.bytes,
        after.bytes
    ))?;
    for difference in first {
        shown.print(&format!("    {}", told::line(difference)))?;
    }
    Ok(())
}

/// A slot's flows as a store takes them.
struct Flows<'a> {
    flows: &'a SlotFlows<'a>,
    slot_secs: u64,
}

impl std::fmt::Debug for Flows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slot = self.slot_secs;
        f.debug_struct("Flows")
            .field("slot", &slot)
            .finish_non_exhaustive()
    }
}

impl RawRows for Flows<'_> {
    fn for_each(
        &self,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let mut failed = None;
        let read = self
            .flows
            .of_slot(self.slot_secs, &mut |flow| match take(flow) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            });
        match failed {
            Some(error) => Err(error),
            None => read.map_err(|error| raw_topic::explain(&error)),
        }
    }
}
