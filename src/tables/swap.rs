//! `tables swap`: other tables for a running job, from one slot on.
//!
//! Law 3: it asks, and the job decides; what it prints is what a checkpoint of the job says.

use std::io::{self, Write};

use flow_tables::TableSet;
use serde_json::json;

use super::answer::{Answer, answer};
use super::ask::{self, Wanted, ask, in_force};
use super::load;
use super::plausible::{self, Change, changes};
use crate::cli;
use crate::failure::{Exit, Failure};
use crate::job_status::newest;
use crate::progress::time;

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
    if !options.json {
        told(&changes, out)?;
    }
    if options.dry_run {
        return Ok(());
    }
    let wanted = Wanted {
        set: &set,
        report: &report,
        base,
        given: None,
        by: "command",
    };
    let request = ask(&state, Some(&checkpoint), &wanted)?;
    let answer = answer(&state, request, options.timeout)?;
    show((options, request), answer, &changes, out)
}

/// What the swap changes, kind by kind.
fn told(changes: &[Change], out: &mut impl Write) -> io::Result<()> {
    for change in changes {
        let [before, after] = change.ranges;
        let [v4, v6] = change.addresses.map(|part| part * 100.0);
        writeln!(
            out,
            "{:<8} {before} ranges -> {after}; other values for {v4:.3} % of IPv4 and {v6:.3} % of IPv6 addresses",
            change.kind.to_string()
        )?;
    }
    Ok(())
}

fn show(
    (options, request): (&cli::TablesSwap, u64),
    answer: Answer,
    changes: &[Change],
    out: &mut impl Write,
) -> Result<(), Failure> {
    let changes: Vec<_> = changes.iter().map(Change::json).collect();
    match answer {
        Answer::InForce(version, from) if options.json => {
            let line = json!({ "request": request, "version": version, "from_slot": time(from), "changes": changes });
            writeln!(out, "{line}")?;
        }
        Answer::InForce(version, from) => {
            writeln!(
                out,
                "version {version} in force from slot {} on",
                time(from)
            )?;
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
