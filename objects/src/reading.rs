//! An object that is read in pieces, ahead of the reader: few requests, bounded memory.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flow_state::Opened;
use object_store::path::Path;

use crate::remote::Inner;

/// Read at once. A segment of most jobs is one piece; of a large one a shard is about as much.
pub(crate) const PIECE: u64 = 1 << 20;

/// The last piece read.
#[derive(Debug)]
struct Piece {
    at: u64,
    bytes: Bytes,
}

#[derive(Debug)]
pub(crate) struct Reading {
    inner: Arc<Inner>,
    path: Path,
    length: u64,
    last: Mutex<Piece>,
}

impl Reading {
    /// With the object's first bytes, which have come with its length.
    pub(crate) fn new(inner: Arc<Inner>, path: Path, length: u64, first: Bytes) -> Reading {
        Reading {
            inner,
            path,
            length,
            last: Mutex::new(Piece {
                at: 0,
                bytes: first,
            }),
        }
    }
}

impl Opened for Reading {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let wanted = into.len() as u64;
        let end = at.checked_add(wanted).filter(|end| *end <= self.length);
        let end = end.ok_or(ErrorKind::UnexpectedEof)?;
        // No code that can panic runs under this lock, so what a poisoned one guards is sound.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if part(&last, at, into.len()).is_none() {
            let ahead = at.saturating_add(PIECE).min(self.length);
            let bytes = self.inner.range(&self.path, at..end.max(ahead))?;
            *last = Piece { at, bytes };
        }
        let found = part(&last, at, into.len()).ok_or(ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(found);
        Ok(())
    }
}

fn part(piece: &Piece, at: u64, length: usize) -> Option<&[u8]> {
    let from = usize::try_from(at.checked_sub(piece.at)?).ok()?;
    piece.bytes.get(from..from.checked_add(length)?)
}
