//! `topic`: makes a topic, shows what is in it.
//!
//! Wiring only: topics are `flow-topic`'s. Law: only `create` changes anything.

mod describe;
mod lines;
pub(crate) mod source;
mod tail;

use flow_topic::{Options, Retention, Timestamps};

use crate::cli;
use crate::failure::Failure;

/// Does what was asked.
pub(crate) fn run(command: &cli::Topic) -> Result<(), Failure> {
    match command {
        cli::Topic::Create(options) => create(options),
        cli::Topic::Describe(options) => describe::run(options),
        cli::Topic::Tail(options) => tail::run(options),
    }
}

fn create(options: &cli::TopicCreate) -> Result<(), Failure> {
    let made = Options {
        partitions: options.partitions,
        timestamps: options.timestamps.into(),
        retention: Retention {
            bytes: options.retention_bytes.and_then(|n| u64::try_from(n).ok()),
            age_millis: options
                .retention_time
                .and_then(|age| i64::try_from(age.as_millis()).ok()),
        },
        replication: options.replication,
        ..Options::default()
    };
    let topic = flow_topic::create(&options.url, made)?;
    let partitions = topic.partitions()?;
    let timestamps = word(topic.timestamps());
    tracing::info!(partitions, timestamps, "made {}", topic.url());
    Ok(())
}

/// The word that the command line has for it.
pub(crate) fn word(timestamps: Timestamps) -> &'static str {
    match timestamps {
        Timestamps::Append => "append",
        Timestamps::Create => "create",
    }
}

/// Milliseconds since 1970 as RFC 3339, UTC; as a number if no calendar has them.
pub(crate) fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| millis.to_string(), |time| format!("{time:.3}"))
}
