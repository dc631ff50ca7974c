//! A Kafka topic, opened: its consumers, what is known of it, and the questions that go to the brokers.
//!
//! Why consumers are shared by the readers: see `link`. Law: nothing here is answered from memory but the number of
//! partitions while the brokers are away.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use super::admin::Admin;
use super::config::Settings;
use super::ends;
use super::errors;
use super::link::{Link, Watched};
use crate::metrics::KafkaMetrics;
use crate::{Bounds, Timestamps, TopicError};

/// How long the brokers may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a new topic may stay unknown to a part of the brokers.
const SETTLE: Duration = Duration::from_secs(10);
/// Between two looks at a new topic.
const LOOK: Duration = Duration::from_millis(20);
/// Kafka's own limit of a record batch, where it cannot be asked for.
const LIMIT_BYTES: usize = 1_048_588;

/// What readers and writers of a topic share.
pub(super) struct Inner {
    settings: Settings,
    metrics: KafkaMetrics,
    timestamps: Timestamps,
    limit_bytes: usize,
    partitions: AtomicU32,
    /// The first one also asks; further ones are for further readers of the same partition.
    links: Mutex<Vec<Arc<Link>>>,
    /// Ends asked for before.
    ends: Mutex<BTreeMap<u32, u64>>,
    first: Arc<Link>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KafkaTopic")
            .field(&self.settings.address)
            .finish()
    }
}

impl Inner {
    /// Opens a topic that exists.
    pub(super) fn open(settings: Settings, metrics: KafkaMetrics) -> Result<Inner, TopicError> {
        let url = settings.address.url();
        let link = Link::open(&settings, metrics.clone());
        let link = Arc::new(link.map_err(|e| errors::of(&url, "connect", &e, None))?);
        let mut inner = Inner {
            settings,
            metrics,
            timestamps: Timestamps::Create,
            limit_bytes: LIMIT_BYTES,
            partitions: AtomicU32::new(0),
            links: Mutex::new(vec![Arc::clone(&link)]),
            ends: Mutex::default(),
            first: link,
        };
        inner.partitions_now()?;
        match inner.admin()?.settings() {
            Ok(settings) => inner.take(&settings),
            Err(error) => tracing::warn!(
                %error, "taking for granted that producers set the timestamps, and {LIMIT_BYTES} bytes a record"
            ),
        }
        Ok(inner)
    }

    /// Waits until a topic that was just made has a leader for each partition.
    pub(super) fn settle(
        settings: &Settings,
        metrics: &KafkaMetrics,
        partitions: u32,
    ) -> Result<(), TopicError> {
        let url = settings.address.url();
        let link = Link::open(settings, metrics.clone());
        let link = link.map_err(|e| errors::of(&url, "connect", &e, None))?;
        let begun = Instant::now();
        loop {
            let found = link
                .consumer()
                .fetch_metadata(Some(&settings.address.topic), ANSWER);
            let led = found.is_ok_and(|metadata| led_partitions(&metadata) >= partitions);
            if led || begun.elapsed() >= SETTLE {
                return Ok(());
            }
            // Brokers learn of a topic one after the other, and tell nobody when all have.
            std::thread::sleep(LOOK);
        }
    }

    fn take(&mut self, settings: &BTreeMap<String, String>) {
        let kind = settings.get("message.timestamp.type").map(String::as_str);
        if kind == Some("LogAppendTime") {
            self.timestamps = Timestamps::Append;
        }
        let limit = settings
            .get("max.message.bytes")
            .and_then(|text| text.parse().ok());
        self.limit_bytes = limit.unwrap_or(LIMIT_BYTES);
    }

    pub(super) fn admin(&self) -> Result<Admin, TopicError> {
        Admin::open(&self.settings, self.metrics.clone())
    }

    pub(super) fn url(&self) -> String {
        self.settings.address.url()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn metrics(&self) -> &KafkaMetrics {
        &self.metrics
    }

    pub(super) fn timestamps(&self) -> Timestamps {
        self.timestamps
    }

    pub(super) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    pub(super) fn first(&self) -> &Link {
        &self.first
    }

    pub(super) fn error(&self, what: &str, error: &KafkaError) -> TopicError {
        errors::of(&self.url(), what, error, self.first.voice().last())
    }

    /// The brokers' view of the topic.
    pub(super) fn metadata(&self) -> Result<Metadata, TopicError> {
        let topic = &self.settings.address.topic;
        let found = self.first.consumer().fetch_metadata(Some(topic), ANSWER);
        let metadata = found.map_err(|e| self.error("connect", &e))?;
        let error = metadata.topics().first().and_then(|topic| topic.error());
        match error {
            Some(code) => Err(self.error(
                "connect",
                &KafkaError::MetadataFetch(RDKafkaErrorCode::from(code)),
            )),
            None => Ok(metadata),
        }
    }

    /// Number of partitions, asked for.
    pub(super) fn partitions_now(&self) -> Result<u32, TopicError> {
        let metadata = self.metadata()?;
        let count = metadata
            .topics()
            .first()
            .map_or(0, |topic| topic.partitions().len());
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count == 0 {
            return Err(TopicError::Missing { url: self.url() });
        }
        self.partitions.store(count, Ordering::Relaxed);
        Ok(count)
    }

    /// Number of partitions: the last known one while the brokers are away.
    pub(super) fn partitions(&self) -> Result<u32, TopicError> {
        match (
            self.partitions_now(),
            self.partitions.load(Ordering::Relaxed),
        ) {
            (Err(TopicError::Unreachable { .. } | TopicError::Untrusted { .. }), known @ 1..) => {
                Ok(known)
            }
            (asked, _) => asked,
        }
    }

    pub(super) fn check_partition(&self, partition: u32) -> Result<(), TopicError> {
        if partition < self.partitions.load(Ordering::Relaxed) {
            return Ok(());
        }
        let partitions = self.partitions()?;
        if partition < partitions {
            return Ok(());
        }
        Err(TopicError::NoPartition {
            url: self.url(),
            partition,
            partitions,
        })
    }

    /// A consumer with the partition to itself.
    pub(super) fn link(&self, partition: u32) -> Result<(Arc<Link>, Arc<Watched>), TopicError> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let free = links
            .iter()
            .find_map(|link| Some((Arc::clone(link), link.take(partition)?)));
        if let Some(found) = free {
            return Ok(found);
        }
        let link = Link::open(&self.settings, self.metrics.clone());
        let link = Arc::new(link.map_err(|e| self.error("connect", &e))?);
        links.push(Arc::clone(&link));
        let watched = link.take(partition).unwrap_or_default();
        Ok((link, watched))
    }

    /// The end that was last asked for; 0: none was.
    pub(super) fn known_end(&self, partition: u32) -> u64 {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.get(&partition).copied().unwrap_or(0)
    }

    pub(super) fn bounds(&self, partition: u32, limit: Duration) -> Result<Bounds, TopicError> {
        let earliest = self
            .offset(partition, Offset::Beginning, limit)?
            .unwrap_or(0);
        let end = self
            .offset(partition, Offset::End, limit)?
            .unwrap_or(earliest);
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.insert(partition, end);
        Ok(Bounds { earliest, end })
    }

    /// Where a partition begins, ends, or comes to a time; `None`: it never comes to that time.
    pub(super) fn offset(
        &self,
        partition: u32,
        at: Offset,
        limit: Duration,
    ) -> Result<Option<u64>, TopicError> {
        let consumer = self.first.consumer();
        let topic = &self.settings.address.topic;
        let begun = Instant::now();
        let offset = loop {
            let left = limit.saturating_sub(begun.elapsed());
            let asked = std::iter::once((partition, at));
            let found = ends::list_offsets(consumer, topic, asked, left);
            let offset =
                found.and_then(|mut found| found.remove(&partition).unwrap_or(Ok(Offset::Invalid)));
            match &offset {
                // A leader that has only just changed: what this client knows of it is renewed, and the question put again.
                Err(error) if errors::is_moving(error) && left > LOOK => {
                    std::thread::sleep(LOOK);
                    let _ = self.metadata();
                }
                _ => break offset,
            }
        };
        match offset.map_err(|e| self.error("ask for its offsets", &e))? {
            Offset::Offset(offset) => Ok(u64::try_from(offset).ok()),
            _ => Ok(None),
        }
    }
}

/// How many partitions have a leader.
fn led_partitions(metadata: &Metadata) -> u32 {
    let partitions = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions());
    let led = partitions
        .filter(|partition| partition.leader() >= 0)
        .count();
    u32::try_from(led).unwrap_or(u32::MAX)
}
