//! Reads one partition in order, in any process, seeing only what is published.
//!
//! Why it is fast: large reads into one reused buffer, records lent from it; the published end is asked for once
//! per refill. Law: a damaged record is an error at its offset, each time; `seek` beyond it goes on.

use super::directory::PartitionDirectory;
use super::frame::{self, Head, Step, Walk};
use super::lookup;
use super::published::{Published, PublishedFile};
use super::segment;
use crate::{Reader, RecordRef, TopicError};

/// Bytes to read at a time: enough to make the system call cheap, small enough to stay in the cache.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads one partition of an embedded topic.
#[derive(Debug)]
pub struct EmbeddedReader {
    directory: PartitionDirectory,
    publications: PublishedFile,
    /// Offset that the reader stands before, and offset of the frame that the walk stands before.
    position: u64,
    at: u64,
    /// Name of the segment that the walk is in.
    segment: u64,
    walk: Walk,
    /// The checked record at `position`.
    current: Option<Head>,
}

impl EmbeddedReader {
    pub(super) fn open(
        directory: PartitionDirectory,
        offset: u64,
    ) -> Result<EmbeddedReader, TopicError> {
        let publications = PublishedFile::open(&directory)?;
        let walk = Walk::new(CHUNK_BYTES, directory.record_limit_bytes());
        Ok(EmbeddedReader {
            directory,
            publications,
            position: offset,
            at: offset,
            segment: 0,
            walk,
            current: None,
        })
    }

    fn published(&self) -> Result<Published, TopicError> {
        lookup::published(&self.directory, &self.publications)
    }

    /// Finds the record at `position`; false if it is not durable yet.
    fn stand(&mut self) -> Result<bool, TopicError> {
        while self.current.is_none() {
            let head = match self.walk.buffered() {
                Some(head) => head,
                None => match self.read_on()? {
                    Some(head) => head,
                    None => return Ok(false),
                },
            };
            if head.offset != self.at {
                return Err(self.directory.damaged(self.position));
            }
            if self.at < self.position {
                self.walk.step(&head);
                self.at += 1;
            } else if frame::is_intact(self.walk.frame(&head)) {
                self.current = Some(head);
            } else {
                return Err(self.directory.damaged(self.position));
            }
        }
        Ok(true)
    }

    /// The next frame that is not wholly in the buffer.
    fn read_on(&mut self) -> Result<Option<Head>, TopicError> {
        let published = self.published()?;
        if self.position < published.earliest {
            return Err(self.directory.gap(self.position, published.earliest));
        }
        if self.position >= published.end {
            return Ok(None);
        }
        if self.walk.file().is_none() {
            self.enter(&published)?;
        }
        loop {
            let failed = |e| TopicError::io("read", &self.directory.log_path(self.segment), e);
            let end = match self.walk.file() {
                Some(file) if self.segment != published.segment => {
                    file.metadata().map_err(failed)?.len()
                }
                _ => published.segment_bytes,
            };
            match self.walk.look(end).map_err(failed)? {
                Step::Frame(head) => return Ok(Some(head)),
                // The only way on from the end of a closed segment is the one that begins with the next offset.
                Step::End if self.segment != published.segment => {
                    match segment::open(&self.directory, self.at)? {
                        Some(file) if self.at != self.segment => {
                            self.walk.enter(file, 0);
                            self.segment = self.at;
                        }
                        _ => return Err(self.gone_or_damaged()?),
                    }
                }
                Step::End | Step::Broken => return Err(self.directory.damaged(self.position)),
            }
        }
    }

    /// Finds the segment, and the place in it from which `position` is reached.
    fn enter(&mut self, published: &Published) -> Result<(), TopicError> {
        match lookup::locate(&self.directory, published, self.position)? {
            Some((base, file, entry)) => {
                self.segment = base;
                self.at = entry.offset;
                self.walk.enter(file, entry.position);
                Ok(())
            }
            None => Err(self.gone_or_damaged()?),
        }
    }

    /// A segment that should be there is not: retention was faster, or somebody has removed it.
    fn gone_or_damaged(&self) -> Result<TopicError, TopicError> {
        let earliest = self.published()?.earliest;
        Ok(if self.position < earliest {
            self.directory.gap(self.position, earliest)
        } else {
            self.directory.damaged(self.position)
        })
    }
}

impl Reader for EmbeddedReader {
    fn peek(&mut self) -> Result<Option<RecordRef<'_>>, TopicError> {
        self.stand()?;
        Ok(self
            .current
            .as_ref()
            .map(|head| frame::record(head, self.walk.frame(head))))
    }

    fn advance(&mut self) {
        if let Some(head) = self.current.take() {
            self.walk.step(&head);
            self.at += 1;
            self.position += 1;
        }
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn seek(&mut self, offset: u64) -> Result<(), TopicError> {
        if offset != self.position {
            self.position = offset;
            self.at = offset;
            self.current = None;
            self.walk.leave();
        }
        Ok(())
    }
}
