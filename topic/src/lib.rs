//! A topic: a partitioned, offset-addressed, append-only log of records.
//!
//! The trait is what the job, the collector and the mocker need of one; the embedded log (`dir://`) and Kafka
//! (`kafka://`) keep it. `conformance` is the suite that any topic must pass.
//!
//! Law (the topic is the ledger): a record that a reader has once returned is durable, and keeps its offset,
//! timestamp and bytes until retention removes it; offsets of a partition grow in the order of appending.
//! Room law: knows nothing of flows.

pub mod conformance;
pub mod embedded;
pub mod kafka;
pub mod metrics;
pub mod shown;
pub mod url;

mod description;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub use description::{Description, PartitionDescription};
pub use embedded::{Context, EmbeddedTopic, Options, Retention};
pub use kafka::KafkaTopic;
pub use metrics::Metrics;
pub use shown::shown;
pub use url::create;

/// Who sets a record's timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamps {
    /// The topic, when it appends (Kafka's LogAppendTime).
    Append,
    /// The producer (Kafka's CreateTime): simulated and imported time.
    Create,
}

/// One record as a reader lends it, valid until the reader moves on.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// Offset in its partition.
    pub offset: u64,
    /// The topic's timestamp: milliseconds since 1970, UTC.
    pub timestamp_millis: i64,
    /// Header names and values, in order.
    pub headers: Headers<'a>,
    /// The value. May be empty.
    pub payload: &'a [u8],
}

/// One record to append.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// Kept if the topic's timestamps are `Create`, ignored if they are `Append`.
    pub timestamp_millis: i64,
    /// Header names and values.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The value.
    pub payload: &'a [u8],
}

/// Offsets of a partition: `earliest` is the first retained one, `end` the one after the last durable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First retained offset.
    pub earliest: u64,
    /// Offset after the last durable record.
    pub end: u64,
}

/// A topic, opened. Cheap to share between threads.
pub trait Topic: Send + Sync + fmt::Debug {
    /// Its URL without secrets, for messages.
    fn url(&self) -> String;
    /// Number of partitions now; it may grow.
    fn partitions(&self) -> Result<u32, TopicError>;
    /// Who sets the timestamps.
    fn timestamps(&self) -> Timestamps;
    /// Retained offsets of a partition.
    fn bounds(&self, partition: u32) -> Result<Bounds, TopicError>;
    /// First retained offset whose timestamp is at or after `timestamp_millis`; `None` if there is none.
    fn offset_at(&self, partition: u32, timestamp_millis: i64) -> Result<Option<u64>, TopicError>;
    /// A reader that stands before `offset`.
    fn reader(&self, partition: u32, offset: u64) -> Result<Box<dyn Reader>, TopicError>;
    /// The writer. One at a time where the topic can have only one (`TopicError::Locked`).
    fn writer(&self) -> Result<Box<dyn Writer>, TopicError>;
    /// What there is to know about it.
    fn describe(&self) -> Result<Description, TopicError> {
        description::plain(
            self.url(),
            self.timestamps(),
            self.partitions()?,
            |partition| self.bounds(partition),
        )
    }
    /// Shows others how far a job has durably read: the offset after the last record, by partition. For lag displays
    /// only; it neither waits nor fails.
    fn show_progress(&self, _progress: &BTreeMap<u32, u64>) {}
}

/// Called when a reader that had nothing to show may have something.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Reads one partition in order. Never waits for new records.
pub trait Reader: Send {
    /// The record the reader stands before, or `None` if nothing more is durable now. Repeatable.
    ///
    /// # Errors
    /// `TopicError::Gap` if retention removed the offset it stands before; after `seek` it goes on.
    fn peek(&mut self) -> Result<Option<RecordRef<'_>>, TopicError>;
    /// Steps over the record that `peek` has shown.
    fn advance(&mut self);
    /// The offset it stands before.
    fn position(&self) -> u64;
    /// Stands before another offset.
    fn seek(&mut self, offset: u64) -> Result<(), TopicError>;
    /// Whether there is, or may be, a durable record that was not read: true also while nobody knows, because the
    /// broker is away or has not answered yet.
    ///
    /// # Errors
    /// As `peek`.
    fn unread(&mut self) -> Result<bool, TopicError> {
        Ok(self.peek()?.is_some())
    }
    /// Waits until `peek` shows a record (true) or everything durable has been read (false).
    ///
    /// # Errors
    /// As `peek`; `Unreachable` if neither is known within `limit`.
    fn wait(&mut self, _limit: Duration) -> Result<bool, TopicError> {
        Ok(self.peek()?.is_some())
    }
    /// Has `wake` called, from any thread, when `peek` had shown nothing and may now show something. A topic in which
    /// every look is up to date never calls it.
    fn wake_by(&mut self, _wake: Wake) {}
}

/// Asked, several times a second, by a writer that waits for somebody else: true ends the wait.
pub type GiveUp = Arc<dyn Fn() -> bool + Send + Sync>;

/// Gives up once `told` has been set for as long as `wait`, counted from the first question after it was.
pub fn give_up_after(told: Arc<AtomicBool>, wait: Duration) -> GiveUp {
    let since: OnceLock<Instant> = OnceLock::new();
    Arc::new(move || {
        told.load(Ordering::Acquire) && since.get_or_init(Instant::now).elapsed() >= wait
    })
}

/// Appends records.
pub trait Writer: Send {
    /// Takes the record; it is durable, and visible to readers, once `flush` has returned.
    fn append(&mut self, partition: u32, record: NewRecord<'_>) -> Result<(), TopicError>;
    /// Makes everything taken so far durable and visible.
    fn flush(&mut self) -> Result<(), TopicError>;
    /// Has `given_up` asked while `append` or `flush` waits for somebody else. Once it says so, both fail at once, what
    /// is not durable then is given up, and the writer is of no further use. A topic that waits for nobody never asks.
    fn give_up_when(&mut self, _given_up: GiveUp) {}
}

/// What can go wrong with a topic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// Nothing is there.
    #[error("{url}: no such topic")]
    Missing {
        /// The topic's URL.
        url: String,
    },
    /// Another process writes it.
    #[error("{url}: another process is writing this topic")]
    Locked {
        /// The topic's URL.
        url: String,
    },
    /// What is there is not a topic, or of another format version.
    #[error("{url}: {what}")]
    Foreign {
        /// The topic's URL.
        url: String,
        /// What was found.
        what: String,
    },
    /// No such partition.
    #[error("{url}: partition {partition} does not exist (it has {partitions})")]
    NoPartition {
        /// The topic's URL.
        url: String,
        /// Asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// Retention has removed what was asked for.
    #[error("{url}: partition {partition}: offset {offset} is gone, the earliest is {earliest}")]
    Gap {
        /// The topic's URL.
        url: String,
        /// The partition.
        partition: u32,
        /// Asked for.
        offset: u64,
        /// First retained offset.
        earliest: u64,
    },
    /// A durable record does not match its checksum.
    #[error("{url}: partition {partition}: record at offset {offset} is damaged")]
    Damaged {
        /// The topic's URL.
        url: String,
        /// The partition.
        partition: u32,
        /// The record's offset.
        offset: u64,
    },
    /// Records that were read are not there: the topic was deleted and made anew, or its brokers have lost them.
    #[error(
        "{url}: partition {partition} is not the one that was read: the record at offset {offset} is another one, or gone"
    )]
    Replaced {
        /// The topic's URL.
        url: String,
        /// The partition.
        partition: u32,
        /// A record that was read before.
        offset: u64,
    },
    /// A record above the topic's limit.
    #[error("{url}: a record of {size_bytes} bytes is above the limit of {limit_bytes}")]
    TooLarge {
        /// The topic's URL.
        url: String,
        /// Its size.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// A header whose name (255 bytes) or value (65535 bytes) is too long.
    #[error("{url}: a header's name is above 255 bytes, or its value above 65535")]
    BadHeader {
        /// The topic's URL.
        url: String,
    },
    /// A topic is there already.
    #[error("{url}: this topic exists already")]
    Exists {
        /// The topic's URL.
        url: String,
    },
    /// A topic cannot be made or changed like this.
    #[error("{url}: {what}")]
    BadOptions {
        /// The topic's URL.
        url: String,
        /// What cannot be, and what can.
        what: String,
    },
    /// The writer has failed before, so that nobody knows what of it reached the disk.
    #[error("{url}: an earlier write failed; open the topic for writing anew")]
    Failed {
        /// The topic's URL.
        url: String,
    },
    /// The brokers do not answer, or cannot do it now.
    #[error("{url}: the brokers do not let us {what}: {cause}")]
    Unreachable {
        /// The topic's URL.
        url: String,
        /// What was tried, as a verb.
        what: String,
        /// Why not.
        cause: String,
    },
    /// What answers cannot show that it is the broker that was meant.
    #[error("{url}: we do not {what}: {cause}")]
    Untrusted {
        /// The topic's URL.
        url: String,
        /// What was tried, as a verb.
        what: String,
        /// What is wrong with its certificate.
        cause: String,
    },
    /// The brokers refuse it to us.
    #[error("{url}: we may not {what}: {cause} (check sasl.* and the topic's access rights)")]
    Denied {
        /// The topic's URL.
        url: String,
        /// What was tried, as a verb.
        what: String,
        /// What they said.
        cause: String,
    },
    /// No topic is known by such a URL.
    #[error("{url}: topics are given as {known}")]
    UnknownScheme {
        /// What was given.
        url: String,
        /// The forms there are.
        known: &'static str,
    },
    /// The file system.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
}

/// Headers of a record in their stored form: `[name length u8][name][value length u16 LE][value]…`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a>(pub &'a [u8]);

impl<'a> Headers<'a> {
    /// The value of the first header of this name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|(n, _)| *n == name.as_bytes())
            .map(|(_, v)| v)
    }

    /// All of them; ends at the first that is cut short.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&name_length, after) = rest.split_first()?;
            let (name, after) = after.split_at_checked(usize::from(name_length))?;
            let (length, after) = after.split_at_checked(2)?;
            let length = u16::from_le_bytes(<[u8; 2]>::try_from(length).ok()?);
            let (value, after) = after.split_at_checked(usize::from(length))?;
            rest = after;
            Some((name, value))
        })
    }
}
