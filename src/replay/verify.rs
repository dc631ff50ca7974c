//! `verify`: computes slots again as the job has counted them, and says whether stores hold just that.
//!
//! Law: it reads. Equal is exit code 0, different 1, with each row that differs on standard output.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use flow_dataflow::Counting;
use flow_proto::Rollup;
use flow_sinks::DifferenceKind;
use serde_json::{Value, json};

use super::base::Base;
use super::json;
use super::recompute::{Recomputed, recompute};
use super::slots::Sides;
use super::tables::Tables;
use crate::failure::{Exit, Failure};
use crate::progress::time;
use crate::{cli, signals};

/// Compares each store.
pub(crate) fn run(options: &cli::Verify) -> Result<(), Failure> {
    let asked = signals::install()?;
    let base = Base::open(&options.range)?;
    let mut computed = BTreeMap::new();
    let (mut found, mut compared, mut left) = (0, 0, 0);
    for url in &options.range.sink {
        let tally = one(options, &base, url, (&mut computed, &asked))?;
        found += tally.found();
        compared += tally.compared;
        left += tally.not_compared.len();
    }
    if found > 0 {
        return Err(Failure::new(
            Exit::Different,
            format!("{found} differences"),
        ));
    }
    // A range without flows that the job is through with is equal.
    if compared == 0 && (left > 0 || !base.is_reached()) {
        return Err(Failure::new(Exit::Unavailable, "no slot of the range could be compared")
            .hint("a slot is compared once the store has it whole; slots that the job has not reached are open"));
    }
    Ok(())
}

/// What became of a store's slots.
#[derive(Default)]
struct Tally {
    compared: u64,
    not_compared: BTreeSet<u64>,
    rows: BTreeMap<DifferenceKind, u64>,
    /// Rows of the table `slots` that say something else.
    slots: u64,
    /// Rows that hold what is never written.
    unreadable: u64,
}

impl Tally {
    fn found(&self) -> u64 {
        self.rows.values().sum::<u64>() + self.slots + self.unreadable
    }
}

fn one(
    options: &cli::Verify,
    base: &Base,
    url: &str,
    (computed, asked): (&mut BTreeMap<u64, Recomputed>, &AtomicBool),
) -> Result<Tally, Failure> {
    let mut stored = base.store(url)?;
    let checkpoint = base.checkpoint(&stored)?;
    let recomputed = match computed.remove(&checkpoint.number) {
        Some(known) => known,
        None => {
            let how = (Counting::AsRecorded, Tables::recorded(&checkpoint));
            recompute(base, &checkpoint, how, (&options.range, asked))?
        }
    };
    let sink = stored.look.name().to_owned();
    let mut sides = Sides {
        base,
        checkpoint: &checkpoint,
        recomputed: &recomputed,
        stored: &mut stored,
        as_replaced: true,
    };
    let mut tally = Tally::default();
    let out = &mut io::stdout().lock();
    for slot_secs in sides.slots()? {
        if asked.load(Ordering::Acquire) {
            let what = "asked to end before all slots were compared";
            return Err(Failure::new(Exit::Io, what));
        }
        for rollup in Rollup::ALL {
            let Some(slot) = sides.compare(rollup, slot_secs)? else {
                tally.not_compared.insert(slot_secs);
                continue;
            };
            tally.compared += u64::from(rollup == Rollup::As);
            for difference in &slot.differences {
                *tally.rows.entry(difference.kind()).or_default() += 1;
                print(out, &json::difference(&sink, difference))?;
            }
            if slot.unreadable > 0 {
                tally.unreadable += slot.unreadable;
                let line = json!({
                    "sink": sink, "rollup": rollup.table(), "slot": time(slot_secs), "kind": "unreadable",
                    "rows": slot.unreadable,
                });
                print(out, &line)?;
            }
            if let Some((should, is)) = slot.slot_row {
                tally.slots += 1;
                let line = json!({
                    "sink": sink, "rollup": flow_sinks::columns::SLOTS, "slot": time(slot_secs),
                    "kind": if is.is_none() { DifferenceKind::Missing } else { DifferenceKind::Changed }.name(),
                    "computed": should, "stored": is,
                });
                print(out, &line)?;
            }
        }
    }
    computed.insert(checkpoint.number, recomputed);
    let kinds = DifferenceKind::ALL.map(|kind| {
        let count = tally.rows.get(&kind).copied().unwrap_or(0);
        format!("{count} {}", kind.name())
    });
    tracing::info!(
        sink,
        slots = tally.compared,
        checkpoint = checkpoint.number,
        slot_rows = tally.slots,
        unreadable = tally.unreadable,
        "compared; rows: {}",
        kinds.join(", ")
    );
    tell(&sink, &tally.not_compared, NOT_COMPARED);
    Ok(tally)
}

/// A difference. Who reads no further has heard that there are some.
fn print(out: &mut impl Write, line: &Value) -> Result<(), Failure> {
    match writeln!(out, "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            let what = "different; nobody reads how";
            Err(Failure::new(Exit::Different, what))
        }
        printed => Ok(printed?),
    }
}

/// Why slots were left aside.
pub(super) const NOT_COMPARED: &str =
    "not compared: the store is behind the job there, or has moved on meanwhile";

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
