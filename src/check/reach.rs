//! What a command's flags point to: topic, state, stores; looked at, not changed.
//!
//! Law: what is not there and would be made at the start is told as such and not made. A state directory is locked
//! for the moment in which it is read, so that a running job is seen by its lock.

use std::path::Path;
use std::sync::Arc;

use flow_dataflow::JobConfig;
use flow_state::{Checkpoint, StateDir};
use flow_topic::{Timestamps, Topic, TopicError};

use super::finding::Findings;
use super::flags::shown;
use crate::failure::{Exit, Failure};
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

/// The state directory: free, readable, and of this job; its newest checkpoint.
pub(super) fn state(
    path: &Path,
    config: &JobConfig,
    topic: Option<&dyn Topic>,
    found: &mut Findings,
) -> Option<Checkpoint> {
    let shown = path.display();
    let is_new = match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if is_new {
        found.good(format!("state {shown}: new"));
        return None;
    }
    let newest = StateDir::open(path).and_then(|state| state.newest());
    let checkpoint = found.take(newest, |newest| match newest {
        Some(at) => format!("state {shown}: checkpoint {} of job {}", at.number, at.job),
        None => format!("state {shown}: without a checkpoint yet"),
    })??;
    if let Some(topic) = topic
        && let Err(error) = flow_dataflow::fits(config, topic, &checkpoint)
    {
        found.wrong(error);
    }
    Some(checkpoint)
}

/// A store: reachable, its schema this program's, its cursors those of this job.
pub(super) fn store(url: &str, state: Option<&Checkpoint>, found: &mut Findings) {
    if url.starts_with("stdout:") {
        return;
    }
    let differs = flow_sinks::schema(url).and_then(|mut schema| {
        let is_new = schema.is_empty()?;
        Ok((is_new, schema.diff()?))
    });
    let (name, result) = (shown(url), differs);
    match result {
        Err(error) => found.wrong(error),
        Ok((true, _)) => {
            found.good(format!(
                "sink {name}: empty, its schema is made at the start"
            ));
        }
        Ok((false, differences)) if !differences.is_empty() => {
            let what = format!("sink {name}: {}", differences.join("; "));
            let hint = format!("flow-pipeline schema apply --sink {name}, if it is ours");
            found.wrong(Failure::new(Exit::Config, what).hint(hint));
        }
        Ok((false, _)) => cursors(url, state, found),
    }
}

fn cursors(url: &str, state: Option<&Checkpoint>, found: &mut Findings) {
    let name = shown(url);
    let read = flow_sinks::open(url).and_then(|store| {
        let Some(mut rollups) = store.rollups else {
            return Ok(None);
        };
        let cursors = rollups.cursors()?;
        let job = state.map_or("", |at| at.job.as_str());
        let number = state.map_or(0, |at| at.number);
        cursors.belong_to(&name, job, number)?;
        Ok(cursors.by_shard.values().max().copied())
    });
    found.take(read, |newest| match newest {
        Some(number) => format!("sink {name}: schema as it should be, at checkpoint {number}"),
        None => format!("sink {name}: schema as it should be, no rows yet"),
    });
}
