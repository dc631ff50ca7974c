//! A topic of a Kafka cluster, by librdkafka.
//!
//! Why not a group subscription: the job's state says where to read on, so partitions are assigned, offsets are never
//! reset, and what is committed under `group.id` is for lag displays only. Names of properties are librdkafka's.
//!
//! Law: what an acknowledged `flush` has taken, all replicas in sync have; a reader skips nothing.

mod admin;
mod client;
mod config;
mod ends;
mod errors;
mod headers;
mod link;
mod proof;
mod reader;
mod ring;
mod topic;
pub(crate) mod url;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::Offset;

use config::Settings;
use reader::KafkaReader;
use topic::Inner;
use url::Address;
use writer::KafkaWriter;

pub use headers::a_panic_is_expected;

use crate::{
    Bounds, Context, Description, Options, PartitionDescription, Reader, Timestamps, Topic,
    TopicError, Writer,
};

/// Most partitions that librdkafka makes a topic with.
const PARTITIONS_LIMIT: u32 = 100_000;

/// How long the brokers may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A topic of a Kafka cluster. Clones are the same topic.
#[derive(Clone, Debug)]
pub struct KafkaTopic(Arc<Inner>);

impl KafkaTopic {
    /// Opens the topic that `url` names.
    ///
    /// # Errors
    /// `Missing`, `Unreachable`, `Denied`; `BadOptions` for a URL or a property that cannot be.
    pub fn open(url: &str, context: &Context) -> Result<KafkaTopic, TopicError> {
        let inner = Inner::open(settings(url)?, context.metrics.kafka.clone())?;
        Ok(KafkaTopic(Arc::new(inner)))
    }

    /// Makes the topic that `url` names; of `options`, partitions, timestamps, retention and replication count.
    /// Without a retention, records of producers' times are kept for ever, others as long as the brokers' default is.
    ///
    /// # Errors
    /// `Exists`; `BadOptions` for what the brokers refuse; else as `open`.
    pub fn create(
        url: &str,
        options: &Options,
        context: &Context,
    ) -> Result<KafkaTopic, TopicError> {
        let (settings, metrics) = (settings(url)?, &context.metrics.kafka);
        if !(1..=PARTITIONS_LIMIT).contains(&options.partitions) {
            let partitions = options.partitions;
            return Err(TopicError::BadOptions {
                url: settings.address.url(),
                what: format!("{partitions} partitions: give 1 to {PARTITIONS_LIMIT}"),
            });
        }
        admin::Admin::open(&settings, metrics.clone())?.create(options)?;
        Inner::settle(&settings, metrics, options.partitions)?;
        KafkaTopic::open(url, context)
    }

    /// Opens the topic, or makes it; of several processes that try, one makes it and all open it.
    ///
    /// # Errors
    /// As `open` and `create`.
    pub fn open_or_create(
        url: &str,
        options: &Options,
        context: &Context,
    ) -> Result<KafkaTopic, TopicError> {
        match KafkaTopic::open(url, context) {
            Err(TopicError::Missing { .. }) => {}
            opened => return opened,
        }
        match KafkaTopic::create(url, options, context) {
            Err(TopicError::Exists { .. }) => KafkaTopic::open(url, context),
            created => created,
        }
    }
}

fn settings(url: &str) -> Result<Settings, TopicError> {
    let address = Arc::new(Address::parse(url)?);
    Ok(Settings { address })
}

impl Topic for KafkaTopic {
    fn url(&self) -> String {
        self.0.url()
    }

    fn partitions(&self) -> Result<u32, TopicError> {
        self.0.partitions()
    }

    fn timestamps(&self) -> Timestamps {
        self.0.timestamps()
    }

    fn bounds(&self, partition: u32) -> Result<Bounds, TopicError> {
        self.0.check_partition(partition)?;
        self.0.bounds(partition, ANSWER)
    }

    fn offset_at(&self, partition: u32, timestamp_millis: i64) -> Result<Option<u64>, TopicError> {
        self.0.check_partition(partition)?;
        // Negative numbers have other meanings.
        let at = Offset::Offset(timestamp_millis.max(0));
        self.0.offset(partition, at, ANSWER)
    }

    fn reader(&self, partition: u32, offset: u64) -> Result<Box<dyn Reader>, TopicError> {
        self.0.check_partition(partition)?;
        let reader = KafkaReader::open(Arc::clone(&self.0), partition, offset)?;
        Ok(Box::new(reader))
    }

    fn writer(&self) -> Result<Box<dyn Writer>, TopicError> {
        Ok(Box::new(KafkaWriter::open(Arc::clone(&self.0))?))
    }

    fn describe(&self) -> Result<Description, TopicError> {
        let metadata = self.0.metadata()?;
        let mut partitions = Vec::new();
        for seen in metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
        {
            let partition = u32::try_from(seen.id()).unwrap_or(u32::MAX);
            partitions.push(PartitionDescription {
                partition,
                bounds: self.bounds(partition)?,
                leader: (seen.leader() >= 0).then(|| seen.leader()),
                replicas: seen.replicas().to_vec(),
                in_sync: seen.isr().to_vec(),
            });
        }
        partitions.sort_by_key(|described| described.partition);
        Ok(Description {
            url: self.url(),
            timestamps: self.timestamps(),
            partitions,
            settings: self.0.admin()?.settings()?,
        })
    }

    fn show_progress(&self, progress: &BTreeMap<u32, u64>) {
        if let Err(error) = self.0.first().commit(progress) {
            self.0.metrics().failed_commits.inc();
            tracing::debug!(%error, "offsets not committed");
        }
    }
}
