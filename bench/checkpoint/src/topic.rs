//! Packs in memory as a topic, and the watch on how long a worker does not come to read.

use std::sync::Arc;

use flow_topic::{Bounds, Headers, Reader, RecordRef, Timestamps, Topic, TopicError, Writer};

use crate::packs::{Pack, Packs};
use crate::watch::Watch;

/// Our pack header in its stored form.
const HEADER: &[u8] = b"\x0dflow-pipeline\x01\x001";

/// The topic; one watch for each worker.
#[derive(Clone, Debug)]
pub(crate) struct InMemory {
    pub(crate) packs: Arc<Packs>,
    pub(crate) watches: Arc<Vec<Watch>>,
}

impl InMemory {
    fn part(&self, partition: u32) -> &[Pack] {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let parts = &self.packs.partitions;
        parts.get(index).map_or(&[], Vec::as_slice)
    }
}

impl Topic for InMemory {
    fn url(&self) -> String {
        "packs in memory".to_owned()
    }
    fn partitions(&self) -> Result<u32, TopicError> {
        Ok(u32::try_from(self.packs.partitions.len()).unwrap_or(u32::MAX))
    }
    fn timestamps(&self) -> Timestamps {
        Timestamps::Create
    }
    fn bounds(&self, partition: u32) -> Result<Bounds, TopicError> {
        Ok(Bounds {
            earliest: 0,
            end: self.part(partition).len() as u64,
        })
    }
    fn offset_at(&self, partition: u32, timestamp_millis: i64) -> Result<Option<u64>, TopicError> {
        let packs = self.part(partition);
        let at = packs
            .iter()
            .position(|pack| pack.stamp_millis >= timestamp_millis);
        Ok(at.map(|at| at as u64))
    }
    fn reader(&self, partition: u32, offset: u64) -> Result<Box<dyn Reader>, TopicError> {
        Ok(Box::new(InMemoryReader {
            topic: self.clone(),
            partition,
            offset,
        }))
    }
    fn writer(&self) -> Result<Box<dyn Writer>, TopicError> {
        Err(TopicError::Locked { url: self.url() })
    }
}

struct InMemoryReader {
    topic: InMemory,
    partition: u32,
    offset: u64,
}

impl Reader for InMemoryReader {
    fn peek(&mut self) -> Result<Option<RecordRef<'_>>, TopicError> {
        let index = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let packs = self.topic.part(self.partition);
        Ok(packs.get(index).map(|pack| RecordRef {
            offset: self.offset,
            timestamp_millis: pack.stamp_millis,
            headers: Headers(HEADER),
            payload: &pack.payload,
        }))
    }
    /// A pack was read: on the worker's own thread.
    fn advance(&mut self) {
        self.offset += 1;
        let workers = self.topic.watches.len().max(1);
        let worker = usize::try_from(self.partition).unwrap_or(0) % workers;
        if let Some(watch) = self.topic.watches.get(worker) {
            watch.read();
        }
    }
    fn position(&self) -> u64 {
        self.offset
    }
    fn seek(&mut self, offset: u64) -> Result<(), TopicError> {
        self.offset = offset;
        Ok(())
    }
}
