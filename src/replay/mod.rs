//! `replay`: computes slots again from the retained topic, and shows how they differ from what a store holds.
//!
//! Law: without `--apply` it reads; state, topic and stores stay as they are.

mod against;
mod apply;
mod base;
mod computation;
mod computed;
mod json;
mod others;
mod queued;
mod raw;
mod recompute;
mod repair;
mod replacement;
mod shown;
mod slot_row;
mod slots;
mod tables;
mod throttled;
pub(crate) mod verify;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flow_dataflow::{Counting, SamplingRates};
use flow_proto::{Addr, Rollup, Rollups};

use apply::Apply;
use base::{Base, Refused};
use raw::Replayed;
use recompute::{How, Workshop};
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
    fits(options)?;
    let place = (options.state.as_path(), options.topic.as_str());
    if options.range.cluster.process > 0 {
        return others::follow(&options.range, place);
    }
    let asked = signals::install()?;
    let rates = options.sampling_rate.iter();
    let rates = SamplingRates::new(rates.map(|(at, rate)| (Addr::from(*at), *rate)));
    // What cannot be looked at or written is told before anything is computed.
    raw::check(&options.range, &options.sink)?;
    let rollups = base::rollups_of(&options.state)?;
    drop(options.range.rollups(rollups)?);
    one_window(options, rollups)?;
    if let Some(url) = &options.into {
        drop(apply::open_target(url, rollups)?);
    }
    let mut workshop = Workshop::open(&options.range, rates, place, &asked)?;
    let base = settled(options, &asked)?;
    let mut shown = Shown::new(options, io::stdout().lock());
    for url in &options.sink {
        let stored = base.store(url)?;
        let compared = options.into.as_deref().map(flow_topic::shown);
        shown.begin(compared.unwrap_or_else(|| stored.look.name().to_owned()));
        let parts = match (options.repair, options.queued) {
            (true, _) => repair::parts(&base, &stored)?,
            (_, true) => queued::parts(&base, &stored)?,
            _ => vec![base.clone()],
        };
        for part in parts {
            one(options, &part, url, (&mut workshop, &mut shown, &asked))?;
        }
        shown.end()?;
    }
    workshop.end()?;
    shown.conclude()
}

/// What the flags cannot say of each other.
fn fits(options: &cli::Replay) -> Result<(), Failure> {
    let refuse = |what: &str, hint: &str| Err(Failure::new(Exit::Usage, what).hint(hint));
    let bounded = options.range.from.is_some() && options.range.to.is_some();
    if !options.repair && !options.queued && !bounded {
        return refuse(
            "--from TIME and --to TIME are needed",
            "--repair and --queued find the slots themselves",
        );
    }
    if options.queued && (options.range.from.is_some() || options.range.to.is_some()) {
        return refuse(
            "--queued: which slots are queued was said by `tables swap --from`",
            "leave --from and --to out",
        );
    }
    if options.apply && options.into.is_none() && !options.given.table.is_empty() {
        return refuse(
            "--table and --apply: rows of the job's store name a version of its tables",
            "give the files to run, then they are a version; or --into another store",
        );
    }
    if options.repair && options.wait && !bounded {
        return refuse(
            "--repair --wait: there is no end to wait for",
            "--from and --to say which slots are waited for",
        );
    }
    if options.into.is_some() && options.sink.len() > 1 {
        return refuse(
            "--into goes with one --sink",
            "that is the store which knows what the job has refused",
        );
    }
    Ok(())
}

/// A slot is replaced in one generation as a whole, and with it what longer slots hold of it: no record says that yet.
fn one_window(options: &cli::Replay, rollups: Rollups) -> Result<(), Failure> {
    let longer = |one: &Rollup| one.window_secs() > rollups.base().window_secs();
    match rollups.iter().find(longer) {
        Some(one) if options.apply => {
            let what = format!(
                "--apply: {} sums longer slots, which would have to be replaced with those within them",
                one.table()
            );
            Err(Failure::new(Exit::Config, what)
                .hint("without --apply it says what differs; verify does so, too"))
        }
        _ => Ok(()),
    }
}

/// The job as it stands, with `--wait` once it is through with the slots.
fn settled(options: &cli::Replay, asked: &AtomicBool) -> Result<Base, Failure> {
    let mut line = LiveLine::new();
    loop {
        let mut base = Base::open(&options.state, &options.topic, &options.range)?;
        if options.queued {
            base = base.queued()?;
        }
        if !options.wait || base.is_settled(&options.sink)? {
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
    (workshop, shown, asked): (
        &mut Workshop<'_>,
        &mut Shown<'_, impl io::Write>,
        &AtomicBool,
    ),
) -> Result<(), Failure> {
    let mut stored = base.store(url)?;
    let checkpoint = base.checkpoint(&stored)?;
    let refused = base.refused(&stored, &checkpoint)?;
    let how = How {
        counting: match options.as_recorded {
            true => Counting::AsRecorded,
            false => every(&refused),
        },
        tables: Tables::wanted(options, base, &checkpoint)?,
        // What cannot be repaired does not keep what can.
        partial: options.range.partial || options.repair,
    };
    let recomputed = workshop.recompute(base, &checkpoint, how)?;
    let url = options.into.as_deref().unwrap_or(url);
    let asked_for = options.range.rollups(base.rows.rollups)?;
    let mut apply = None;
    if options.apply {
        let (sink, rollups) = match options.into {
            Some(_) => (
                apply::open_target(url, base.rows.rollups)?,
                Some(asked_for.clone()),
            ),
            None => (apply::open(url, base.rows.rollups)?, None),
        };
        let computed = (&checkpoint, &recomputed);
        apply = Some(Apply::new(sink, base, computed, rollups));
    }
    if options.into.is_some() {
        stored = base.target(url)?;
    }
    let mut raw = match options.range.raw {
        true => Some(Replayed::open(
            (url, &stored),
            base,
            (&checkpoint, &recomputed),
            (options, asked),
        )?),
        false => None,
    };
    let mut sides = Sides {
        base,
        checkpoint: &checkpoint,
        recomputed: &recomputed,
        stored: &mut stored,
        refused: &refused,
        is_target: options.into.is_some(),
        as_replaced: false,
    };
    let mut slots = sides.slots()?;
    slots.extend(raw.iter().flat_map(Replayed::slots));
    slots.retain(|slot_secs| base.wants(*slot_secs));
    for slot_secs in slots {
        let lacking = recomputed.computed.lacking(slot_secs);
        if !lacking.is_empty() && !options.range.partial {
            shown.deleted(slot_secs);
            continue;
        }
        let (mut differs, mut replaceable, mut rows_differ) = (false, true, false);
        let all: Vec<Rollup> = base.rows.rollups.iter().collect();
        for rollup in base.rollups_at(&all, slot_secs) {
            let is_asked = asked_for.contains(&rollup);
            // Where the topic lacks something, a store that has more, of any key and rollup, knows more.
            if !is_asked && lacking.is_empty() {
                continue;
            }
            let Some(compared) = sides.compare(rollup, slot_secs)? else {
                shown.not_compared(slot_secs);
                continue;
            };
            replaceable &= compared.replaceable && (lacking.is_empty() || !compared.loses());
            rows_differ |= !compared.differences.is_empty();
            if is_asked {
                differs |= compared.differs();
                shown.slot(&compared, &sides.why(slot_secs))?;
            }
        }
        // What it has is not marked as partial for what the topic has let go of since.
        replaceable &= lacking.is_empty() || rows_differ;
        let raw_too = raw
            .as_mut()
            .map(|raw| raw.show((slot_secs, differs), shown));
        let raw_too = raw_too.transpose()?.unwrap_or(false);
        match &mut apply {
            Some(_) if raw.as_mut().is_some_and(|raw| raw.is_behind(slot_secs)) => {}
            Some(apply) if (differs || raw_too) && replaceable => {
                let known = sides.stored.slots.get(&slot_secs);
                let mut generation = known.map_or(0, |slot| slot.generation);
                if differs {
                    generation =
                        apply.slot(slot_secs, sides.refused_of(slot_secs), sides.stored)?;
                }
                if let Some(raw) = raw.as_mut().filter(|_| raw_too) {
                    raw.put(slot_secs, generation)?;
                }
            }
            Some(_) if differs || raw_too => shown.left_alone(slot_secs),
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
    raw.iter().for_each(Replayed::end);
    apply.map_or(Ok(()), Apply::end)
}

/// Every flow that the job has seen of these slots: how far away it has to be looked for follows from what it has refused.
fn every(refused: &Refused) -> Counting {
    Counting::Every {
        early: refused.values().any(|counts| counts.too_early > 0),
        late: refused.values().any(|counts| counts.too_late > 0),
    }
}
