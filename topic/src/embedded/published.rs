//! How far a partition is durable, told to readers in other processes by a file of two slots.
//!
//! Why a file: readers must not see what the writer has written but not yet synced, and have nothing in common
//! with it but the directory. The writer syncs the segment, then writes the older slot; a reader takes the
//! valid slot of the higher sequence number, so a half-written one only means that it sees the state before.
//!
//! Law: what is published is durable. The file itself is not synced with each flush (that would double the
//! syncs), so after a power failure it may tell of less than was acknowledged: the boot id in it gives that
//! away, and whoever opens the topic next looks at the segment itself (`recover`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use super::directory::PartitionDirectory;
use crate::TopicError;

/// Identifies one run of the operating system's kernel; zeros where it does not say.
pub(super) type BootId = [u8; 16];

/// This machine's boot id.
pub(super) fn boot_id() -> BootId {
    let mut id = [0; 16];
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits = text
        .bytes()
        .filter_map(|byte| char::from(byte).to_digit(16));
    for (at, digit) in digits.take(32).enumerate() {
        id[at / 2] = id[at / 2] << 4 | digit as u8;
    }
    id
}

/// What is durable of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published {
    /// Counts publications.
    pub(super) sequence: u64,
    /// First retained offset.
    pub(super) earliest: u64,
    /// Offset after the last durable record.
    pub(super) end: u64,
    /// Name of the segment that is written to.
    pub(super) segment: u64,
    /// Its durable length.
    pub(super) segment_bytes: u64,
    /// Its highest timestamp; `i64::MIN` while it is empty.
    pub(super) segment_newest_millis: i64,
    /// Highest timestamp that the partition has had, removed records included.
    pub(super) newest_millis: i64,
    /// The kernel's run in which this was written.
    pub(super) boot: BootId,
}

const SLOT_BYTES: usize = 128;
const BODY_BYTES: usize = 7 * 8 + 16;

impl Published {
    /// Of a partition without records.
    pub(super) fn empty(boot: BootId) -> Published {
        Published {
            sequence: 0,
            earliest: 0,
            end: 0,
            segment: 0,
            segment_bytes: 0,
            segment_newest_millis: i64::MIN,
            newest_millis: i64::MIN,
            boot,
        }
    }

    fn to_slot(self) -> [u8; SLOT_BYTES] {
        let mut slot = [0; SLOT_BYTES];
        let numbers = [
            self.sequence.to_le_bytes(),
            self.earliest.to_le_bytes(),
            self.end.to_le_bytes(),
            self.segment.to_le_bytes(),
            self.segment_bytes.to_le_bytes(),
            self.segment_newest_millis.to_le_bytes(),
            self.newest_millis.to_le_bytes(),
        ];
        for (at, number) in numbers.iter().enumerate() {
            slot[at * 8..at * 8 + 8].copy_from_slice(number);
        }
        slot[56..BODY_BYTES].copy_from_slice(&self.boot);
        let crc = crc32fast::hash(&slot[..BODY_BYTES]);
        slot[BODY_BYTES..BODY_BYTES + 4].copy_from_slice(&crc.to_le_bytes());
        slot
    }

    fn from_slot(slot: &[u8]) -> Option<Published> {
        let number = |at: usize| slot.get(at * 8..at * 8 + 8)?.try_into().ok();
        let crc = slot.get(BODY_BYTES..BODY_BYTES + 4)?.try_into().ok()?;
        if u32::from_le_bytes(crc) != crc32fast::hash(&slot[..BODY_BYTES]) {
            return None;
        }
        Some(Published {
            sequence: u64::from_le_bytes(number(0)?),
            earliest: u64::from_le_bytes(number(1)?),
            end: u64::from_le_bytes(number(2)?),
            segment: u64::from_le_bytes(number(3)?),
            segment_bytes: u64::from_le_bytes(number(4)?),
            segment_newest_millis: i64::from_le_bytes(number(5)?),
            newest_millis: i64::from_le_bytes(number(6)?),
            boot: slot[56..BODY_BYTES].try_into().ok()?,
        })
    }
}

/// The file, opened for reading or for publishing.
#[derive(Debug)]
pub(super) struct PublishedFile(File);

impl PublishedFile {
    /// For reading.
    pub(super) fn open(directory: &PartitionDirectory) -> Result<PublishedFile, TopicError> {
        let path = directory.published_path();
        File::open(&path)
            .map(PublishedFile)
            .map_err(|e| TopicError::io("open", &path, e))
    }

    /// For publishing; made if it is not there.
    pub(super) fn open_to_write(
        directory: &PartitionDirectory,
    ) -> Result<PublishedFile, TopicError> {
        let path = directory.published_path();
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        options
            .map(PublishedFile)
            .map_err(|e| TopicError::io("open", &path, e))
    }

    /// The newest publication; `None` if there is no valid one.
    pub(super) fn read(&self) -> io::Result<Option<Published>> {
        // Only a reader that is overtaken by two publications within one read finds no valid slot.
        for _ in 0..100 {
            let mut slots = [0; 2 * SLOT_BYTES];
            let mut filled = 0;
            while filled < slots.len() {
                match self.0.read_at(&mut slots[filled..], filled as u64)? {
                    0 => break,
                    count => filled += count,
                }
            }
            let newest = slots.chunks(SLOT_BYTES).filter_map(Published::from_slot);
            if let Some(newest) = newest.max_by_key(|published| published.sequence) {
                return Ok(Some(newest));
            }
            std::thread::yield_now();
        }
        Ok(None)
    }

    /// Publishes; `published.sequence` says which slot.
    pub(super) fn write(&self, published: &Published) -> io::Result<()> {
        let slot = published.sequence % 2 * SLOT_BYTES as u64;
        self.0.write_all_at(&published.to_slot(), slot)
    }

    /// Makes it survive a power failure.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_survives_the_round_trip_and_no_changed_byte() {
        let mut published = Published::empty(boot_id());
        (published.sequence, published.end, published.newest_millis) = (7, 1 << 40, -3);
        let slot = published.to_slot();
        assert_eq!(Published::from_slot(&slot), Some(published));
        for at in 0..BODY_BYTES + 4 {
            let mut changed = slot;
            changed[at] ^= 0x10;
            assert_eq!(Published::from_slot(&changed), None, "byte {at}");
        }
    }

    #[test]
    fn a_torn_publication_shows_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let directory = PartitionDirectory::new("dir://t".into(), directory.path(), 0, 100);
        std::fs::create_dir_all(directory.path()).unwrap();
        let file = PublishedFile::open_to_write(&directory).unwrap();
        assert_eq!(file.read().unwrap(), None);
        for sequence in 1..6_u64 {
            file.write(&Published {
                sequence,
                end: sequence,
                ..Published::empty([0; 16])
            })
            .unwrap();
        }
        // Where publication 6 goes.
        file.0.write_all_at(&[0xff; 60], 0).unwrap();
        assert_eq!(file.read().unwrap().unwrap().end, 5);
    }
}
