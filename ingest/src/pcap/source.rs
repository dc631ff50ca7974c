//! `Source`: a stream of bytes, read piece by piece into one buffer that is used again.
//!
//! Law: the buffer never holds more than `MOST_BYTES`, and grows only by what was really read.

use std::io::{self, Read};

use super::MOST_BYTES;

/// A stream whose first four bytes can be looked at before they are read.
pub(super) struct Source<R> {
    head: io::Cursor<Vec<u8>>,
    input: R,
    buffer: Vec<u8>,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R) -> Source<R> {
        Source {
            head: io::Cursor::default(),
            input,
            buffer: Vec::new(),
        }
    }

    /// The first four bytes as they stand, zero where there are none; only before anything was read.
    pub(super) fn peek(&mut self) -> io::Result<[u8; 4]> {
        let mut head = Vec::new();
        self.input.by_ref().take(4).read_to_end(&mut head)?;
        let mut magic = [0; 4];
        for (to, from) in magic.iter_mut().zip(&head) {
            *to = *from;
        }
        self.head = io::Cursor::new(head);
        Ok(magic)
    }

    /// The next `length` bytes; `None` at the end of the stream, or if that is absurdly many.
    pub(super) fn take(&mut self, length: usize) -> io::Result<Option<&[u8]>> {
        if length > MOST_BYTES {
            return Ok(None);
        }
        let all = self.up_to(length)?;
        Ok((all.len() == length).then_some(all))
    }

    /// The next bytes, fewer than `length` if the stream ends before.
    pub(super) fn up_to(&mut self, length: usize) -> io::Result<&[u8]> {
        let limit = u64::try_from(length.min(MOST_BYTES)).unwrap_or(0);
        self.buffer.clear();
        self.head
            .by_ref()
            .chain(self.input.by_ref())
            .take(limit)
            .read_to_end(&mut self.buffer)?;
        Ok(&self.buffer)
    }

    /// The next `N` bytes, if there are so many.
    pub(super) fn array<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        Ok(self.take(N)?.and_then(|bytes| bytes.try_into().ok()))
    }
}
