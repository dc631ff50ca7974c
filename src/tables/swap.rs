//! `tables swap`: other tables for a running job, from one slot on.
//!
//! Law 3: it asks, and the job decides; what it prints is what a checkpoint of the job says.

use std::io::{self, Write};

use flow_tables::TableSet;
use serde_json::{Value, json};

use super::answer::{Answer, answer};
use super::ask::{self, Wanted, ask, in_force};
use super::load;
use super::past::Past;
use super::plausible::{self, Change, changes};
use crate::failure::{Exit, Failure};
use crate::job_status::newest;
use crate::progress::time;
use crate::{cli, clock};

/// Checks, asks, waits for the answer.
pub(crate) fn run(options: &cli::TablesSwap, out: &mut impl Write) -> Result<(), Failure> {
    if options.tables.table.is_empty() {
        let what = "tables swap: name at least one table by --table KIND=PLACE";
        return Err(Failure::new(Exit::Usage, what));
    }
    let (state, checkpoint) = newest(&options.state)?;
    let (new, report) = load(&options.tables)?;
    let base = in_force(&checkpoint).map(|(_, version)| version);
    let old = base.map(|version| ask::load(&state, version)).transpose()?;
    let asn_order = match &old {
        Some(old) if options.tables.asn_order.is_empty() => old.asn_order.clone(),
        _ => new.asn_order.clone(),
    };
    let set = TableSet {
        asn_order,
        ..old.clone().unwrap_or_default().with(new)
    };
    let changes = old.map_or_else(Vec::new, |old| changes(&old, &set));
    let judged = (&options.plausible, options.force);
    plausible::admit(&changes, (&set, &report), judged)?;
    let found = (&state, &checkpoint, &set);
    let past = options
        .from
        .map(|from| Past::new(from, clock::now_ns(), found));
    let past = past.transpose()?;
    if !options.json {
        told(&changes, "", out)?;
        past.iter().try_for_each(|past| past.told(out))?;
    }
    if options.dry_run {
        if options.json {
            writeln!(
                out,
                "{}",
                json!({ "changes": shown(&changes), "past": past.as_ref().map(Past::json) })
            )?;
        }
        return Ok(());
    }
    let wanted = Wanted {
        set: &set,
        report: &report,
        base,
        given: None,
        by: "command",
        from_secs: past.as_ref().map(|past| past.from_secs),
    };
    let request = ask(&state, Some(&checkpoint), &wanted)?;
    let answer = answer(&state, request, options.timeout)?;
    show((options, request), answer, (&changes, past.as_ref()), out)
}

fn shown(changes: &[Change]) -> Vec<Value> {
    changes.iter().map(Change::json).collect()
}

/// What the swap changes, kind by kind.
pub(super) fn told(changes: &[Change], indent: &str, out: &mut impl Write) -> io::Result<()> {
    for change in changes {
        let [before, after] = change.ranges;
        let [v4, v6] = change.addresses.map(|part| part * 100.0);
        writeln!(
            out,
            "{indent}{:<8} {before} ranges -> {after}; other values for {v4:.3} % of IPv4 and {v6:.3} % of IPv6 addresses",
            change.kind.to_string()
        )?;
    }
    Ok(())
}

fn show(
    (options, request): (&cli::TablesSwap, u64),
    answer: Answer,
    (changes, past): (&[Change], Option<&Past>),
    out: &mut impl Write,
) -> Result<(), Failure> {
    match answer {
        Answer::InForce(version, from, amended) if options.json => {
            let queued = amended.map(
                |it| json!({ "from_slot": time(it.from_secs), "until_slot": time(it.until_secs) }),
            );
            let line = json!({ "request": request, "version": version, "from_slot": time(from),
                "changes": shown(changes), "past": past.map(Past::json), "queued": queued });
            writeln!(out, "{line}")?;
        }
        Answer::InForce(version, from, amended) => {
            writeln!(
                out,
                "version {version} in force from slot {} on",
                time(from)
            )?;
            if let Some(amended) = amended {
                let (from, until) = (time(amended.from_secs), time(amended.until_secs));
                writeln!(
                    out,
                    "slots {from} to {until} are queued: flow-pipeline replay --queued --as-recorded --apply"
                )?;
            }
        }
        Answer::Refused(why) => {
            return Err(Failure::new(
                Exit::Config,
                format!("request {request} was refused by the job: {why}"),
            ));
        }
        Answer::None => {
            let what = format!("request {request} is put, and no job has taken it up yet");
            return Err(Failure::new(Exit::Unavailable, what)
                .hint("a job on this state takes it up when it runs; `tables list` shows what became of it"));
        }
    }
    Ok(())
}
