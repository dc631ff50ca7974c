//! `topic describe`: partitions, offsets, first and last time, settings.
//!
//! Law: it changes nothing, reads at most two records of a partition, and never waits longer than a few seconds for one.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use flow_topic::{PartitionDescription, Topic};
use serde_json::{Value, json};

use super::{time, word};
use crate::cli;
use crate::failure::Failure;

/// How long a record that is there may take to arrive.
const WAIT: Duration = Duration::from_secs(5);
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(10);

/// Prints what there is to know.
pub(super) fn run(options: &cli::TopicDescribe) -> Result<(), Failure> {
    let topic = flow_topic::url::open(&options.url, None)?;
    let described = topic.describe()?;
    let mut partitions = Vec::new();
    for known in described.partitions {
        partitions.push(Partition::look(topic.as_ref(), known)?);
    }
    let out = &mut io::stdout().lock();
    if options.json {
        let partitions: Vec<Value> = partitions.iter().map(Partition::json).collect();
        let all = json!({
            "topic": described.url, "timestamps": word(described.timestamps), "partitions": partitions,
            "settings": described.settings,
        });
        return Ok(writeln!(out, "{all}")?);
    }
    writeln!(out, "topic       {}", described.url)?;
    writeln!(out, "timestamps  {}", word(described.timestamps))?;
    writeln!(out, "partitions  {}", partitions.len())?;
    for (name, value) in &described.settings {
        writeln!(out, "{name}  {value}")?;
    }
    let brokers = partitions.iter().any(|one| one.known.leader.is_some());
    let more = if brokers {
        "                 leader  replicas, in sync"
    } else {
        ""
    };
    writeln!(
        out,
        "\npartition     earliest          end  first time                last time{more}"
    )?;
    partitions.iter().try_for_each(|one| one.line(out))?;
    Ok(())
}

/// What is known of a partition.
struct Partition {
    known: PartitionDescription,
    first_millis: Option<i64>,
    last_millis: Option<i64>,
}

impl Partition {
    fn look(topic: &dyn Topic, known: PartitionDescription) -> Result<Partition, Failure> {
        let (number, bounds) = (known.partition, known.bounds);
        let last = bounds.end.saturating_sub(1).max(bounds.earliest);
        Ok(Partition {
            first_millis: timestamp(topic, number, bounds.earliest..bounds.end)?,
            last_millis: timestamp(topic, number, last..bounds.end)?,
            known,
        })
    }

    fn json(&self) -> Value {
        let known = &self.known;
        json!({
            "partition": known.partition, "earliest": known.bounds.earliest, "end": known.bounds.end,
            "first_time": self.first_millis.map(time), "last_time": self.last_millis.map(time),
            "leader": known.leader, "replicas": known.replicas, "in_sync": known.in_sync,
        })
    }

    fn line(&self, out: &mut impl Write) -> io::Result<()> {
        let known = &self.known;
        let (earliest, end) = (known.bounds.earliest, known.bounds.end);
        let [first, last] = [self.first_millis, self.last_millis]
            .map(|millis| millis.map_or_else(|| "-".to_owned(), time));
        write!(
            out,
            "{:<9} {earliest:>12} {end:>12}  {first:<24}  ",
            known.partition
        )?;
        match known.leader {
            None => writeln!(out, "{last}"),
            Some(leader) => writeln!(
                out,
                "{last:<24}  {leader:<6}  {:?}, {:?}",
                known.replicas, known.in_sync
            ),
        }
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
