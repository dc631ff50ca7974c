//! A topic in memory whose records, and whose partitions, become visible when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use flow_topic::{
    Bounds, Headers, NewRecord, Reader, RecordRef, Timestamps, Topic, TopicError, Writer,
};

/// One record as the test made it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub timestamp_millis: i64,
    pub ours: bool,
    pub payload: Vec<u8>,
}

#[derive(Debug, Default)]
struct Partition {
    records: Vec<Stored>,
    visible: AtomicU64,
    /// Records below it are gone.
    earliest: AtomicU64,
    /// What `earliest` becomes once it has been asked for.
    next_earliest: AtomicU64,
}

/// The topic. Clones share the records and what is visible of them.
#[derive(Clone, Debug)]
pub struct MemoryTopic(Arc<Vec<Partition>>, Arc<AtomicBool>, Arc<AtomicU32>);

const OURS: &[u8] = b"\x0dflow-pipeline\x01\x001";

impl MemoryTopic {
    pub fn new(partitions: Vec<Vec<Stored>>) -> MemoryTopic {
        let make = |records| Partition {
            records,
            visible: AtomicU64::new(0),
            earliest: AtomicU64::new(0),
            next_earliest: AtomicU64::new(0),
        };
        let partitions: Vec<_> = partitions.into_iter().map(make).collect();
        let shown = partitions.len() as u32;
        MemoryTopic(
            Arc::new(partitions),
            Arc::default(),
            Arc::new(AtomicU32::new(shown)),
        )
    }

    /// The topic has this many of its partitions from now on.
    pub fn show(&self, partitions: usize) {
        self.2.store(partitions as u32, Ordering::Release);
    }

    /// How many partitions it has for those who ask.
    pub fn shown(&self) -> usize {
        self.2.load(Ordering::Acquire) as usize
    }

    /// While broken, every read fails: the job ends at once, without another checkpoint, as if it was killed.
    pub fn broken(&self, broken: bool) {
        self.1.store(broken, Ordering::Release);
    }

    /// Records of a partition, visible or not.
    pub fn records(&self, partition: usize) -> &[Stored] {
        &self.0[partition].records
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Shows the next `more` records of a partition; false if all were visible.
    pub fn reveal(&self, partition: usize, more: u64) -> bool {
        let part = &self.0[partition];
        let all = part.records.len() as u64;
        let before = part.visible.load(Ordering::Acquire);
        part.visible
            .store(all.min(before + more), Ordering::Release);
        before < all
    }

    /// Retention: records below this offset are gone; the last one of all, and what is not visible yet, stays.
    pub fn expire(&self, partition: usize, below: u64) {
        let part = &self.0[partition];
        let most = self.visible(partition).min(part.records.len() as u64 - 1);
        part.earliest.fetch_max(below.min(most), Ordering::AcqRel);
    }

    /// As `expire`, of records that nobody could see before either.
    pub fn expire_unseen(&self, partition: usize, below: u64) {
        self.0[partition]
            .earliest
            .fetch_max(below, Ordering::AcqRel);
    }

    /// As `expire`, once somebody has asked where the partition begins.
    pub fn expire_after_look(&self, partition: usize, below: u64) {
        self.0[partition]
            .next_earliest
            .store(below, Ordering::Release);
    }

    /// As if retention had never been.
    pub fn give_back(&self) {
        for part in self.0.iter() {
            part.earliest.store(0, Ordering::Release);
        }
    }

    pub fn earliest(&self, partition: usize) -> u64 {
        self.0[partition].earliest.load(Ordering::Acquire)
    }

    pub fn reveal_all(&self) {
        for partition in 0..self.count() {
            self.reveal(partition, u64::MAX / 2);
        }
    }

    pub fn visible(&self, partition: usize) -> u64 {
        self.0[partition].visible.load(Ordering::Acquire)
    }
}

impl Topic for MemoryTopic {
    fn url(&self) -> String {
        "memory://test".to_owned()
    }
    fn partitions(&self) -> Result<u32, TopicError> {
        Ok(self.shown() as u32)
    }
    fn timestamps(&self) -> Timestamps {
        Timestamps::Create
    }
    fn bounds(&self, partition: u32) -> Result<Bounds, TopicError> {
        let part = &self.0[partition as usize];
        let next = part.next_earliest.load(Ordering::Acquire);
        Ok(Bounds {
            earliest: part.earliest.fetch_max(next, Ordering::AcqRel),
            end: self.visible(partition as usize),
        })
    }
    fn offset_at(&self, partition: u32, millis: i64) -> Result<Option<u64>, TopicError> {
        let at = partition as usize;
        let mut offsets = self.earliest(at)..self.visible(at);
        Ok(offsets.find(|offset| self.records(at)[*offset as usize].timestamp_millis >= millis))
    }
    fn reader(&self, partition: u32, offset: u64) -> Result<Box<dyn Reader>, TopicError> {
        Ok(Box::new(MemoryReader {
            topic: self.clone(),
            partition: partition as usize,
            offset,
        }))
    }
    fn writer(&self) -> Result<Box<dyn Writer>, TopicError> {
        Ok(Box::new(NoWriter))
    }
}

struct NoWriter;

impl Writer for NoWriter {
    fn append(&mut self, _: u32, _: NewRecord<'_>) -> Result<(), TopicError> {
        Err(TopicError::Missing {
            url: "memory://test is read-only".to_owned(),
        })
    }
    fn flush(&mut self) -> Result<(), TopicError> {
        Ok(())
    }
}

struct MemoryReader {
    topic: MemoryTopic,
    partition: usize,
    offset: u64,
}

impl Reader for MemoryReader {
    fn peek(&mut self) -> Result<Option<RecordRef<'_>>, TopicError> {
        if self.topic.1.load(Ordering::Acquire) {
            return Err(TopicError::Missing {
                url: "memory://broken".to_owned(),
            });
        }
        let earliest = self.topic.earliest(self.partition);
        if self.offset < earliest {
            return Err(TopicError::Gap {
                url: self.topic.url(),
                partition: self.partition as u32,
                offset: self.offset,
                earliest,
            });
        }
        if self.offset >= self.topic.visible(self.partition) {
            return Ok(None);
        }
        let stored = &self.topic.records(self.partition)[self.offset as usize];
        Ok(Some(RecordRef {
            offset: self.offset,
            timestamp_millis: stored.timestamp_millis,
            headers: Headers(if stored.ours { OURS } else { b"" }),
            payload: &stored.payload,
        }))
    }
    fn advance(&mut self) {
        self.offset += 1;
    }
    fn position(&self) -> u64 {
        self.offset
    }
    fn seek(&mut self, offset: u64) -> Result<(), TopicError> {
        self.offset = offset;
        Ok(())
    }
}
