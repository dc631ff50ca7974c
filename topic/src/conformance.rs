//! What any topic must do, as checks that a topic's own tests run against it.
//!
//! Why a plain public module and not behind a feature: it needs no dependency, the linker drops what a binary
//! does not call, and every crate's tests can use it without building this crate a second time.
//! Where records arrive a little later than they were flushed (a broker), checks wait for them, up to
//! `PATIENCE`; where a topic cannot promise something by its nature, its tests leave that check out by name.
//!
//! Law: each check can fail; `tests/conformance.rs` breaks a topic in one way at a time and sees it caught.

mod reading;
mod time;
mod writing;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{NewRecord, Reader, Timestamps, Topic, TopicError, Writer};

/// How long a record that was flushed may stay away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a check failed.
#[derive(Debug)]
pub struct Broken(String);

impl From<TopicError> for Broken {
    fn from(error: TopicError) -> Broken {
        Broken(format!("unexpected error: {error}"))
    }
}

type Outcome = Result<(), Broken>;

/// Fails the check unless it holds.
fn ensure(holds: bool, why: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Broken(why())) }
}

/// Makes new, empty topics.
struct Subject<'a>(&'a dyn Fn(Timestamps, u32) -> Arc<dyn Topic>);

impl Subject<'_> {
    fn make(&self, timestamps: Timestamps, partitions: u32) -> Arc<dyn Topic> {
        (self.0)(timestamps, partitions)
    }
}

type Check = (&'static str, fn(&Subject<'_>) -> Outcome);

const CHECKS: &[Check] = &[
    (
        "offsets are dense and ordered",
        writing::offsets_are_dense_and_ordered,
    ),
    (
        "records are kept as given",
        writing::records_are_kept_as_given,
    ),
    (
        "a record of the first millisecond keeps its time",
        writing::the_first_millisecond,
    ),
    ("empty payload", writing::empty_payload),
    ("large record", writing::large_record),
    (
        "too large a record is refused and harms nobody",
        writing::too_large_is_refused,
    ),
    (
        "nothing is visible before flush",
        writing::nothing_is_visible_before_flush,
    ),
    (
        "partitions are independent",
        writing::partitions_are_independent,
    ),
    ("one writer at a time", writing::one_writer_at_a_time),
    (
        "a reopened topic goes on",
        writing::a_reopened_topic_goes_on,
    ),
    ("peek is repeatable", reading::peek_is_repeatable),
    ("seek goes anywhere", reading::seek_goes_anywhere),
    (
        "bounds follow the writer",
        reading::bounds_follow_the_writer,
    ),
    (
        "a reader follows the writer",
        reading::a_reader_follows_the_writer,
    ),
    ("readers are independent", reading::readers_are_independent),
    ("offset at a time is exact", time::offset_at_is_exact),
    (
        "offset at a time in a long partition",
        time::offset_at_in_a_long_partition,
    ),
    (
        "append timestamps are the topic's",
        time::append_timestamps_are_the_topics,
    ),
];

/// Names of the checks.
pub fn names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(name, _)| *name)
}

/// Runs all checks but those named in `without`; returns name and reason of those that failed.
pub fn failures(
    make: impl Fn(Timestamps, u32) -> Arc<dyn Topic>,
    without: &[&str],
) -> Vec<(&'static str, String)> {
    let subject = Subject(&make);
    let chosen = CHECKS.iter().filter(|(name, _)| !without.contains(name));
    chosen
        .filter_map(|(name, check)| check(&subject).err().map(|why| (*name, why.0)))
        .collect()
}

/// Runs all checks; `make` gives a new, empty topic each time.
///
/// # Panics
/// If one fails, naming all that failed.
pub fn run(make: impl Fn(Timestamps, u32) -> Arc<dyn Topic>) {
    let failed = failures(make, &[]);
    assert!(
        failed.is_empty(),
        "the topic breaks the contract: {failed:#?}"
    );
}

/// A record that a check keeps to compare with.
#[derive(Clone, PartialEq, Eq)]
struct Kept {
    timestamp_millis: i64,
    headers: Vec<(String, Vec<u8>)>,
    payload: Vec<u8>,
}

impl fmt::Debug for Kept {
    /// Short, since it stands in failures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = String::from_utf8_lossy(&self.payload[..self.payload.len().min(20)]);
        let (bytes, headers) = (self.payload.len(), self.headers.len());
        write!(
            f,
            "{start:?} ({bytes} bytes, {headers} headers, {} ms)",
            self.timestamp_millis
        )
    }
}

impl Kept {
    fn new(timestamp_millis: i64, payload: impl Into<Vec<u8>>) -> Kept {
        Kept {
            timestamp_millis,
            headers: Vec::new(),
            payload: payload.into(),
        }
    }

    fn append(&self, writer: &mut dyn Writer, partition: u32) -> Result<(), TopicError> {
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        let timestamp_millis = self.timestamp_millis;
        let payload = &self.payload;
        writer.append(
            partition,
            NewRecord {
                timestamp_millis,
                headers: &headers,
                payload,
            },
        )
    }
}

/// `count` different records.
fn numbered(count: u64) -> Vec<Kept> {
    (0..count)
        .map(|n| Kept::new(1_000 + n as i64, format!("record {n}")))
        .collect()
}

fn append_all(writer: &mut dyn Writer, partition: u32, records: &[Kept]) -> Outcome {
    for record in records {
        record.append(writer, partition)?;
    }
    Ok(())
}

/// The record the reader stands before, waiting for it if need be, and its offset.
fn next(reader: &mut dyn Reader) -> Result<(u64, Kept), Broken> {
    let begun = Instant::now();
    loop {
        if let Some(record) = reader.peek()? {
            let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
            let headers = record
                .headers
                .iter()
                .map(|(name, value)| (text(name), value.to_vec()));
            let kept = Kept {
                timestamp_millis: record.timestamp_millis,
                headers: headers.collect(),
                payload: record.payload.to_vec(),
            };
            return Ok((record.offset, kept));
        }
        let position = reader.position();
        ensure(begun.elapsed() < PATIENCE, || {
            format!("the record at {position} does not appear")
        })?;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// That the reader shows exactly `records` with offsets from `from` on, and then nothing.
fn expect(reader: &mut dyn Reader, from: u64, records: &[Kept]) -> Outcome {
    for (offset, wanted) in (from..).zip(records) {
        let (seen_offset, seen) = next(reader)?;
        ensure(seen_offset == offset, || {
            format!("offset {seen_offset} instead of {offset}")
        })?;
        ensure(seen == *wanted, || {
            format!("offset {offset}: {seen:?} instead of {wanted:?}")
        })?;
        reader.advance();
        let position = reader.position();
        ensure(position == offset + 1, || {
            format!("position {position} after offset {offset}")
        })?;
    }
    let more = reader.peek()?.map(|record| record.offset);
    ensure(more.is_none(), || {
        format!("a record at offset {more:?} that nobody has appended")
    })
}
