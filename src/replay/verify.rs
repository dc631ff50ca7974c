//! `verify`: computes slots again as the job has counted them, and says whether stores hold just that.
//!
//! Law: it reads. Equal is exit code 0, different 1, with each row that differs on standard output.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use flow_dataflow::{Counting, SamplingRates};
use flow_sinks::{Difference, DifferenceKind, StoredSlot};
use serde_json::{Map, Value, json};

use super::base::{self, Base};
use super::raw;
use super::recompute::{How, Recomputed, Workshop};
use super::slot_row::{self, Columns, RowDifference};
use super::slots::Sides;
use super::tables::Tables;
use super::{against, json, others};
use crate::failure::{Exit, Failure};
use crate::progress::time;
use crate::{cli, signals};

/// Compares each store.
pub(crate) fn run(options: &cli::Verify) -> Result<(), Failure> {
    if options.range.from.is_none() || options.range.to.is_none() {
        let what = "--from TIME and --to TIME are needed";
        return Err(Failure::new(Exit::Usage, what));
    }
    let place = match (&options.against, &options.state, &options.topic) {
        (Some(other), ..) => return against::run(options, other),
        (None, Some(state), Some(topic)) => (state.as_path(), topic.as_str()),
        _ => return Err(Failure::new(Exit::Usage, "--state and --topic are needed")),
    };
    if options.range.cluster.process > 0 {
        return others::follow(&options.range, place);
    }
    let asked = signals::install()?;
    raw::check(&options.range, &options.sink)?;
    drop(options.range.rollups(base::rollups_of(place.0)?)?);
    let rates = SamplingRates::default();
    let mut workshop = Workshop::open(&options.range, rates, place, &asked)?;
    let base = Base::open(place.0, place.1, &options.range)?;
    let mut computed = BTreeMap::new();
    let mut all = Vec::new();
    for url in &options.sink {
        all.push(one(
            options,
            &base,
            url,
            (&mut workshop, &mut computed, &asked),
        )?);
    }
    workshop.end()?;
    // A range without flows that the job is through with is equal.
    conclude(&all, base.is_reached())
}

/// The exit code.
pub(super) fn conclude(all: &[Tally], is_reached: bool) -> Result<(), Failure> {
    let found: u64 = all.iter().map(Tally::found).sum();
    if found > 0 {
        return Err(Failure::new(
            Exit::Different,
            format!("{found} differences"),
        ));
    }
    // Who asks whether a range is right must not hear that it is while a part of it is not known.
    let left: usize = all.iter().map(|tally| tally.not_compared.len()).sum();
    if left > 0 {
        let what = format!("{left} slots could not be compared, the others are equal");
        return Err(Failure::new(Exit::Unavailable, what)
            .hint("a slot is compared once the store has it whole: try again when it has caught up with the job"));
    }
    let compared = all.iter().any(|tally| tally.compared > 0);
    let deleted = all.iter().any(|tally| !tally.deleted.is_empty());
    if !compared && deleted {
        let what = "no slot of the range could be compared: the topic does not hold them any more";
        return Err(Failure::new(Exit::Unavailable, what));
    }
    if !compared && !is_reached {
        return Err(
            Failure::new(Exit::Unavailable, "no slot of the range could be compared")
                .hint("the job has not reached these slots"),
        );
    }
    Ok(())
}

/// What became of a store's slots.
#[derive(Default)]
pub(super) struct Tally {
    sink: String,
    /// The other store, if it was not the topic that was compared with.
    against: Option<String>,
    pub(super) compared: u64,
    pub(super) not_compared: BTreeSet<u64>,
    deleted: BTreeSet<u64>,
    rows: BTreeMap<DifferenceKind, u64>,
    /// Rows of the table `slots` that say something else.
    slots: u64,
    /// Rows that hold what is never written.
    unreadable: u64,
    /// Raw flows that differ.
    raw: u64,
}

impl Tally {
    /// Of a store, beside the topic or another store.
    pub(super) fn new(sink: &str, against: Option<&str>) -> Tally {
        Tally {
            sink: sink.to_owned(),
            against: against.map(str::to_owned),
            ..Tally::default()
        }
    }

    fn found(&self) -> u64 {
        self.rows.values().sum::<u64>() + self.slots + self.unreadable + self.raw
    }

    /// Rows of a rollup's slot. `more`: what is known of the slot besides.
    pub(super) fn rows(
        &mut self,
        (differences, unreadable): (&[Difference], u64),
        (table, slot_secs): (&str, u64),
        more: &Map<String, Value>,
    ) -> Result<(), Failure> {
        for difference in differences {
            *self.rows.entry(difference.kind()).or_default() += 1;
            self.print(json::difference(&self.sink, difference), more)?;
        }
        if unreadable > 0 {
            self.unreadable += unreadable;
            let line = json!({
                "sink": self.sink, "rollup": table, "slot": time(slot_secs), "kind": "unreadable", "rows": unreadable,
            });
            self.print(line, more)?;
        }
        Ok(())
    }

    /// The slot's row of `slots`, if it differs.
    pub(super) fn slot_row(
        &mut self,
        differs: Option<RowDifference>,
        slot_secs: u64,
        more: &Map<String, Value>,
    ) -> Result<(), Failure> {
        let Some((should, is)) = differs else {
            return Ok(());
        };
        let kind = match is {
            None => DifferenceKind::Missing,
            Some(_) => DifferenceKind::Changed,
        };
        self.row_of_slots(kind, slot_secs, (Some(should), is), more)
    }

    /// A row of `slots` that the other store has not.
    pub(super) fn extra_slot_row(
        &mut self,
        ours: &StoredSlot,
        more: &Map<String, Value>,
    ) -> Result<(), Failure> {
        let stored = slot_row::said(ours);
        self.row_of_slots(
            DifferenceKind::Extra,
            ours.slot_secs,
            (None, Some(stored)),
            more,
        )
    }

    fn row_of_slots(
        &mut self,
        kind: DifferenceKind,
        slot_secs: u64,
        (computed, stored): (Option<Columns>, Option<Columns>),
        more: &Map<String, Value>,
    ) -> Result<(), Failure> {
        self.slots += 1;
        let line = json!({
            "sink": self.sink, "rollup": flow_sinks::columns::SLOTS, "slot": time(slot_secs),
            "kind": kind.name(), "computed": computed, "stored": stored,
        });
        self.print(line, more)
    }

    /// A difference. Who reads no further has heard that there are some.
    fn print(&self, mut line: Value, more: &Map<String, Value>) -> Result<(), Failure> {
        if let Value::Object(line) = &mut line {
            line.extend(more.clone());
            if let Some(against) = &self.against {
                line.insert("against".to_owned(), against.as_str().into());
            }
        }
        print(&mut io::stdout().lock(), &line)
    }

    /// Says what was found.
    pub(super) fn tell(&self) {
        let kinds = DifferenceKind::ALL.map(|kind| {
            let count = self.rows.get(&kind).copied().unwrap_or(0);
            format!("{count} {}", kind.name())
        });
        tracing::info!(
            sink = self.sink,
            against = self.against,
            slots = self.compared,
            slot_rows = self.slots,
            unreadable = self.unreadable,
            "compared; rows: {}",
            kinds.join(", ")
        );
        tell(&self.sink, &self.not_compared, NOT_COMPARED);
        tell(&self.sink, &self.deleted, DELETED);
    }
}

fn one(
    options: &cli::Verify,
    base: &Base,
    url: &str,
    (workshop, computed, asked): (
        &mut Workshop<'_>,
        &mut BTreeMap<u64, Recomputed>,
        &AtomicBool,
    ),
) -> Result<Tally, Failure> {
    let mut stored = base.store(url)?;
    let checkpoint = base.checkpoint(&stored)?;
    let recomputed = match computed.remove(&checkpoint.number) {
        Some(known) => known,
        None => {
            let how = How {
                counting: Counting::AsRecorded,
                tables: Tables::recorded(&checkpoint),
                partial: options.range.partial,
            };
            workshop.recompute(base, &checkpoint, how)?
        }
    };
    let rollups = options.range.rollups(base.rows.rollups)?;
    let refused = base.refused(&stored, &checkpoint)?;
    let mut tally = Tally::new(stored.look.name(), None);
    let mut sides = Sides {
        base,
        checkpoint: &checkpoint,
        recomputed: &recomputed,
        stored: &mut stored,
        refused: &refused,
        is_target: false,
        as_replaced: true,
    };
    for slot_secs in sides.slots()? {
        until_asked(asked)?;
        if !recomputed.computed.lacking(slot_secs).is_empty() {
            tally.deleted.insert(slot_secs);
            continue;
        }
        let more = json::why(&sides.why(slot_secs));
        let mut whole = true;
        for rollup in base.rollups_at(&rollups, slot_secs) {
            let Some(slot) = sides.compare(rollup, slot_secs)? else {
                whole = false;
                continue;
            };
            let found = (slot.differences.as_slice(), slot.unreadable);
            tally.rows(found, (rollup.table(), slot_secs), &more)?;
            tally.slot_row(slot.slot_row, slot_secs, &more)?;
        }
        match whole {
            true => tally.compared += 1,
            false => drop(tally.not_compared.insert(slot_secs)),
        }
    }
    if options.range.raw {
        let out = &mut io::stdout().lock();
        tally.raw = raw::verify((url, sides.stored), base, &checkpoint, (out, asked))?;
    }
    computed.insert(checkpoint.number, recomputed);
    tally.tell();
    Ok(tally)
}

/// A difference. Who reads no further has heard that there are some.
pub(super) fn print(out: &mut impl Write, line: &Value) -> Result<(), Failure> {
    match writeln!(out, "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            let what = "different; nobody reads how";
            Err(Failure::new(Exit::Different, what))
        }
        printed => Ok(printed?),
    }
}

/// Ends when it is asked to.
pub(super) fn until_asked(asked: &AtomicBool) -> Result<(), Failure> {
    match asked.load(Ordering::Acquire) {
        true => Err(Failure::new(
            Exit::Io,
            "asked to end before all slots were compared",
        )),
        false => Ok(()),
    }
}

/// Why slots were left aside.
pub(super) const NOT_COMPARED: &str =
    "not compared: the store is behind the job there, or has moved on meanwhile";

/// Why others were.
pub(super) const DELETED: &str =
    "left aside: the topic does not hold all that these slots were made of any more";

/// Names slots, if there are any, and what became of them.
pub(super) fn tell(sink: &str, slots: &BTreeSet<u64>, what: &str) {
    if let (Some(first), Some(last)) = (slots.first(), slots.last()) {
        tracing::warn!(
            sink,
            slots = slots.len(),
            from = time(*first),
            to = time(*last),
            "{what}"
        );
    }
}
