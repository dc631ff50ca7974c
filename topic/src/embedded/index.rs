//! Sparse index of a segment: where every 64 KiB or so a record begins, and the highest timestamp before it.
//!
//! Why a file beside the segment: opening a topic of some GB, or finding a time in it, must not read it all.
//! Entries are written after the segment was synced, so they never speak of what is not durable; the last entry
//! of a closed segment is its end. An index is a hint: entries that are torn or missing cost time, nothing else.
//!
//! Law: "highest timestamp before" covers the segment's records from its first one on, so the first entry above
//! a time bounds from above where the first record at or after that time lies, even if timestamps are unordered.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use super::directory::PartitionDirectory;

/// Distance between entries, in bytes of the segment.
pub(super) const SPACING_BYTES: u64 = 64 << 10;

/// "The record `offset` begins at `position`".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) position: u64,
    /// Highest timestamp of the segment's records before it; `i64::MIN` if there is none.
    pub(super) newest_before_millis: i64,
}

const ENTRY_BYTES: usize = 28;

impl Entry {
    /// The segment's first record.
    pub(super) fn first(base: u64) -> Entry {
        Entry {
            offset: base,
            position: 0,
            newest_before_millis: i64::MIN,
        }
    }

    fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.position.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.newest_before_millis.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..24]);
        bytes[24..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Entry> {
        let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok();
        let crc = bytes.get(24..ENTRY_BYTES)?.try_into().ok()?;
        (u32::from_le_bytes(crc) == crc32fast::hash(&bytes[..24])).then_some(())?;
        Some(Entry {
            offset: u64::from_le_bytes(number(0)?),
            position: u64::from_le_bytes(number(8)?),
            newest_before_millis: i64::from_le_bytes(number(16)?),
        })
    }
}

/// The valid entries of a segment's index up to `end` (the segment's durable length), ascending, the first
/// record always among them. What cannot be read counts as absent.
pub(super) fn read(directory: &PartitionDirectory, base: u64, end: u64) -> Vec<Entry> {
    let mut entries = vec![Entry::first(base)];
    let bytes = std::fs::read(directory.index_path(base)).unwrap_or_default();
    for entry in bytes.chunks(ENTRY_BYTES).map_while(Entry::from_bytes) {
        let last = entries[entries.len() - 1];
        if entry.position > end || entry.offset < last.offset || entry.position < last.position {
            break;
        }
        entries.push(entry);
    }
    entries
}

/// The last entry of the index of a closed segment of `end` bytes, if it is the segment's end.
pub(super) fn read_end(directory: &PartitionDirectory, base: u64, end: u64) -> Option<Entry> {
    let file = File::open(directory.index_path(base)).ok()?;
    let at = file
        .metadata()
        .ok()?
        .len()
        .checked_sub(ENTRY_BYTES as u64)?;
    let mut bytes = [0; ENTRY_BYTES];
    file.read_exact_at(&mut bytes, at).ok()?;
    Entry::from_bytes(&bytes).filter(|entry| entry.position == end && entry.offset >= base)
}

/// Appends entries for the segment that is written to.
#[derive(Debug)]
pub(super) struct IndexWriter {
    file: File,
    written_bytes: u64,
    pending: Vec<Entry>,
    last_position: u64,
}

impl IndexWriter {
    /// Goes on after `entries` (as `read` gave them), cutting off whatever follows them in the file.
    pub(super) fn open(
        directory: &PartitionDirectory,
        base: u64,
        entries: &[Entry],
    ) -> io::Result<IndexWriter> {
        let path = directory.index_path(base);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        // The first record's entry is implied.
        let written_bytes = (entries.len().saturating_sub(1) * ENTRY_BYTES) as u64;
        file.set_len(written_bytes)?;
        let last_position = entries.last().map_or(0, |entry| entry.position);
        Ok(IndexWriter {
            file,
            written_bytes,
            pending: Vec::new(),
            last_position,
        })
    }

    /// Notes a record that is about to be written.
    pub(super) fn note(&mut self, entry: Entry) {
        if entry.position >= self.last_position + SPACING_BYTES {
            self.last_position = entry.position;
            self.pending.push(entry);
        }
    }

    /// Writes what was noted. Call after the segment was synced.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = self.pending.drain(..).flat_map(Entry::to_bytes).collect();
        self.file.write_all_at(&bytes, self.written_bytes)?;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes the end of the segment, and makes the index survive a power failure.
    pub(super) fn close(&mut self, end: Entry) -> io::Result<()> {
        self.pending.push(end);
        self.write()?;
        self.file.sync_data()
    }
}
