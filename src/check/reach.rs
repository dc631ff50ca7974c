//! What a command's flags point to: topic, state, stores; looked at, not changed.
//!
//! Law: what is not there and would be made at the start is told as such and not made. A state directory is locked
//! for the moment in which it is read, so that a running job is seen by its lock.

use std::path::Path;
use std::sync::Arc;

use flow_dataflow::JobConfig;
use flow_objects::Place;
use flow_proto::Rollups;
use flow_sinks::Standing;
use flow_state::{StateError, StateStore};
use flow_topic::{Timestamps, Topic, TopicError};

use super::finding::Findings;
use super::stores::shown;
use crate::topic::word;

/// The topic; `None` if it cannot be opened. `made`: a missing one is made at the start.
pub(super) fn topic(url: &str, made: bool, found: &mut Findings) -> Option<Arc<dyn Topic>> {
    let topic = match flow_topic::url::open(url, None) {
        Err(TopicError::Missing { url }) if made => {
            found.good(format!("topic {url}: not there yet, made at the start"));
            return None;
        }
        Err(error) => {
            found.wrong(error);
            return None;
        }
        Ok(topic) => topic,
    };
    let partitions = topic.partitions();
    let timestamps = word(topic.timestamps());
    let url = topic.url();
    found.take(partitions, |n| {
        format!("topic {url}: {n} partitions, timestamps {timestamps}")
    })?;
    Some(topic)
}

/// Timestamps that producers set are for simulated and imported time.
pub(crate) fn timestamps(topic: &dyn Topic) -> Option<String> {
    (topic.timestamps() == Timestamps::Create).then(|| {
        format!(
            "topic {}: its timestamps are create, so that a collector's wrong clock shifts slots; live flows want a topic \
             made with append",
            topic.url()
        )
    })
}

/// What a state directory says of itself.
#[derive(Default)]
pub(super) struct State {
    /// The job's id; empty where there is no checkpoint yet.
    job: String,
    /// Number of the newest checkpoint.
    newest: u64,
}

/// The state directory: free, readable, and of this job. `None` if it cannot be read: what would be compared with it is
/// not judged then.
pub(super) fn state(
    path: &Path,
    config: &JobConfig,
    topic: Option<&dyn Topic>,
    found: &mut Findings,
) -> Option<State> {
    // What is wrong with it is told with the other flags.
    let place = Place::of(path).ok()?;
    let shown = place.shown();
    let shown = shown.display();
    let newest = match &place {
        Place::Directory(path) if is_empty(path) => Ok(None),
        Place::Directory(path) => StateStore::open(path).and_then(|state| state.newest().map(Some)),
        // There is no lock that would show a running job.
        Place::Bucket(_) => match flow_objects::join(path) {
            Err(StateError::Missing { .. }) => Ok(None),
            joined => joined.and_then(|state| state.newest().map(Some)),
        },
    };
    let newest = match newest {
        Ok(None) => {
            found.good(format!("state {shown}: new"));
            return Some(State::default());
        }
        Ok(Some(newest)) => Ok(newest),
        Err(error) => Err(error),
    };
    let checkpoint = found.take(newest, |newest| match newest {
        Some(at) => format!("state {shown}: checkpoint {} of job {}", at.number, at.job),
        None => format!("state {shown}: without a checkpoint yet"),
    })?;
    let Some(checkpoint) = checkpoint else {
        return Some(State::default());
    };
    if let Some(topic) = topic
        && let Err(error) = flow_dataflow::fits(config, topic, &checkpoint)
    {
        found.wrong(error);
    }
    Some(State {
        newest: checkpoint.number,
        job: checkpoint.job,
    })
}

/// Whether a directory is not there, or has nothing in it.
fn is_empty(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// A store: reachable, its schema this program's, its cursors those of this job. Opening changes nothing in one that is
/// not empty; an empty one is not opened.
pub(super) fn store((url, rollups): (&str, Rollups), state: Option<&State>, found: &mut Findings) {
    if url.starts_with("stdout:") {
        return;
    }
    let name = shown(url);
    if url.starts_with("kafka://") || url.starts_with("dir://") {
        // Enriched flows go to a topic, which has no schema.
        if topic(url, true, found).is_some() {
            cursors((url, rollups), state, found);
        }
        return;
    }
    let looked = flow_sinks::schema_with(url, rollups).and_then(|mut schema| schema.look());
    let Standing {
        made_at_start,
        differences,
        remarks,
        lacking,
    } = match looked {
        Ok(standing) => standing,
        Err(error) => return found.wrong(error),
    };
    if let (true, Some(error)) = (made_at_start, lacking) {
        found.wrong(error);
    } else if made_at_start {
        let held = if remarks.is_empty() {
            "empty, its schema is"
        } else {
            "its other tables are"
        };
        found.good(format!("sink {name}: {held} made at the start"));
    } else if cursors((url, rollups), state, found) {
        let lines = differences.into_iter();
        lines.for_each(|line| found.doubtful(format!("sink {name}: {line}")));
    }
    let lines = remarks.into_iter();
    lines.for_each(|line| found.good(format!("sink {name}: {line}")));
}

/// Whether the store could be opened and belongs to this job, as far as the job is known.
fn cursors((url, rollups): (&str, Rollups), state: Option<&State>, found: &mut Findings) -> bool {
    let name = shown(url);
    let read = flow_sinks::open_with(url, rollups).and_then(|store| {
        let mut at = Vec::new();
        if let Some(mut rollups) = store.rollups {
            let cursors = rollups.cursors()?;
            if let Some(State { job, newest }) = state {
                cursors.belong_to(&name, job, *newest)?;
            }
            at.push(("rows", cursors.by_shard.values().max().copied()));
        }
        if let Some(mut raw) = store.raw {
            let cursors = raw.cursors()?;
            if let Some(State { job, newest }) = state {
                cursors.belong_to(&name, job, *newest)?;
            }
            at.push(("raw flows", cursors.by_partition.values().max().copied()));
        }
        Ok(at)
    });
    let at = |(what, number): &(&str, Option<u64>)| match number {
        Some(number) => format!("{what} at checkpoint {number}"),
        None => format!("no {what} yet"),
    };
    let line = |all: &Vec<(&str, Option<u64>)>| {
        let written = all.iter().any(|(_, number)| number.is_some());
        let all: Vec<String> = all.iter().map(at).collect();
        let unknown = match state {
            None if written => "; whether this job has written them is not known without its state",
            _ => "",
        };
        format!("sink {name}: {}{unknown}", all.join(", "))
    };
    found.take(read, line).is_some()
}
