//! Why a job ends before its time: the error, and the cell that carries the first one out of the dataflow.

use std::sync::{Arc, Mutex, PoisonError};

use flow_state::{Gap, StateError};
use flow_topic::TopicError;

/// What ends a job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another job has written this checkpoint, or a later one.
    #[error("checkpoint {number} was written by another job on the same state: this one ends")]
    Lost {
        /// The number that was lost.
        number: u64,
    },
    /// The state was made with other options.
    #[error(
        "the state was made with {option} {recorded}, this job has {given}: rows would mix both \
         (use the same {option}, or a new state directory and a new database)"
    )]
    OtherConfig {
        /// Name of the option.
        option: String,
        /// Its recorded value.
        recorded: String,
        /// Its value now.
        given: String,
    },
    /// The topic is not the one the state belongs to.
    #[error("{url}: partition {partition} is not the one this state has read: {what}")]
    OtherTopic {
        /// The topic's URL.
        url: String,
        /// The partition.
        partition: u32,
        /// How that was seen.
        what: String,
    },
    /// Retention has deleted what was still to be read, and the job was not told to go on over it.
    #[error("{url}: partition {}: {}{}", gap.partition, crate::gap::words(gap), others(*more))]
    Gap {
        /// The topic's URL.
        url: String,
        /// What is missing.
        gap: Gap,
        /// So many partitions more have gaps.
        more: usize,
    },
    /// Retention has deleted what a replay needs.
    #[error("{url}: partition {partition}: retention has deleted what these slots need, up to offset {earliest}{}", since(*retained_ns))]
    Retained {
        /// The topic's URL.
        url: String,
        /// The partition.
        partition: u32,
        /// The first offset that is there.
        earliest: u64,
        /// The topic's timestamp there, ns since 1970; `None`: there is no record any more.
        retained_ns: Option<i64>,
    },
    /// Tables.
    #[error("table version {version} of the state can't be loaded: {what}")]
    Tables {
        /// Its number.
        version: u32,
        /// Why.
        what: String,
    },
    /// Another process of the job has ended, or its connection is lost.
    #[error(
        "{0}: this one ends too, and goes on from the last checkpoint when all are started again"
    )]
    Peer(String),
    /// The state of this process is not that of process 0.
    #[error(
        "the state of this process is not that of process 0: give every process the same --state, on storage that all \
         hosts share"
    )]
    OtherState,
    /// The dataflow could not be started or a worker has ended badly.
    #[error("the dataflow: {0}")]
    Dataflow(String),
}

impl JobError {
    /// The connection to another process is lost.
    pub(crate) fn lost(error: &std::io::Error) -> JobError {
        JobError::Peer(format!(
            "the connection to another process is lost ({error})"
        ))
    }

    /// Another process has said that it can't go on.
    pub(crate) fn failed(process: usize) -> JobError {
        JobError::Peer(format!("process {process} has failed"))
    }

    /// The ticks have ended before their time.
    pub(crate) fn ended() -> JobError {
        JobError::Peer("process 0 has ended before its time".to_owned())
    }
}

fn since(retained_ns: Option<i64>) -> String {
    let time = retained_ns.and_then(|ns| jiff::Timestamp::from_nanosecond(i128::from(ns)).ok());
    time.map_or_else(String::new, |time| format!(", written at {time}"))
}

fn others(more: usize) -> String {
    match more {
        0 => String::new(),
        1 => "; another partition has a gap, too".to_owned(),
        _ => format!("; {more} more partitions have gaps, too"),
    }
}

/// Keeps the first error; shared by the threads of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<JobError>>>);

impl Failure {
    pub(crate) fn set(&self, error: JobError) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }

    pub(crate) fn take(&self) -> Option<JobError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
