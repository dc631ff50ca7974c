//! `tables list`: the timeline of table versions, requests that wait, and those that were refused.
//!
//! Law: it reads, and takes no lock.

use std::io::{self, Write};

use flow_state::{Checkpoint, StateStore, SwapRequest, TableVersion};
use serde_json::{Value, json};

use crate::cli;
use crate::failure::Failure;
use crate::job_status::newest;
use crate::progress::time;

/// One version, with what is known of it.
struct Entry<'a> {
    version: &'a TableVersion,
    from_secs: u64,
    /// The first slot of the next one.
    until_secs: Option<u64>,
    about: Value,
}

/// Prints it.
pub(crate) fn run(options: &cli::TablesList, out: &mut impl Write) -> Result<(), Failure> {
    let (state, checkpoint) = newest(&options.state)?;
    let entries = entries(&state, &checkpoint, options.newest)?;
    let waiting = waiting(&state, &checkpoint)?;
    if options.json {
        for line in json(&entries, &waiting, &checkpoint) {
            writeln!(out, "{line}")?;
        }
    } else {
        table(&entries, &waiting, &checkpoint, out)?;
    }
    Ok(())
}

fn entries<'a>(
    state: &StateStore,
    checkpoint: &'a Checkpoint,
    newest: u32,
) -> Result<Vec<Entry<'a>>, Failure> {
    let versions = &checkpoint.timeline.versions;
    let newest = usize::try_from(newest).unwrap_or(usize::MAX);
    let skipped = versions.len().saturating_sub(newest);
    let mut entries = Vec::new();
    for (at, (from, version)) in versions.iter().enumerate().skip(skipped) {
        let about = state.table_description(&version.hash)?;
        let about = about.and_then(|text| serde_json::from_str(&text).ok());
        entries.push(Entry {
            version,
            from_secs: *from,
            until_secs: versions.get(at + 1).map(|(next, _)| *next),
            about: about.unwrap_or_default(),
        });
    }
    Ok(entries)
}

/// Requests that no checkpoint has decided.
fn waiting(state: &StateStore, checkpoint: &Checkpoint) -> Result<Vec<SwapRequest>, Failure> {
    let mut waiting = Vec::new();
    for number in state.swap_requests()? {
        if number > checkpoint.swaps.decided {
            waiting.extend(state.swap_request(number)?);
        }
    }
    Ok(waiting)
}

/// The first slot, `-` for the beginning.
fn slot(secs: u64) -> String {
    match secs {
        0 => "-".to_owned(),
        secs => time(secs),
    }
}

/// Its sources in a few words.
fn sources(about: &Value) -> String {
    let sources = about["sources"].as_array().map_or(&[][..], Vec::as_slice);
    let one = |source: &Value| {
        let text = |key: &str| source[key].as_str().unwrap_or("?").to_owned();
        format!(
            "{}={} ({} rows)",
            text("kind"),
            text("source"),
            source["rows"]
        )
    };
    let all: Vec<String> = sources.iter().map(one).collect();
    all.join(", ")
}

fn table(
    entries: &[Entry<'_>],
    waiting: &[SwapRequest],
    checkpoint: &Checkpoint,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(
        out,
        "version  from slot             until slot            hash          loaded from"
    )?;
    for entry in entries {
        let until = entry.until_secs.map_or_else(|| "in force".to_owned(), time);
        writeln!(
            out,
            "{:<7}  {:<20}  {until:<20}  {:.12}  {}",
            entry.version.number,
            slot(entry.from_secs),
            entry.version.hash,
            sources(&entry.about)
        )?;
    }
    for request in waiting {
        writeln!(
            out,
            "request {} waits for a job since {} (by {}): {:.12}",
            request.number,
            time(request.asked_secs),
            request.by,
            request.hash
        )?;
    }
    for amended in &checkpoint.swaps.amended {
        writeln!(
            out,
            "request {}: slots {} to {} are to have version {}: replay --queued",
            amended.request,
            slot(amended.from_secs),
            time(amended.until_secs),
            amended.version.number
        )?;
    }
    for outcome in &checkpoint.swaps.outcomes {
        match &outcome.result {
            Err(why) => writeln!(out, "request {} was refused: {why}", outcome.request)?,
            Ok(version) if is_replaced(checkpoint, *version) => writeln!(
                out,
                "request {}: version {version} was replaced before it had a slot",
                outcome.request
            )?,
            Ok(_) => {}
        }
    }
    Ok(())
}

/// A version that has never been in force for a slot.
fn is_replaced(checkpoint: &Checkpoint, number: u32) -> bool {
    let versions = &checkpoint.timeline.versions;
    let oldest = versions.first().map_or(0, |(_, version)| version.number);
    number > oldest && !versions.iter().any(|(_, version)| version.number == number)
}

/// What is amended of the past, as objects.
pub(crate) fn amended(checkpoint: &Checkpoint) -> impl Iterator<Item = Value> {
    checkpoint.swaps.amended.iter().map(|it| {
        json!({ "amended_by": it.request, "from_slot": time(it.from_secs), "until_slot": time(it.until_secs),
                "version": it.version.number })
    })
}

fn json(entries: &[Entry<'_>], waiting: &[SwapRequest], checkpoint: &Checkpoint) -> Vec<Value> {
    let mut lines: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let from = (entry.from_secs > 0).then(|| time(entry.from_secs));
            json!({ "version": entry.version.number, "from_slot": from,
                    "until_slot": entry.until_secs.map(time), "hash": entry.version.hash, "about": entry.about })
        })
        .collect();
    lines.extend(waiting.iter().map(|request| {
        json!({ "waiting": request.number, "asked": time(request.asked_secs), "by": request.by, "hash": request.hash })
    }));
    lines.extend(amended(checkpoint));
    let outcomes = checkpoint.swaps.outcomes.iter();
    lines.extend(outcomes.filter_map(|outcome| match &outcome.result {
        Err(why) => Some(json!({ "refused": outcome.request, "why": why })),
        Ok(version) if is_replaced(checkpoint, *version) => {
            Some(json!({ "replaced": outcome.request, "was_version": version }))
        }
        Ok(_) => None,
    }));
    lines
}
