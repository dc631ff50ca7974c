//! One segment file: opening, making, and what is known of a closed one.
//!
//! Why closed segments are cheap: a segment is synced before the next one is made, so only the last one can
//! have a torn tail, and all others are described by the last entry of their index.
//! Law: a segment begins with the offset that it is named by.

use std::fs::{File, OpenOptions};
use std::io;

use super::directory::{PartitionDirectory, sync_directory};
use super::frame::{self, Step, Walk};
use super::index::{self, Entry};
use crate::TopicError;

/// A segment that is not written to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) base: u64,
    pub(super) bytes: u64,
    /// Its highest timestamp; `i64::MIN` if it has no readable record.
    pub(super) newest_millis: i64,
    /// Whether its records were seen to reach to the next segment; else some are damaged.
    pub(super) is_whole: bool,
}

/// Makes the segment that begins with `base`; its name survives a power failure.
pub(super) fn create(directory: &PartitionDirectory, base: u64) -> Result<File, TopicError> {
    let path = directory.log_path(base);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path);
    let file = file.map_err(|e| TopicError::io("make", &path, e))?;
    sync_directory(directory.path())?;
    Ok(file)
}

/// Opens a segment for reading; `None` if it is not there.
pub(super) fn open(directory: &PartitionDirectory, base: u64) -> Result<Option<File>, TopicError> {
    let path = directory.log_path(base);
    match File::open(&path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(TopicError::io("open", &path, e)),
    }
}

/// Walks on from `from` over intact frames of the right offsets, telling `visit` of each, up to `end` or the
/// first that is not one. Returns where that is, with the highest timestamp before it.
pub(super) fn walk_intact(
    directory: &PartitionDirectory,
    file: File,
    from: Entry,
    end: u64,
    mut visit: impl FnMut(Entry),
) -> io::Result<Entry> {
    let mut walk = Walk::new(256 << 10, directory.record_limit_bytes());
    walk.enter(file, from.position);
    let mut here = from;
    while let Step::Frame(head) = walk.look(end)? {
        if head.offset != here.offset || !frame::is_intact(walk.frame(&head)) {
            break;
        }
        visit(here);
        walk.step(&head);
        here = Entry {
            offset: here.offset + 1,
            position: walk.position(),
            newest_before_millis: here.newest_before_millis.max(head.timestamp_millis),
        };
    }
    Ok(here)
}

/// What is known of a closed segment that ends before `next`; `None` if retention has just removed it.
pub(super) fn closed(
    directory: &PartitionDirectory,
    base: u64,
    next: u64,
) -> Result<Option<Closed>, TopicError> {
    let Some(file) = open(directory, base)? else {
        return Ok(None);
    };
    let failed = |e| TopicError::io("read", &directory.log_path(base), e);
    let bytes = file.metadata().map_err(failed)?.len();
    let end = match index::read_end(directory, base, bytes) {
        Some(end) => end,
        None => {
            let entries = index::read(directory, base, bytes);
            walk_intact(directory, file, entries[entries.len() - 1], bytes, |_| ())
                .map_err(failed)?
        }
    };
    let is_whole = end.offset == next && end.position == bytes;
    Ok(Some(Closed {
        base,
        bytes,
        newest_millis: end.newest_before_millis,
        is_whole,
    }))
}
