//! Cursors in the topic that is written itself: a header of the last record of each block.
//!
//! There is no other place that would be durable together with the flows. Law 6: the record that carries a cursor is
//! appended when everything before it is durable; so the last cursor of a partition is true, and what follows it was cut
//! off and comes again.

use std::collections::BTreeMap;
use std::time::Duration;

use flow_topic::{Reader, Topic, TopicError};

use super::explain;
use crate::{RawCursors, SinkError};

/// `job/checkpoint`: the partition's flows are all here up to this checkpoint of this job.
pub(super) const CURSOR_HEADER: &str = "flow-pipeline-cursor";
/// Records looked through at the end of a partition at first; then sixteen times as many, and so on.
const TAIL: u64 = 64;
/// How long a record that is there may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads all cursors.
pub(super) fn read(topic: &dyn Topic, name: &str) -> Result<RawCursors, SinkError> {
    let mut cursors = RawCursors::default();
    for (partition, (job, checkpoint)) in all(topic, name)? {
        if cursors.job.as_ref().is_some_and(|known| *known != job) {
            return Err(SinkError::refused(format!(
                "sink {name}: its cursors belong to two jobs: an adoption was cut short, finish it with --adopt, or name a \
                 new topic"
            )));
        }
        cursors.by_partition.insert(partition, checkpoint);
        cursors.job = Some(job);
    }
    Ok(cursors)
}

/// Job and checkpoint of each partition that has a cursor.
pub(super) fn all(
    topic: &dyn Topic,
    name: &str,
) -> Result<BTreeMap<u32, (String, u64)>, SinkError> {
    let failed = |error: TopicError| explain(name, &error);
    let mut found = BTreeMap::new();
    for partition in 0..topic.partitions().map_err(failed)? {
        found.extend(
            last(topic, partition)
                .map_err(failed)?
                .map(|at| (partition, at)),
        );
    }
    Ok(found)
}

/// The last cursor of a partition, searched from its end backwards.
fn last(topic: &dyn Topic, partition: u32) -> Result<Option<(String, u64)>, TopicError> {
    let bounds = topic.bounds(partition)?;
    let (mut end, mut length) = (bounds.end, TAIL);
    while end > bounds.earliest {
        let begin = end.saturating_sub(length).max(bounds.earliest);
        let mut reader = topic.reader(partition, begin)?;
        if let Some(found) = last_below(reader.as_mut(), end)? {
            return Ok(Some(found));
        }
        (end, length) = (begin, length.saturating_mul(16));
    }
    Ok(None)
}

fn last_below(reader: &mut dyn Reader, end: u64) -> Result<Option<(String, u64)>, TopicError> {
    let mut found = None;
    while reader.position() < end && reader.wait(PATIENCE)? {
        let Some(record) = reader.peek()? else {
            break;
        };
        if record.offset >= end {
            break;
        }
        if let Some(cursor) = record.headers.get(CURSOR_HEADER).and_then(parse) {
            found = Some(cursor);
        }
        reader.advance();
    }
    Ok(found)
}

pub(super) fn text(job: &str, checkpoint: u64) -> String {
    format!("{job}/{checkpoint}")
}

fn parse(value: &[u8]) -> Option<(String, u64)> {
    let (job, checkpoint) = std::str::from_utf8(value).ok()?.rsplit_once('/')?;
    Some((job.to_owned(), checkpoint.parse().ok()?))
}
