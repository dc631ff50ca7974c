//! One record as it lies in a segment file, and the walk from one record to the next.
//!
//! Why a frame of its own: a reader has to tell "the file ends here" from "somebody changed these bytes", and
//! must do so without trusting a length. All integers little-endian:
//! `crc32 u32 | frame length u32 | offset u64 | timestamp ms i64 | headers length u32 | headers | payload`;
//! the checksum covers everything after itself, so also the length and the offset.
//!
//! Law: a frame whose checksum or offset is wrong is never lent to anyone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::{Headers, NewRecord, RecordRef};

/// Bytes of a frame before its headers.
pub(super) const HEAD_BYTES: usize = 28;

/// What a frame says of itself before its checksum has been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) frame_bytes: usize,
    pub(super) offset: u64,
    pub(super) timestamp_millis: i64,
    headers_bytes: usize,
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl Head {
    /// Reads a head; `None` if `bytes` is shorter than one or its lengths cannot be (the limit is the topic's).
    fn read(bytes: &[u8], record_limit_bytes: usize) -> Option<Head> {
        let frame_bytes = usize::try_from(u32::from_le_bytes(field(bytes, 4)?)).ok()?;
        let headers_bytes = usize::try_from(u32::from_le_bytes(field(bytes, 24)?)).ok()?;
        let body_bytes = frame_bytes.checked_sub(HEAD_BYTES)?;
        (body_bytes <= record_limit_bytes && headers_bytes <= body_bytes).then_some(Head {
            frame_bytes,
            offset: u64::from_le_bytes(field(bytes, 8)?),
            timestamp_millis: i64::from_le_bytes(field(bytes, 16)?),
            headers_bytes,
        })
    }
}

/// Bytes that the record's headers take in their stored form; `None` if a name or value is too long for it.
pub(super) fn headers_bytes(headers: &[(&str, &[u8])]) -> Option<usize> {
    headers.iter().try_fold(0_usize, |sum, (name, value)| {
        let fits = name.len() <= usize::from(u8::MAX) && value.len() <= usize::from(u16::MAX);
        fits.then_some(sum + 3 + name.len() + value.len())
    })
}

/// Appends a frame. The caller has checked the sizes (`headers_bytes`, record limit).
pub(super) fn write(
    buffer: &mut Vec<u8>,
    offset: u64,
    timestamp_millis: i64,
    record: &NewRecord<'_>,
    headers: u32,
) {
    let start = buffer.len();
    let frame_bytes = HEAD_BYTES + headers as usize + record.payload.len();
    buffer.reserve(frame_bytes);
    buffer.extend_from_slice(&[0; 4]);
    // Fits: the topic's record limit is below 2 GiB (`Options::check`).
    buffer.extend_from_slice(&(frame_bytes as u32).to_le_bytes());
    buffer.extend_from_slice(&offset.to_le_bytes());
    buffer.extend_from_slice(&timestamp_millis.to_le_bytes());
    buffer.extend_from_slice(&headers.to_le_bytes());
    for (name, value) in record.headers {
        buffer.push(name.len() as u8);
        buffer.extend_from_slice(name.as_bytes());
        buffer.extend_from_slice(&(value.len() as u16).to_le_bytes());
        buffer.extend_from_slice(value);
    }
    buffer.extend_from_slice(record.payload);
    let crc = crc32fast::hash(&buffer[start + 4..]);
    buffer[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Whether the checksum of a whole frame is right.
pub(super) fn is_intact(frame: &[u8]) -> bool {
    field(frame, 0).is_some_and(|crc| u32::from_le_bytes(crc) == crc32fast::hash(&frame[4..]))
}

/// The record in a whole, checked frame.
pub(super) fn record<'a>(head: &Head, frame: &'a [u8]) -> RecordRef<'a> {
    let (headers, payload) = frame[HEAD_BYTES..].split_at(head.headers_bytes);
    RecordRef {
        offset: head.offset,
        timestamp_millis: head.timestamp_millis,
        headers: Headers(headers),
        payload,
    }
}

/// What lies where a walk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A frame, wholly in the buffer. Its checksum has not been looked at.
    Frame(Head),
    /// The walk has come to its end, at a frame's border.
    End,
    /// The bytes there are no frame, or are cut short by the end.
    Broken,
}

/// Walks over the frames of one file through a reused buffer, reading in large chunks.
#[derive(Debug, Default)]
pub(super) struct Walk {
    file: Option<File>,
    buffer: Vec<u8>,
    /// Where in the buffer the walk stands, and how far it is filled.
    at: usize,
    filled: usize,
    /// Where in the file the walk stands.
    position: u64,
    /// Bytes to ask the system for at a time.
    chunk_bytes: usize,
    record_limit_bytes: usize,
}

impl Walk {
    pub(super) fn new(chunk_bytes: usize, record_limit_bytes: usize) -> Walk {
        Walk {
            chunk_bytes,
            record_limit_bytes,
            ..Walk::default()
        }
    }

    /// Stands before `position` of another file.
    pub(super) fn enter(&mut self, file: File, position: u64) {
        self.file = Some(file);
        (self.at, self.filled, self.position) = (0, 0, position);
    }

    /// Forgets the file and what was read of it.
    pub(super) fn leave(&mut self) {
        self.file = None;
        (self.at, self.filled, self.position) = (0, 0, 0);
    }

    pub(super) fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// Where in the file the walk stands.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The frame in the buffer where the walk stands, if it is whole there: no system call.
    pub(super) fn buffered(&self) -> Option<Head> {
        let bytes = &self.buffer[self.at..self.filled];
        Head::read(bytes, self.record_limit_bytes).filter(|head| head.frame_bytes <= bytes.len())
    }

    /// What lies where the walk stands, `end` being the position after the last byte that may be read.
    pub(super) fn look(&mut self, end: u64) -> io::Result<Step> {
        loop {
            if let Some(head) = self.buffered() {
                return Ok(Step::Frame(head));
            }
            let bytes = &self.buffer[self.at..self.filled];
            let wanted = match Head::read(bytes, self.record_limit_bytes) {
                Some(head) => head.frame_bytes,
                None if bytes.len() >= HEAD_BYTES => return Ok(Step::Broken),
                None => HEAD_BYTES,
            };
            if !self.fill(wanted, end)? {
                let nothing_left = self.filled == self.at && self.position >= end;
                return Ok(if nothing_left {
                    Step::End
                } else {
                    Step::Broken
                });
            }
        }
    }

    /// The bytes of the frame that `look` or `buffered` has shown.
    pub(super) fn frame(&self, head: &Head) -> &[u8] {
        &self.buffer[self.at..self.at + head.frame_bytes]
    }

    /// Steps over the frame that `look` or `buffered` has shown.
    pub(super) fn step(&mut self, head: &Head) {
        self.at += head.frame_bytes;
        self.position += head.frame_bytes as u64;
    }

    /// Reads on; false if nothing came.
    fn fill(&mut self, wanted: usize, end: u64) -> io::Result<bool> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        self.buffer.copy_within(self.at..self.filled, 0);
        (self.filled, self.at) = (self.filled - self.at, 0);
        // A whole chunk behind what is left over, so that reads stay on the borders of pages.
        let room = (self.filled + self.chunk_bytes).max(wanted);
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let from = self.position + self.filled as u64;
        let left = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX);
        let until = self.filled + left.min(room - self.filled);
        let count = file.read_at(&mut self.buffer[self.filled..until], from)?;
        self.filled += count;
        Ok(count > 0)
    }
}
