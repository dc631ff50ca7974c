//! What a topic is made with, and what it takes from outside: its clock and its counters.
//!
//! Why the clock is here: timestamps and retention need "now", and a test or a simulation has its own.
//! Law: nothing in this folder asks the system for the time but through `Context::clock`.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::metrics::Metrics;
use crate::{Timestamps, TopicError};

/// Milliseconds since 1970 (UTC), asked for at each append and flush.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How long records are kept. Whole segments go, oldest first, never the one that is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// A partition above this size loses its oldest segment. `None`: no limit.
    pub bytes: Option<u64>,
    /// A segment goes when its newest timestamp is older than this. `None`: no limit.
    pub age_millis: Option<i64>,
}

/// What a topic is made with; stored in it, and the same for every process that opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Number of partitions, 1 to 1024.
    pub partitions: u32,
    /// Who sets the timestamps.
    pub timestamps: Timestamps,
    /// A segment that would grow above this is closed (a single larger record still gets one of its own).
    pub segment_bytes: u64,
    /// Largest record: payload and stored headers together, at most 1 GiB.
    pub record_limit_bytes: usize,
    /// How long records are kept.
    pub retention: Retention,
    /// Copies of each record, where brokers keep them. `None`: their default. The embedded log has one.
    pub replication: Option<u16>,
}

impl Default for Options {
    /// 4 partitions, timestamps set on appending, segments of 128 MiB, records to 1 MiB and 64 KiB of headers.
    fn default() -> Options {
        Options {
            partitions: 4,
            timestamps: Timestamps::Append,
            segment_bytes: 128 << 20,
            record_limit_bytes: (1 << 20) + (64 << 10),
            retention: Retention::default(),
            replication: None,
        }
    }
}

/// Most partitions a topic may have: each costs a reader and a writer two open files.
pub(super) const PARTITIONS_LIMIT: u32 = 1024;

impl Options {
    /// Refuses what cannot work.
    pub(super) fn check(&self, url: &str) -> Result<(), TopicError> {
        let problem = if !(1..=PARTITIONS_LIMIT).contains(&self.partitions) {
            format!(
                "{} partitions: give 1 to {PARTITIONS_LIMIT}",
                self.partitions
            )
        } else if !(1..=1 << 30).contains(&self.record_limit_bytes) {
            format!(
                "a record limit of {} bytes: give 1 to 1073741824",
                self.record_limit_bytes
            )
        } else if self.segment_bytes == 0 {
            "segments of 0 bytes: give at least 1".to_owned()
        } else {
            return Ok(());
        };
        Err(TopicError::BadOptions {
            url: url.to_owned(),
            what: problem,
        })
    }
}

/// What an opened topic takes from outside.
#[derive(Clone)]
pub struct Context {
    /// Sets `Append` timestamps and decides on age.
    pub clock: Clock,
    /// Counters to feed; `Metrics::default()` counts for nobody.
    pub metrics: Metrics,
}

impl Default for Context {
    /// The system's clock, and counters that nobody reads.
    fn default() -> Context {
        Context {
            clock: Arc::new(system_millis),
            metrics: Metrics::default(),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

fn system_millis() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis)
        }
    }
}
