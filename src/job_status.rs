//! `status`: what a job's state and a store say of the job, for people or as JSON.
//!
//! Law: it reads, and takes no lock; of the state it reads the newest checkpoint that is whole, and nothing else.

mod shown;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use flow_dataflow::RowConfig;
use flow_sinks::{SlotQuery, StoredSlot};
use flow_state::{Checkpoint, StateError, StateStore};

use crate::failure::{Exit, Failure};
use crate::{cli, clock};

/// Prints it.
pub(crate) fn run(options: &cli::Status) -> Result<(), Failure> {
    let now = clock::now_ns();
    let secs = |when: crate::units::When| when.resolve_ns(now) / 1_000_000_000;
    let job = options.state.as_deref().map(newest).transpose()?;
    let job = job.map(|(_, checkpoint)| checkpoint);
    // Without a state, or of a job that this release knows not: the standard ones.
    let rows = job
        .as_ref()
        .and_then(|job| RowConfig::of_recorded(&job.config));
    let query = SlotQuery {
        rollup: rows.unwrap_or_default().rollups.base(),
        newest: options.newest,
        from_secs: options.from.map(secs),
        to_secs: options.to.map(secs),
        troubled: options.troubled,
    };
    let ends = options.topic.as_deref().map(ends).transpose()?;
    let stored = options.sink.as_deref();
    let stored = stored
        .map(|url| flow_sinks::look(url)?.slots(&query))
        .transpose()?;
    let of_job = job
        .as_ref()
        .map(|job| slots(job, &query))
        .unwrap_or_default();
    let shown = shown::Shown {
        job: job.as_ref(),
        ends: ends.unwrap_or_default(),
        slots: of_job,
        stored,
    };
    let out = &mut io::stdout().lock();
    if options.json {
        shown.json(out)?;
    } else {
        shown.tables(out)?;
    }
    Ok(())
}

/// A job's state, and its newest checkpoint that is whole.
///
/// # Errors
/// If there is none, or it cannot be read.
pub(crate) fn newest(path: &Path) -> Result<(StateStore, Checkpoint), Failure> {
    let state = flow_objects::join(path).map_err(|error| match error {
        StateError::Missing { .. } => {
            let what = format!("state {}: no state of a job", path.display());
            Failure::new(Exit::Config, what).hint("--state names the place that run was given")
        }
        error => error.into(),
    })?;
    let mut damaged = None;
    // The job may let go of any but its newest between the listing and the look.
    for number in state.numbers()?.into_iter().rev() {
        match state.checkpoint(number) {
            Ok(Some(checkpoint)) => return Ok((state, checkpoint)),
            Ok(None) => {}
            Err(error @ StateError::Damaged { .. }) => {
                tracing::warn!(%error, "the checkpoint before it is shown");
                damaged = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(error) = damaged {
        return Err(error.into());
    }
    // There has never been one, or a job has set them all aside as damaged, which this tells as it tells the job.
    let newest = state.newest()?;
    let newest = newest.ok_or_else(|| {
        let what = format!("state {}: without a checkpoint yet", path.display());
        Failure::new(Exit::Config, what)
            .hint("a job writes its first one within about ten seconds of the first flow")
    })?;
    Ok((state, newest))
}

/// Where a topic's partitions end.
fn ends(url: &str) -> Result<BTreeMap<u32, u64>, Failure> {
    let topic = flow_topic::url::open(url, None)?;
    let end = |p| Ok((p, topic.bounds(p)?.end));
    (0..topic.partitions()?).map(end).collect()
}

/// The slots of a checkpoint as a store would have them, newest first.
fn slots(job: &Checkpoint, query: &SlotQuery) -> Vec<StoredSlot> {
    let base = query.rollup;
    let row = |(slot, counts): (&u64, &flow_state::SlotCounts)| StoredSlot {
        slot_secs: *slot,
        state: flow_sinks::slot_state(job, base, *slot).name().to_owned(),
        partial: job.partial.contains(slot),
        generation: job.generation(*slot, base.window_secs()).into(),
        flows: counts.flows,
        too_early: counts.too_early,
        too_late: counts.too_late,
        implausible: counts.implausible,
        missing_partitions: job.missing_partitions(*slot),
        complete_through_secs: u64::try_from(job.watermark_ns)
            .ok()
            .map(|ns| ns / 1_000_000_000),
    };
    let wanted = |row: &StoredSlot| {
        query.from_secs.is_none_or(|from| row.slot_secs >= from)
            && query.to_secs.is_none_or(|to| row.slot_secs < to)
            && (!query.troubled || row.is_troubled())
    };
    let newest = usize::try_from(query.newest).unwrap_or(usize::MAX);
    job.slots
        .iter()
        .rev()
        .map(row)
        .filter(wanted)
        .take(newest)
        .collect()
}
