//! Packs in memory as a topic: what the job reads costs nothing to fetch. Every benchmark of the job reads from it.

use std::fmt;
use std::sync::Arc;

use flow_topic::{Bounds, Headers, Reader, RecordRef, Timestamps, Topic, TopicError, Writer};

use crate::packs::{Pack, Packs};

/// Our pack header in its stored form.
const HEADER: &[u8] = b"\x0dflow-pipeline\x01\x001";

/// Told of each pack read: its partition, on the thread of the worker that has read it.
pub(crate) type OnRead = Arc<dyn Fn(u32) + Send + Sync>;

/// The topic.
#[derive(Clone)]
pub(crate) struct InMemory {
    pub(crate) packs: Arc<Packs>,
    pub(crate) on_read: OnRead,
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").finish_non_exhaustive()
    }
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
        Ok(self
            .topic
            .part(self.partition)
            .get(index)
            .map(|pack| RecordRef {
                offset: self.offset,
                timestamp_millis: pack.stamp_millis,
                headers: Headers(HEADER),
                payload: &pack.payload,
            }))
    }
    fn advance(&mut self) {
        self.offset += 1;
        (self.topic.on_read)(self.partition);
    }
    fn position(&self) -> u64 {
        self.offset
    }
    fn seek(&mut self, offset: u64) -> Result<(), TopicError> {
        self.offset = offset;
        Ok(())
    }
}
