//! One partition as its writer sees it: frames are gathered in memory, written in large pieces, synced, published.
//!
//! Why the order: the segment is synced before the index and the published end speak of it, and before the next
//! segment is made; so whatever survives a crash, what is published is durable and only the last segment can be
//! torn. Law: offsets are given without holes, in the order of appending.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::directory::PartitionDirectory;
use super::frame::{self, HEAD_BYTES};
use super::index::{Entry, IndexWriter};
use super::options::Retention;
use super::published::{BootId, Published, PublishedFile};
use super::recover::{self, Recovered};
use super::segment::{self, Closed};
use crate::{NewRecord, TopicError};

/// Bytes gathered before they are written; also what a writer keeps in memory per partition.
const BUFFER_BYTES: usize = 1 << 20;

/// The appending end of a partition.
#[derive(Debug)]
pub(super) struct Appender {
    directory: PartitionDirectory,
    segment_limit_bytes: u64,
    publisher: PublishedFile,
    published: Published,
    closed: VecDeque<Closed>,
    file: File,
    index: IndexWriter,
    /// Where the next record goes: its offset, and its position in the segment, gathered bytes included.
    next: Entry,
    /// First offset of the segment.
    base: u64,
    newest_millis: i64,
    gathered: Vec<u8>,
    /// Written to the segment since its last sync.
    unsynced: bool,
    /// Bytes appended since the last publication.
    appended_bytes: u64,
}

/// What a flush has made durable.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flushed {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl Appender {
    /// Opens the partition for appending; also returns the bytes of torn records that were cut off.
    pub(super) fn open(
        directory: PartitionDirectory,
        segment_limit_bytes: u64,
        boot: BootId,
    ) -> Result<(Appender, u64), TopicError> {
        let Recovered {
            published,
            publisher,
            closed,
            file,
            index,
            torn_bytes,
        } = recover::recover(&directory, boot)?;
        let next = Entry {
            offset: published.end,
            position: published.segment_bytes,
            newest_before_millis: published.segment_newest_millis,
        };
        let appender = Appender {
            directory,
            segment_limit_bytes,
            publisher,
            published,
            closed,
            file,
            index,
            next,
            base: published.segment,
            newest_millis: published.newest_millis,
            gathered: Vec::with_capacity(BUFFER_BYTES),
            unsynced: false,
            appended_bytes: 0,
        };
        Ok((appender, torn_bytes))
    }

    /// Highest timestamp so far.
    pub(super) fn newest_millis(&self) -> i64 {
        self.newest_millis
    }

    /// Takes a record whose sizes have been checked.
    pub(super) fn append(
        &mut self,
        timestamp_millis: i64,
        record: &NewRecord<'_>,
        headers_bytes: u32,
    ) -> Result<(), TopicError> {
        let frame_bytes = (HEAD_BYTES + headers_bytes as usize + record.payload.len()) as u64;
        let full = self.next.position + frame_bytes > self.segment_limit_bytes;
        if full && self.next.offset > self.base {
            self.begin_segment()?;
        }
        if self.gathered.len() as u64 + frame_bytes > BUFFER_BYTES as u64 {
            self.write_out()?;
        }
        self.index.note(self.next);
        frame::write(
            &mut self.gathered,
            self.next.offset,
            timestamp_millis,
            record,
            headers_bytes,
        );
        self.next.offset += 1;
        self.next.position += frame_bytes;
        self.next.newest_before_millis = self.next.newest_before_millis.max(timestamp_millis);
        self.newest_millis = self.newest_millis.max(timestamp_millis);
        self.appended_bytes += frame_bytes;
        Ok(())
    }

    fn failed(&self, verb: &str, error: io::Error) -> TopicError {
        TopicError::io(verb, &self.directory.log_path(self.base), error)
    }

    /// Hands what was gathered to the system.
    pub(super) fn write_out(&mut self) -> Result<(), TopicError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let position = self.next.position - self.gathered.len() as u64;
        let written = self.file.write_all_at(&self.gathered, position);
        written.map_err(|e| self.failed("write", e))?;
        self.gathered.clear();
        // A record far above the buffer's size must not be paid for in memory for ever.
        self.gathered.shrink_to(2 * BUFFER_BYTES);
        self.unsynced = true;
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> Result<(), TopicError> {
        if self.unsynced {
            self.file.sync_data().map_err(|e| self.failed("sync", e))?;
            self.unsynced = false;
        }
        Ok(())
    }

    fn begin_segment(&mut self) -> Result<(), TopicError> {
        self.write_out()?;
        self.sync()?;
        self.index
            .close(self.next)
            .map_err(|e| self.failed("index", e))?;
        self.closed.push_back(Closed {
            base: self.base,
            bytes: self.next.position,
            newest_millis: self.next.newest_before_millis,
            is_whole: true,
        });
        self.base = self.next.offset;
        self.next = Entry::first(self.base);
        self.file = segment::create(&self.directory, self.base)?;
        self.index = IndexWriter::open(&self.directory, self.base, &[self.next])
            .map_err(|e| self.failed("index", e))?;
        Ok(())
    }

    /// Shows readers what `sync` has made durable.
    pub(super) fn publish(&mut self) -> Result<Flushed, TopicError> {
        let records = self.next.offset - self.published.end;
        if records == 0 {
            return Ok(Flushed::default());
        }
        self.index.write().map_err(|e| self.failed("index", e))?;
        self.publish_from(self.published.earliest)?;
        Ok(Flushed {
            records,
            bytes: std::mem::take(&mut self.appended_bytes),
        })
    }

    fn publish_from(&mut self, earliest: u64) -> Result<(), TopicError> {
        let published = Published {
            sequence: self.published.sequence + 1,
            earliest,
            end: self.next.offset,
            segment: self.base,
            segment_bytes: self.next.position,
            segment_newest_millis: self.next.newest_before_millis,
            newest_millis: self.newest_millis,
            boot: self.published.boot,
        };
        let path = self.directory.published_path();
        self.publisher
            .write(&published)
            .map_err(|e| TopicError::io("write", &path, e))?;
        self.published = published;
        Ok(())
    }

    /// Removes closed segments that are too old or too many. Call when everything is published. Returns the
    /// bytes that went. Readers are told first, so that none finds a file gone that it was promised.
    pub(super) fn retain(
        &mut self,
        retention: &Retention,
        now_millis: i64,
    ) -> Result<u64, TopicError> {
        let mut total: u64 = self.next.position + self.closed.iter().map(|s| s.bytes).sum::<u64>();
        let oldest = retention
            .age_millis
            .map_or(i64::MIN, |age| now_millis.saturating_sub(age));
        let mut gone = Vec::new();
        while let Some(segment) = self.closed.front() {
            let too_many = retention.bytes.is_some_and(|limit| total > limit);
            if !too_many && segment.newest_millis >= oldest {
                break;
            }
            total -= segment.bytes;
            gone.extend(self.closed.pop_front());
        }
        if gone.is_empty() {
            return Ok(0);
        }
        self.publish_from(self.closed.front().map_or(self.base, |first| first.base))?;
        for segment in &gone {
            recover::remove(&self.directory, segment.base)?;
        }
        Ok(gone.iter().map(|segment| segment.bytes).sum())
    }
}
