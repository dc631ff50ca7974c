//! A segment: one process's records for one checkpoint, in one immutable file, indexed by shard.
//!
//! Layout, little endian: a header of 32 bytes (magic, version u32, record size u32, records u64, shards u32,
//! crc32 u32 of header and index), for each shard 16 bytes (records u64, crc32 u32 of its records, zero u32),
//! then the records as they stand in memory, shard after shard. Each shard has its own checksum, so that a
//! follower holds one shard in memory and not the file.
//! Law: what is handed out is bit for bit what was written, or an error.

use std::io;
use std::path::{Path, PathBuf};

use bytemuck::{Pod, cast_slice, cast_slice_mut};

use crate::objects::Opened;
use crate::{SegmentName, StateError, StateStore, layout};

const MAGIC: [u8; 8] = *b"FPSEGMT\n";
const HEADER_BYTES: usize = 32;
const CRC_AT: usize = 28;
const ENTRY_BYTES: usize = 16;
/// A segment with more shards was not written by us.
const MAX_SHARDS: u32 = 1 << 16;

/// Version of the segment's layout that this program writes, and the newest that it reads.
const VERSION: u32 = 1;

/// A segment's records, all of them in memory.
#[derive(Debug)]
pub struct Segment<T> {
    records: Vec<T>,
    /// Where each shard ends in `records`.
    ends: Vec<usize>,
}

impl<T> Segment<T> {
    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.ends.len()
    }

    /// The records of one shard, in the order in which they were written; none for a shard that it lacks.
    pub fn shard(&self, shard: usize) -> &[T] {
        let start = shard
            .checked_sub(1)
            .and_then(|s| self.ends.get(s))
            .copied()
            .unwrap_or(0);
        let end = self.ends.get(shard).copied().unwrap_or(start);
        self.records.get(start..end).unwrap_or(&[])
    }

    /// The records of all shards, one shard after the other.
    pub fn records(&self) -> &[T] {
        &self.records
    }
}

/// A segment whose header and index have been read and checked; its records are read shard by shard.
#[derive(Debug)]
pub struct SegmentFile {
    object: Box<dyn Opened>,
    path: PathBuf,
    record_bytes: usize,
    shards: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// Byte offset in the file.
    at: u64,
    records: usize,
    crc: u32,
}

impl StateStore {
    /// Writes a segment; durable when it returns. The records stay in the order given, one shard after the other.
    ///
    /// # Errors
    /// `Io` if it could not be made durable; a second call writes it again.
    pub fn write_segment<T: Pod>(
        &self,
        name: SegmentName,
        shards: &[impl AsRef<[T]>],
    ) -> Result<(), StateError> {
        let object = layout::segment(name);
        let path = self.shown(&object);
        let head = head(shards).map_err(|what| StateError::Unfit {
            path: path.clone(),
            what,
        })?;
        let mut parts: Vec<&[u8]> = vec![&head];
        parts.extend(shards.iter().map(|s| cast_slice::<T, u8>(s.as_ref())));
        let put = self.objects().put(&object, name.attempt, &parts);
        put.map_err(StateError::io("write", &path))
    }

    /// Reads and checks a whole segment.
    ///
    /// # Errors
    /// `Missing`, `Damaged`, `Newer`, `Io`.
    pub fn read_segment<T: Pod>(&self, name: SegmentName) -> Result<Segment<T>, StateError> {
        let file = self.open_segment(name)?;
        let mut segment = Segment {
            records: Vec::new(),
            ends: Vec::with_capacity(file.shards()),
        };
        segment
            .records
            .reserve_exact(file.shards.iter().map(|p| p.records).sum());
        let mut shard = Vec::new();
        for s in 0..file.shards() {
            file.read_shard(s, &mut shard)?;
            segment.records.extend_from_slice(&shard);
            segment.ends.push(segment.records.len());
        }
        Ok(segment)
    }

    /// Opens a segment to read it shard by shard. In a directory it stays readable if it is deleted meanwhile; elsewhere
    /// its shards are `Missing` then.
    ///
    /// # Errors
    /// `Missing`, `Damaged`, `Newer`, `Io`.
    pub fn open_segment(&self, name: SegmentName) -> Result<SegmentFile, StateError> {
        let object = layout::segment(name);
        let path = self.shown(&object);
        let object = self.objects().open(&object);
        SegmentFile::check(object.map_err(StateError::io("open", &path))?, path)
    }
}

impl SegmentFile {
    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Bytes of each of its records.
    pub fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    /// Reads the records of one shard into `into`, replacing what it holds; none for a shard that it lacks.
    ///
    /// # Errors
    /// `Damaged` if they are not what was written, `Io`.
    pub fn read_shard<T: Pod>(&self, shard: usize, into: &mut Vec<T>) -> Result<(), StateError> {
        into.clear();
        let Some(place) = self.shards.get(shard).filter(|place| place.records > 0) else {
            return Ok(());
        };
        if size_of::<T>() != self.record_bytes {
            let what = format!(
                "its records have {} bytes, not {}",
                self.record_bytes,
                size_of::<T>()
            );
            return Err(StateError::damaged(&self.path, what));
        }
        into.resize(place.records, T::zeroed());
        let read = self.read_place(shard, place, cast_slice_mut(into.as_mut_slice()));
        if read.is_err() {
            into.clear();
        }
        read
    }

    /// As `read_shard`, for whoever does not know the type of its records: as words, so many a record as `record_bytes`
    /// says.
    ///
    /// # Errors
    /// As `read_shard`.
    pub fn read_words(&self, shard: usize, into: &mut Vec<u64>) -> Result<(), StateError> {
        into.clear();
        let Some(place) = self.shards.get(shard).filter(|place| place.records > 0) else {
            return Ok(());
        };
        if !self.record_bytes.is_multiple_of(size_of::<u64>()) {
            let what = format!("its records have {} bytes", self.record_bytes);
            return Err(StateError::damaged(&self.path, what));
        }
        into.resize(place.records * self.record_bytes / size_of::<u64>(), 0);
        let read = self.read_place(shard, place, cast_slice_mut(into.as_mut_slice()));
        if read.is_err() {
            into.clear();
        }
        read
    }

    fn read_place(&self, shard: usize, place: &Place, bytes: &mut [u8]) -> Result<(), StateError> {
        let read = self.object.read_at(place.at, bytes);
        read.map_err(StateError::io("read", &self.path))?;
        if crc32fast::hash(bytes) == place.crc {
            return Ok(());
        }
        let what = format!("the checksum of shard {shard} does not fit");
        Err(StateError::damaged(&self.path, what))
    }

    /// Checks header, index and length. Allocates for the index only, and that only if the file can hold it.
    fn check(object: Box<dyn Opened>, path: PathBuf) -> Result<SegmentFile, StateError> {
        let damaged = |what: &str| StateError::damaged(&path, what);
        let read = |at, into: &mut [u8]| match object.read_at(at, into) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged("cut short")),
            read => read.map_err(StateError::io("read", &path)),
        };
        let length = object.length();
        let mut header = [0u8; HEADER_BYTES];
        read(0, &mut header)?;
        if header.first_chunk() != Some(&MAGIC) {
            return Err(damaged("not a segment"));
        }
        let (version, record_bytes) = (u32_at(&header, 8), u32_at(&header, 12));
        let (count, shards) = (u64_at(&header, 16), u32_at(&header, 24));
        let index_bytes = u64::from(shards) * ENTRY_BYTES as u64;
        let body_at = HEADER_BYTES as u64 + index_bytes;
        if shards > MAX_SHARDS || body_at > length {
            return Err(damaged("its index does not fit into it"));
        }
        let mut index = vec![0u8; usize::try_from(index_bytes).unwrap_or(0)];
        read(HEADER_BYTES as u64, &mut index)?;
        if head_checksum(&header, &index) != u32_at(&header, CRC_AT) {
            return Err(damaged("the checksum of its header does not fit"));
        }
        if version > VERSION {
            return Err(StateError::Newer {
                path,
                found: version,
                known: VERSION,
            });
        }
        let mut at = body_at;
        let mut places = Vec::with_capacity(index.len() / ENTRY_BYTES);
        for entry in index.chunks_exact(ENTRY_BYTES) {
            let records = u64_at(entry, 0);
            let records_usize = usize::try_from(records).map_err(|_| damaged("too large"))?;
            places.push(Place {
                at,
                records: records_usize,
                crc: u32_at(entry, 8),
            });
            at = records
                .checked_mul(u64::from(record_bytes))
                .and_then(|bytes| at.checked_add(bytes))
                .ok_or_else(|| damaged("too large"))?;
        }
        if at != length || count.checked_mul(u64::from(record_bytes)) != Some(at - body_at) {
            return Err(damaged("its length is not the one it states"));
        }
        let record_bytes = usize::try_from(record_bytes).map_err(|_| damaged("too large"))?;
        Ok(SegmentFile {
            object,
            path,
            record_bytes,
            shards: places,
        })
    }
}

/// Header and index.
fn head<T: Pod>(shards: &[impl AsRef<[T]>]) -> Result<Vec<u8>, String> {
    let shard_count = u32::try_from(shards.len())
        .ok()
        .filter(|n| *n <= MAX_SHARDS);
    let shard_count = shard_count.ok_or_else(|| format!("{} shards", shards.len()))?;
    let record_bytes = u32::try_from(size_of::<T>()).map_err(|e| e.to_string())?;
    let mut index = Vec::with_capacity(shards.len() * ENTRY_BYTES);
    let mut count = 0u64;
    for shard in shards {
        let records = shard.as_ref().len() as u64;
        count += records;
        index.extend_from_slice(&records.to_le_bytes());
        index
            .extend_from_slice(&crc32fast::hash(cast_slice::<T, u8>(shard.as_ref())).to_le_bytes());
        index.extend_from_slice(&[0; 4]);
    }
    let mut head = Vec::with_capacity(HEADER_BYTES + index.len());
    head.extend_from_slice(&MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&record_bytes.to_le_bytes());
    head.extend_from_slice(&count.to_le_bytes());
    head.extend_from_slice(&shard_count.to_le_bytes());
    head.extend_from_slice(&head_checksum(&head, &index).to_le_bytes());
    head.extend_from_slice(&index);
    Ok(head)
}

fn head_checksum(header: &[u8], index: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.get(..CRC_AT).unwrap_or(header));
    hasher.update(index);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk);
    found.map_or(0, |b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk);
    found.map_or(0, |b| u64::from_le_bytes(*b))
}

/// For messages: where a segment stands.
impl AsRef<Path> for SegmentFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}
