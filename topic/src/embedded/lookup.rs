//! Finds a place in a partition: by offset for readers, by time for `offset_at`.
//!
//! Why it is cheap: one directory listing, the ends of the closed segments' indexes, and at most one index
//! spacing of records. Law: the answer by time is exact even where timestamps are unordered (`create`): the
//! first retained record at or after it, none skipped; a damaged record on the way is an error.

use std::fs::File;
use std::ops::Range;

use super::directory::PartitionDirectory;
use super::frame::{self, Step, Walk};
use super::index::{self, Entry};
use super::published::{Published, PublishedFile};
use super::segment;
use crate::TopicError;

/// What is durable now.
pub(super) fn published(
    directory: &PartitionDirectory,
    file: &PublishedFile,
) -> Result<Published, TopicError> {
    let read = file
        .read()
        .map_err(|e| TopicError::io("read", &directory.published_path(), e))?;
    read.ok_or_else(|| directory.unpublished())
}

/// Durable length of a segment.
fn durable_bytes(
    directory: &PartitionDirectory,
    published: &Published,
    base: u64,
    file: &File,
) -> Result<u64, TopicError> {
    if base == published.segment {
        return Ok(published.segment_bytes);
    }
    let metadata = file.metadata();
    Ok(metadata
        .map_err(|e| TopicError::io("look at", &directory.log_path(base), e))?
        .len())
}

/// The segment that holds `offset`, and a place in it at or before that record; `None` if it is not there.
pub(super) fn locate(
    directory: &PartitionDirectory,
    published: &Published,
    offset: u64,
) -> Result<Option<(u64, File, Entry)>, TopicError> {
    let bases = directory.segments()?;
    let holds = |base: &&u64| **base <= offset && **base <= published.segment;
    let Some(&base) = bases.iter().rev().find(holds) else {
        return Ok(None);
    };
    let Some(file) = segment::open(directory, base)? else {
        return Ok(None);
    };
    let bytes = durable_bytes(directory, published, base, &file)?;
    let entries = index::read(directory, base, bytes);
    let entry = entries.iter().rev().find(|entry| entry.offset <= offset);
    Ok(Some((
        base,
        file,
        entry.copied().unwrap_or(Entry::first(base)),
    )))
}

/// First retained offset whose timestamp is at or after `timestamp_millis`.
pub(super) fn offset_at(
    directory: &PartitionDirectory,
    published: &Published,
    timestamp_millis: i64,
) -> Result<Option<u64>, TopicError> {
    let bases = directory.segments()?;
    let held = bases.iter().rev().any(|base| *base <= published.earliest);
    if !held && published.earliest < published.end {
        // Whoever looks for a time must not take the next segment for the first one.
        return Err(directory.damaged(published.earliest));
    }
    for (number, &base) in bases.iter().enumerate() {
        let next = bases.get(number + 1).copied().unwrap_or(u64::MAX);
        if next <= published.earliest || base > published.segment {
            continue;
        }
        let older = if base == published.segment {
            published.segment_newest_millis < timestamp_millis || published.segment_bytes == 0
        } else {
            // `None`: removed by retention meanwhile, as if it had never been listed.
            segment::closed(directory, base, next)?
                .is_none_or(|closed| closed.is_whole && closed.newest_millis < timestamp_millis)
        };
        if older {
            continue;
        }
        if let Some(offset) = search(directory, published, base..next, timestamp_millis)? {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}

/// The same within the segment that holds `offsets`.
fn search(
    directory: &PartitionDirectory,
    published: &Published,
    offsets: Range<u64>,
    timestamp_millis: i64,
) -> Result<Option<u64>, TopicError> {
    let base = offsets.start;
    let Some(file) = segment::open(directory, base)? else {
        return Ok(None);
    };
    let bytes = durable_bytes(directory, published, base, &file)?;
    let entries = index::read(directory, base, bytes);
    // Up to this entry everything is older; beyond the next one something is not.
    let from = entries
        .iter()
        .rev()
        .find(|entry| entry.newest_before_millis < timestamp_millis);
    let from = from.copied().unwrap_or(Entry::first(base));
    let mut walk = Walk::new(
        index::SPACING_BYTES as usize,
        directory.record_limit_bytes(),
    );
    walk.enter(file, from.position);
    let mut offset = from.offset;
    loop {
        match walk
            .look(bytes)
            .map_err(|e| TopicError::io("read", &directory.log_path(base), e))?
        {
            Step::Frame(head) if head.offset == offset && frame::is_intact(walk.frame(&head)) => {
                if head.timestamp_millis >= timestamp_millis && offset >= published.earliest {
                    return Ok(Some(offset));
                }
                walk.step(&head);
                offset += 1;
            }
            Step::End if base == published.segment || offset == offsets.end => return Ok(None),
            Step::Frame(_) | Step::End | Step::Broken => return Err(directory.damaged(offset)),
        }
    }
}
