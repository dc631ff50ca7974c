//! A consumer with the partitions assigned to it, and the thread that serves it.
//!
//! Why one consumer for all partitions: each has a thread and a connection for every broker. Each partition has a
//! queue of its own, so that readers don't meet. The thread serves librdkafka's events and asks, twice a second, where
//! the partitions end. Law: an end that could not be asked for makes its partition unreachable, which counts as unread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::client::Voice;
use super::config::Settings;
use super::ends::{self, Seen};
use crate::metrics::KafkaMetrics;
use crate::metrics::kafka::InPartition;

/// Between two looks at the ends of the partitions.
const SURVEY: Duration = Duration::from_millis(500);
/// From one survey's answer to the next one's: after more than this a topic may have been deleted and made anew unseen.
const LATE: Duration = Duration::from_millis(1_500);
/// How long an answer may take until its partitions count as unreachable.
const ANSWER: Duration = Duration::from_secs(3);
/// Longest sleep of the thread: a new partition is surveyed within it.
const NAP: Duration = Duration::from_millis(50);

/// Queue of one partition.
pub(super) type Queue = PartitionQueue<Voice>;

/// A partition being read: what the survey has seen, and where the reader stands.
#[derive(Debug, Default)]
pub(super) struct Watched {
    state: Mutex<(Seen, u64)>,
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, (Seen, u64)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last survey has seen.
    pub(super) fn seen(&self) -> Seen {
        self.state().0
    }

    /// Where the reader stands.
    pub(super) fn stand(&self, position: u64) {
        self.state().1 = position;
    }
}

struct Shared {
    consumer: Arc<BaseConsumer<Voice>>,
    topic: String,
    watched: Mutex<BTreeMap<u32, Arc<Watched>>>,
    /// A partition has come since the last survey.
    renew: AtomicBool,
    stop: AtomicBool,
}

/// The consumer. Its thread ends with it.
pub(super) struct Link {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    pub(super) fn open(settings: &Settings, metrics: KafkaMetrics) -> KafkaResult<Link> {
        let address = &settings.address;
        let voice = Voice::new("consumer", &address.url(), metrics);
        let consumer: BaseConsumer<Voice> = settings.consumer().create_with_context(voice)?;
        let shared = Arc::new(Shared {
            consumer: Arc::new(consumer),
            topic: address.topic.clone(),
            watched: Mutex::default(),
            renew: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || serve(&served))
            .map_err(|e| rdkafka::error::KafkaError::ClientCreation(e.to_string()))?;
        Ok(Link {
            shared,
            thread: Some(thread),
        })
    }

    pub(super) fn consumer(&self) -> &BaseConsumer<Voice> {
        &self.shared.consumer
    }

    pub(super) fn voice(&self) -> &Voice {
        self.shared.consumer.client().context()
    }

    /// Takes a partition, unless a reader has it.
    pub(super) fn take(&self, partition: u32) -> Option<Arc<Watched>> {
        let mut watched = self.shared.watched();
        if watched.contains_key(&partition) {
            return None;
        }
        let new = Arc::new(Watched::default());
        watched.insert(partition, Arc::clone(&new));
        drop(watched);
        self.shared.renew.store(true, Ordering::Release);
        Some(new)
    }

    /// Begins to fetch a taken partition from `offset`, ending an earlier fetch of it.
    pub(super) fn fetch(&self, partition: u32, offset: u64) -> KafkaResult<Queue> {
        let consumer = &self.shared.consumer;
        drop(consumer.incremental_unassign(&self.list(partition, Offset::Invalid)?));
        // Before it is assigned: not one record may go to the common queue.
        let split = consumer.split_partition_queue(&self.shared.topic, number(partition));
        let queue = split.ok_or(rdkafka::error::KafkaError::Canceled)?;
        let offset = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        consumer.incremental_assign(&self.list(partition, offset)?)?;
        Ok(queue)
    }

    /// Gives a partition back.
    pub(super) fn give_back(&self, partition: u32) {
        if let Ok(list) = self.list(partition, Offset::Invalid) {
            drop(self.shared.consumer.incremental_unassign(&list));
        }
        let gone = self.shared.watched().remove(&partition);
        let metrics = self.voice().metrics();
        if gone.is_some_and(|watched| watched.seen().unreachable) {
            metrics.unreachable_partitions.dec();
        }
        metrics.lag_records.remove(&InPartition { partition });
    }

    /// Commits offsets, for lag displays only.
    pub(super) fn commit(&self, progress: &BTreeMap<u32, u64>) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(progress.len());
        for (partition, offset) in progress {
            let offset = Offset::Offset(i64::try_from(*offset).unwrap_or(i64::MAX));
            list.add_partition_offset(&self.shared.topic, number(*partition), offset)?;
        }
        self.shared.consumer.commit(&list, CommitMode::Async)
    }

    fn list(&self, partition: u32, offset: Offset) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(&self.shared.topic, number(partition), offset)?;
        Ok(list)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Within an answer's time.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// librdkafka counts partitions in 32 bits with a sign.
pub(super) fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Watched>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks where the partitions end, and tells their readers. `last`: when that was done before.
    fn survey(&self, last: Option<Instant>) {
        let watched = self.watched().clone();
        if watched.is_empty() {
            return;
        }
        let asked = ends::ends(&self.consumer, &self.topic, watched.keys().copied(), ANSWER);
        let late = last.is_some_and(|at| at.elapsed() > LATE);
        let metrics = self.consumer.client().context().metrics();
        for (partition, current) in self.watched().iter() {
            // One that came while the brokers were asked is the next survey's.
            if !watched
                .get(partition)
                .is_some_and(|asked| Arc::ptr_eq(asked, current))
            {
                continue;
            }
            let end = asked
                .as_ref()
                .ok()
                .and_then(|ends| ends.get(partition).copied());
            let mut state = current.state();
            let was = state.0.unreachable;
            state.0.renew(end, late);
            match (was, state.0.unreachable) {
                (false, true) => drop(metrics.unreachable_partitions.inc()),
                (true, false) => drop(metrics.unreachable_partitions.dec()),
                _ => {}
            }
            if let Some(end) = end {
                let lag = i64::try_from(end.saturating_sub(state.1)).unwrap_or(i64::MAX);
                let partition = *partition;
                metrics
                    .lag_records
                    .get_or_create(&InPartition { partition })
                    .set(lag);
            }
        }
    }
}

fn serve(shared: &Shared) {
    let mut surveyed: Option<Instant> = None;
    while !shared.stop.load(Ordering::Acquire) {
        if let Some(Ok(record)) = shared.consumer.poll(NAP) {
            // Cannot be: every partition has its queue before it is assigned.
            let at = rdkafka::Message::offset(&record);
            tracing::error!(topic = %shared.topic, at, "a record came by the wrong queue");
        }
        let new = shared.renew.swap(false, Ordering::AcqRel);
        if new || surveyed.is_none_or(|at| at.elapsed() >= SURVEY) {
            shared.survey(surveyed);
            surveyed = Some(Instant::now());
        }
    }
}
