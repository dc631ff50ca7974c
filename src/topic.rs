//! `topic`: makes a topic, shows what is in it.
//!
//! Wiring only: topics are `flow-topic`'s; `tail` is next door. Law: `describe` changes nothing, reads at most two
//! records of a partition, and never waits longer than a few seconds for one.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use flow_topic::{EmbeddedTopic, Options, Retention, Timestamps, Topic};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::{cli, topic_tail};

/// How long a record that is there may take to arrive.
const WAIT: Duration = Duration::from_secs(5);
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(10);

/// Does what was asked.
pub(crate) fn run(command: &cli::Topic) -> Result<(), Failure> {
    match command {
        cli::Topic::Create(options) => create(options),
        cli::Topic::Describe(options) => describe(options),
        cli::Topic::Tail(options) => topic_tail::run(options),
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
        ..Options::default()
    };
    let topic = EmbeddedTopic::create(flow_topic::url::directory(&options.url)?, made)?;
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

fn describe(options: &cli::TopicDescribe) -> Result<(), Failure> {
    let topic = flow_topic::url::open(&options.url, None)?;
    let mut partitions = Vec::new();
    for partition in 0..topic.partitions()? {
        partitions.push(Partition::look(topic.as_ref(), partition)?);
    }
    let out = &mut io::stdout().lock();
    if options.json {
        let partitions: Vec<Value> = partitions.iter().map(Partition::json).collect();
        let timestamps = word(topic.timestamps());
        let all =
            json!({ "topic": topic.url(), "timestamps": timestamps, "partitions": partitions });
        return Ok(writeln!(out, "{all}")?);
    }
    writeln!(out, "topic       {}", topic.url())?;
    writeln!(out, "timestamps  {}", word(topic.timestamps()))?;
    writeln!(out, "partitions  {}\n", partitions.len())?;
    writeln!(
        out,
        "partition     earliest          end  first time                last time"
    )?;
    for one in &partitions {
        let [first, last] = [one.first_millis, one.last_millis]
            .map(|millis| millis.map_or_else(|| "-".to_owned(), time));
        writeln!(
            out,
            "{:<9} {:>12} {:>12}  {first:<24}  {last}",
            one.partition, one.earliest, one.end
        )?;
    }
    Ok(())
}

/// What is known of a partition.
struct Partition {
    partition: u32,
    earliest: u64,
    end: u64,
    first_millis: Option<i64>,
    last_millis: Option<i64>,
}

impl Partition {
    fn look(topic: &dyn Topic, partition: u32) -> Result<Partition, Failure> {
        let bounds = topic.bounds(partition)?;
        let last = bounds.end.saturating_sub(1).max(bounds.earliest);
        Ok(Partition {
            partition,
            earliest: bounds.earliest,
            end: bounds.end,
            first_millis: timestamp(topic, partition, bounds.earliest..bounds.end)?,
            last_millis: timestamp(topic, partition, last..bounds.end)?,
        })
    }

    fn json(&self) -> Value {
        json!({
            "partition": self.partition, "earliest": self.earliest, "end": self.end,
            "first_time": self.first_millis.map(time), "last_time": self.last_millis.map(time),
        })
    }
}

/// The timestamp of the first record in a range of offsets; `None` if there is none, as at the end of a transaction.
fn timestamp(
    topic: &dyn Topic,
    partition: u32,
    offsets: std::ops::Range<u64>,
) -> Result<Option<i64>, Failure> {
    if offsets.is_empty() {
        return Ok(None);
    }
    let mut reader = topic.reader(partition, offsets.start)?;
    let began = Instant::now();
    while began.elapsed() < WAIT {
        if let Some(record) = reader.peek()? {
            return Ok(offsets
                .contains(&record.offset)
                .then_some(record.timestamp_millis));
        }
        if reader.position() >= offsets.end {
            break;
        }
        thread::sleep(LOOK); // a reader never waits by itself
    }
    Ok(None)
}

/// Milliseconds since 1970 as RFC 3339, UTC; as a number if no calendar has them.
pub(crate) fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| millis.to_string(), |time| format!("{time:.3}"))
}
