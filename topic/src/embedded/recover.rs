//! What a partition holds, found out by whoever opens it first after a crash, under the writer's lock.
//!
//! Why: after kill -9 the last segment may end in a torn record, or in whole ones that were never synced; after
//! a power failure the published end may be behind what was acknowledged. Records that are whole are kept and
//! synced (some producer may have been told so), the rest is cut off.
//!
//! Law: nothing below the published end is ever cut. If bytes are missing there, the segment is left as it is
//! (its readers are told `Damaged`), and a new one begins at the published end, so no offset is given twice.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};

use super::directory::PartitionDirectory;
use super::index::{self, Entry, IndexWriter};
use super::published::{BootId, Published, PublishedFile};
use super::segment::{self, Closed};
use crate::TopicError;

/// A partition, ready to be appended to. Everything in it is durable and published.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) published: Published,
    pub(super) publisher: PublishedFile,
    /// Segments before the one that is written to, oldest first.
    pub(super) closed: VecDeque<Closed>,
    /// The segment that is written to, and its index.
    pub(super) file: File,
    pub(super) index: IndexWriter,
    /// Bytes that were cut off.
    pub(super) torn_bytes: u64,
}

struct Tail {
    base: u64,
    file: File,
    index: IndexWriter,
    end: Entry,
    torn_bytes: u64,
}

/// Brings a partition in order. The caller holds the writer's lock.
pub(super) fn recover(
    directory: &PartitionDirectory,
    boot: BootId,
) -> Result<Recovered, TopicError> {
    let publisher = PublishedFile::open_to_write(directory)?;
    let failed = |e| TopicError::io("read", &directory.published_path(), e);
    let before = publisher.read().map_err(failed)?;
    let mut bases = directory.segments()?;
    finish_retention(
        directory,
        &mut bases,
        before.map_or(0, |before| before.earliest),
    )?;
    let tail = match start_of_tail(directory, &bases, before.as_ref())? {
        Some(start) => {
            let base = bases.pop().unwrap_or(0);
            open_tail(directory, base, start)?
        }
        None => new_tail(directory, before.map_or(0, |before| before.end))?,
    };
    bases.push(tail.base);
    let mut closed = VecDeque::new();
    for pair in bases.windows(2) {
        closed.extend(segment::closed(directory, pair[0], pair[1])?);
    }
    let first = closed
        .front()
        .map_or(tail.base, |first: &Closed| first.base);
    let before = before.unwrap_or_else(|| Published::empty(boot));
    let newest = closed
        .iter()
        .map(|segment| segment.newest_millis)
        .max()
        .unwrap_or(i64::MIN);
    let published = Published {
        sequence: before.sequence + 1,
        earliest: before.earliest.max(first),
        end: tail.end.offset,
        segment: tail.base,
        segment_bytes: tail.end.position,
        segment_newest_millis: tail.end.newest_before_millis,
        newest_millis: before
            .newest_millis
            .max(newest)
            .max(tail.end.newest_before_millis),
        boot,
    };
    let failed = |e| TopicError::io("write", &directory.published_path(), e);
    publisher
        .write(&published)
        .and_then(|()| publisher.sync())
        .map_err(failed)?;
    let Tail {
        file,
        index,
        torn_bytes,
        ..
    } = tail;
    Ok(Recovered {
        published,
        publisher,
        closed,
        file,
        index,
        torn_bytes,
    })
}

/// Removes the segments that retention had published as gone when it was interrupted.
fn finish_retention(
    directory: &PartitionDirectory,
    bases: &mut Vec<u64>,
    earliest: u64,
) -> Result<(), TopicError> {
    while bases.len() > 1 && bases[1] <= earliest {
        remove(directory, bases.remove(0))?;
    }
    Ok(())
}

/// Removes a segment's files.
pub(super) fn remove(directory: &PartitionDirectory, base: u64) -> Result<(), TopicError> {
    for path in [directory.index_path(base), directory.log_path(base)] {
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(TopicError::io("remove", &path, e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// From where on the last segment has to be looked at; `None` if a new segment has to begin.
fn start_of_tail(
    directory: &PartitionDirectory,
    bases: &[u64],
    before: Option<&Published>,
) -> Result<Option<Entry>, TopicError> {
    let Some(&last) = bases.last() else {
        return Ok(None);
    };
    let path = directory.log_path(last);
    let bytes = std::fs::metadata(&path)
        .map_err(|e| TopicError::io("look at", &path, e))?
        .len();
    Ok(match before {
        Some(before) if before.segment > last => None,
        Some(before) if before.segment == last && bytes < before.segment_bytes => None,
        Some(before) if before.segment == last => Some(Entry {
            offset: before.end,
            position: before.segment_bytes,
            newest_before_millis: before.segment_newest_millis,
        }),
        // Nothing of this segment is published: its index speaks only of what was synced.
        _ => index::read(directory, last, bytes).pop(),
    })
}

fn open_tail(directory: &PartitionDirectory, base: u64, start: Entry) -> Result<Tail, TopicError> {
    let path = directory.log_path(base);
    let failed = |e| TopicError::io("restore", &path, e);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    let entries = index::read(directory, base, start.position);
    let mut index = IndexWriter::open(directory, base, &entries).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let copy = file.try_clone().map_err(failed)?;
    let end = segment::walk_intact(directory, copy, start, bytes, |entry| index.note(entry));
    let end = end.map_err(failed)?;
    file.set_len(end.position)
        .and_then(|()| file.sync_data())
        .map_err(failed)?;
    index.write().map_err(failed)?;
    Ok(Tail {
        base,
        file,
        index,
        end,
        torn_bytes: bytes - end.position,
    })
}

fn new_tail(directory: &PartitionDirectory, base: u64) -> Result<Tail, TopicError> {
    let file = segment::create(directory, base)?;
    let first = Entry::first(base);
    let index = IndexWriter::open(directory, base, &[first]);
    let index = index.map_err(|e| TopicError::io("make", &directory.index_path(base), e))?;
    Ok(Tail {
        base,
        file,
        index,
        end: first,
        torn_bytes: 0,
    })
}
