//! The topic: records and partitions become visible when the schedule says so, and may be out of reach for a while.
//!
//! It keeps the promises of `flow_topic::Topic` and no others: what a reader has returned keeps its offset and bytes;
//! whoever cannot reach a partition does not know whether there is more to read. Retention removes nothing here yet:
//! `earliest` is where gaps would begin.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flow_topic::{
    Bounds, Headers, NewRecord, Reader, RecordRef, Timestamps, Topic, TopicError, Writer,
};

use crate::records::{Records, Stored};

const OURS: &[u8] = b"\x0dflow-pipeline\x01\x001";

/// The topic; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct SimTopic {
    records: Arc<Records>,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Debug)]
struct Shown {
    /// How many of a partition's records there are.
    visible: Vec<u64>,
    partitions: usize,
    /// Arrivals so far.
    arrived: usize,
    unreachable: Vec<bool>,
}

impl SimTopic {
    pub(crate) fn new(records: Records) -> SimTopic {
        let count = records.partitions.len();
        let shown = Shown {
            visible: vec![0; count],
            partitions: records.first,
            arrived: 0,
            unreachable: vec![false; count],
        };
        SimTopic {
            records: Arc::new(records),
            shown: Arc::new(Mutex::new(shown)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next record arrives; returns when, and in which partition. `None`: all have.
    pub(crate) fn arrive(&self) -> Option<(u64, usize)> {
        let mut shown = self.lock();
        let (secs, partition) = self.records.arrivals.get(shown.arrived).copied()?;
        shown.arrived += 1;
        shown.visible[partition] += 1;
        // Somebody has to have made the partition.
        shown.partitions = shown.partitions.max(partition + 1);
        Some((secs, partition))
    }

    /// All its partitions are there from now on.
    pub(crate) fn grow(&self) {
        self.lock().partitions = self.records.partitions.len();
    }

    /// A partition can or cannot be reached.
    pub(crate) fn reach(&self, partition: usize, reachable: bool) {
        self.lock().unreachable[partition] = !reachable;
    }

    pub(crate) fn is_reachable(&self, partition: usize) -> bool {
        !self.lock().unreachable[partition]
    }

    /// Its partitions, those that are still to come among them.
    pub(crate) fn count(&self) -> usize {
        self.records.partitions.len()
    }

    /// Records of a partition, visible or not.
    pub(crate) fn records(&self, partition: usize) -> &[Stored] {
        &self.records.partitions[partition]
    }

    fn place(&self, partition: u32) -> Result<usize, TopicError> {
        let shown = self.lock();
        let place = usize::try_from(partition).unwrap_or(usize::MAX);
        if place >= shown.partitions {
            return Err(TopicError::NoPartition {
                url: self.url(),
                partition,
                partitions: u32::try_from(shown.partitions).unwrap_or(u32::MAX),
            });
        }
        if shown.unreachable[place] {
            return Err(self.away());
        }
        Ok(place)
    }

    fn away(&self) -> TopicError {
        TopicError::Unreachable {
            url: self.url(),
            what: "read".to_owned(),
            cause: "simulated".to_owned(),
        }
    }
}

impl Topic for SimTopic {
    fn url(&self) -> String {
        "sim://topic".to_owned()
    }

    fn partitions(&self) -> Result<u32, TopicError> {
        Ok(u32::try_from(self.lock().partitions).unwrap_or(u32::MAX))
    }

    fn timestamps(&self) -> Timestamps {
        Timestamps::Create
    }

    fn bounds(&self, partition: u32) -> Result<Bounds, TopicError> {
        let place = self.place(partition)?;
        Ok(Bounds {
            earliest: 0,
            end: self.lock().visible[place],
        })
    }

    fn offset_at(&self, partition: u32, millis: i64) -> Result<Option<u64>, TopicError> {
        let place = self.place(partition)?;
        let visible = 0..self.lock().visible[place];
        let mut records = visible.zip(self.records(place));
        let found = records.find(|(_, stored)| stored.timestamp_millis >= millis);
        Ok(found.map(|(offset, _)| offset))
    }

    fn reader(&self, partition: u32, offset: u64) -> Result<Box<dyn Reader>, TopicError> {
        Ok(Box::new(SimReader {
            topic: self.clone(),
            partition: usize::try_from(partition).unwrap_or(usize::MAX),
            offset,
        }))
    }

    fn writer(&self) -> Result<Box<dyn Writer>, TopicError> {
        Ok(Box::new(NoWriter(self.url())))
    }
}

struct NoWriter(String);

impl Writer for NoWriter {
    fn append(&mut self, _: u32, _: NewRecord<'_>) -> Result<(), TopicError> {
        Err(TopicError::Locked {
            url: self.0.clone(),
        })
    }

    fn flush(&mut self) -> Result<(), TopicError> {
        Ok(())
    }
}

struct SimReader {
    topic: SimTopic,
    partition: usize,
    offset: u64,
}

impl SimReader {
    /// `None`: nobody knows.
    fn more(&self) -> Option<bool> {
        let shown = self.topic.lock();
        let known = !shown.unreachable[self.partition];
        known.then_some(self.offset < shown.visible[self.partition])
    }
}

impl Reader for SimReader {
    fn peek(&mut self) -> Result<Option<RecordRef<'_>>, TopicError> {
        if self.more() != Some(true) {
            return Ok(None);
        }
        let place = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let stored = &self.topic.records(self.partition)[place];
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

    fn unread(&mut self) -> Result<bool, TopicError> {
        Ok(self.more().unwrap_or(true))
    }

    fn wait(&mut self, _: Duration) -> Result<bool, TopicError> {
        self.more().ok_or_else(|| self.topic.away())
    }
}
