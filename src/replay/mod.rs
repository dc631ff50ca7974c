//! `replay`: computes slots again from the retained topic, and shows how they differ from what a store holds.
//!
//! Law: without `--apply` it reads; state, topic and stores stay as they are.

mod apply;
mod base;
mod json;
mod recompute;
mod shown;
mod slot_row;
mod slots;
mod tables;
pub(crate) mod verify;

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flow_dataflow::Counting;
use flow_proto::Rollup;
use flow_state::Checkpoint;

use apply::Apply;
use base::{Base, Stored};
use recompute::recompute;
use shown::Shown;
use slots::Sides;
use tables::Tables;

use crate::failure::{Exit, Failure};
use crate::progress::{LiveLine, time};
use crate::{cli, signals};

/// Between two looks at a job that is waited for.
const LOOK: Duration = Duration::from_secs(1);

/// Prints the difference, and with `--apply` makes an end of it.
pub(crate) fn run(options: &cli::Replay) -> Result<(), Failure> {
    let asked = signals::install()?;
    let base = settled(options, &asked)?;
    let mut shown = Shown::new(options, io::stdout().lock());
    for url in &options.range.sink {
        one(options, &base, url, (&mut shown, &asked))?;
    }
    Ok(())
}

/// The job as it stands, with `--wait` once it is through with the slots.
fn settled(options: &cli::Replay, asked: &AtomicBool) -> Result<Base, Failure> {
    let mut line = LiveLine::new();
    loop {
        let base = Base::open(&options.range)?;
        if !options.wait || base.is_settled(&options.range.sink)? {
            return Ok(base);
        }
        if asked.load(Ordering::Acquire) {
            return Err(Failure::new(
                Exit::Io,
                "asked to end before the slots had retired",
            ));
        }
        line.show(|| {
            format!(
                "waiting until every slot before {} has retired",
                time(base.slots.1)
            )
        });
        thread::sleep(LOOK);
    }
}

fn one(
    options: &cli::Replay,
    base: &Base,
    url: &str,
    (shown, asked): (&mut Shown<'_, impl io::Write>, &AtomicBool),
) -> Result<(), Failure> {
    let mut stored = base.store(url)?;
    let checkpoint = base.checkpoint(&stored)?;
    let counting = match options.as_recorded {
        true => Counting::AsRecorded,
        false => every(&checkpoint, &stored, base)?,
    };
    let tables = Tables::wanted(options, base, &checkpoint)?;
    let how = (counting, tables);
    let recomputed = recompute(base, &checkpoint, how, (&options.range, asked))?;
    let sink = stored.look.name().to_owned();
    let mut apply = match options.apply {
        true => Some(Apply::open(url, base, &checkpoint, &recomputed)?),
        false => None,
    };
    let mut sides = Sides {
        base,
        checkpoint: &checkpoint,
        recomputed: &recomputed,
        stored: &mut stored,
        as_replaced: false,
    };
    shown.begin(&sink)?;
    for slot_secs in sides.slots()? {
        let (mut differs, mut replaceable) = (false, false);
        for rollup in Rollup::ALL {
            let Some(compared) = sides.compare(rollup, slot_secs)? else {
                shown.not_compared(slot_secs);
                continue;
            };
            replaceable = compared.replaceable;
            differs |= compared.differs();
            let known = sides.stored.slots.get(&slot_secs);
            shown.slot(&sink, &compared, known)?;
        }
        match &mut apply {
            Some(apply) if differs && replaceable => apply.slot(slot_secs, sides.stored)?,
            Some(_) if differs => shown.left_alone(slot_secs),
            _ => {}
        }
        if asked.load(Ordering::Acquire) {
            let ended = Failure::new(Exit::Io, "asked to end before all slots were through");
            return Err(match options.apply {
                true => ended.hint("run it again: slots that were replaced stay so"),
                false => ended,
            });
        }
    }
    shown.end(&sink)?;
    apply.map_or(Ok(()), Apply::end)
}

/// Every flow that the job has seen of these slots: how far away it has to be looked for follows from what it has refused.
fn every(checkpoint: &Checkpoint, stored: &Stored, base: &Base) -> Result<Counting, Failure> {
    let (mut early, mut late) = (false, false);
    let range = base.slots.0..base.slots.1;
    let mut slots: BTreeSet<u64> = stored.slots.keys().copied().collect();
    slots.extend(checkpoint.slots.range(range.clone()).map(|(slot, _)| slot));
    slots.extend(base.replaced.range(range).map(|(slot, _)| slot));
    for slot_secs in slots {
        let refused = base.refused(stored, checkpoint, slot_secs)?;
        early |= refused.too_early > 0;
        late |= refused.too_late > 0;
    }
    Ok(Counting::Every { early, late })
}
