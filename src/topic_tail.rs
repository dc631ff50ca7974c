//! `topic tail`: the flows of a topic on standard output, whoever wrote them.
//!
//! For a look at what a producer sends, and for scripts. It reads both dialects and every framing, as the job does.
//! Law: what cannot be read is told on standard error with its partition and offset, and harms nothing else; the
//! number told is exact, the lines are limited.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flow_proto::{Dialect, Flow, PACK_HEADER, messages};
use flow_topic::{Reader, RecordRef, Topic};
use serde_json::{Map, Value, json};

use crate::cli::{self, TailFormat};
use crate::failure::{Exit, Failure};
use crate::units::When;
use crate::{clock, signals, topic};

/// Records of a partition read in a row.
const TURN: usize = 256;
/// Between two looks for new records.
const LOOK: Duration = Duration::from_millis(50);
/// Unreadable messages that get a line of their own.
const TOLD: u64 = 20;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// At the first retained record.
    Earliest,
    /// After the last record.
    Latest,
    /// At the first record with this time or a later one.
    Time(When),
}

/// `--from`.
pub(crate) fn from(text: &str) -> Result<From, String> {
    match text {
        "earliest" => Ok(From::Earliest),
        "latest" => Ok(From::Latest),
        _ => crate::units::when(text)
            .map(From::Time)
            .map_err(|_| "give latest, earliest, RFC 3339 or an age, as -2h".to_owned()),
    }
}

/// Prints until the count, the end or a signal.
pub(crate) fn run(options: &cli::TopicTail) -> Result<(), Failure> {
    let stop = signals::install()?;
    let topic = flow_topic::url::open(&options.url, None)?;
    let mut sources = sources(topic.as_ref(), options)?;
    let mut tail = Tail {
        out: io::BufWriter::with_capacity(1 << 16, io::stdout().lock()),
        options,
        left: options.count.unwrap_or(u64::MAX),
        unreadable: 0,
        text: String::new(),
        bytes: Vec::new(),
    };
    while tail.left > 0 && !stop.load(Ordering::Acquire) {
        let mut read = 0;
        for source in &mut sources {
            read += tail.turn(source, &stop)?;
        }
        if options.until_end && sources.iter().all(Source::is_at_end) {
            break;
        }
        if read == 0 {
            tail.out.flush()?;
            thread::sleep(LOOK); // readers never wait by themselves
        }
    }
    tail.out.flush()?;
    if tail.unreadable > 0 {
        tracing::warn!(count = tail.unreadable, "messages that could not be read");
    }
    Ok(())
}

/// A partition on its way.
struct Source {
    partition: u32,
    reader: Box<dyn Reader>,
    /// Offset after the last record seen at the start.
    end: u64,
}

impl Source {
    fn is_at_end(&self) -> bool {
        self.reader.position() >= self.end
    }
}

fn sources(topic: &dyn Topic, options: &cli::TopicTail) -> Result<Vec<Source>, Failure> {
    let all = topic.partitions()?;
    if let Some(asked) = options.partition.filter(|asked| *asked >= all) {
        let what = format!("{}: no partition {asked}", topic.url());
        return Err(Failure::new(Exit::Usage, what).hint(format!("it has 0 to {}", all - 1)));
    }
    let chosen = (0..all).filter(|p| options.partition.is_none_or(|asked| asked == *p));
    chosen
        .map(|partition| {
            let bounds = topic.bounds(partition)?;
            let start = match options.from {
                From::Earliest => bounds.earliest,
                From::Latest => bounds.end,
                From::Time(when) => {
                    let millis = when.resolve_ns(clock::now_ns()) / 1_000_000;
                    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
                    topic.offset_at(partition, millis)?.unwrap_or(bounds.end)
                }
            };
            let reader = topic.reader(partition, start)?;
            let end = bounds.end;
            Ok(Source {
                partition,
                reader,
                end,
            })
        })
        .collect()
}

struct Tail<'a, W> {
    out: W,
    options: &'a cli::TopicTail,
    /// Lines still to print.
    left: u64,
    unreadable: u64,
    text: String,
    bytes: Vec<u8>,
}

impl<W: Write> Tail<'_, W> {
    /// Prints some records of one partition; returns how many.
    fn turn(&mut self, source: &mut Source, stop: &AtomicBool) -> Result<usize, Failure> {
        for done in 0..TURN {
            let ended = self.options.until_end && source.is_at_end();
            if self.left == 0 || ended || stop.load(Ordering::Acquire) {
                return Ok(done);
            }
            match source.reader.peek() {
                Ok(None) => return Ok(done),
                Ok(Some(record)) => {
                    // A hole may have hidden the end.
                    if self.options.until_end && record.offset >= source.end {
                        source.end = 0;
                        return Ok(done);
                    }
                    self.record(source.partition, &record)?;
                    source.reader.advance();
                }
                Err(flow_topic::TopicError::Gap { earliest, .. }) => {
                    tracing::warn!(
                        partition = source.partition,
                        earliest,
                        "retention removed records"
                    );
                    source.reader.seek(earliest)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(TURN)
    }

    fn record(&mut self, partition: u32, record: &RecordRef<'_>) -> Result<(), Failure> {
        let is_pack = record.headers.get(PACK_HEADER.0) == Some(PACK_HEADER.1);
        let split = messages(record.payload, is_pack, self.options.framing.into());
        let whole = match (self.options.format, split) {
            (TailFormat::Records, split) => return self.print_record(partition, record, split),
            (_, Ok(whole)) => whole,
            (_, Err(error)) => {
                self.tell((partition, record.offset, None), &error);
                return Ok(());
            }
        };
        for (index, message) in whole.enumerate() {
            if self.left == 0 {
                break;
            }
            match Flow::decode(message) {
                Ok(flow) => {
                    self.print_flow((partition, record.offset, index), &flow)?;
                    self.left -= 1;
                }
                Err(error) => self.tell((partition, record.offset, Some(index)), &error),
            }
        }
        Ok(())
    }

    fn print_flow(
        &mut self,
        (partition, offset, index): (u32, u64, usize),
        flow: &Flow,
    ) -> io::Result<()> {
        if self.options.format == TailFormat::Protobuf {
            self.bytes.clear();
            flow.encode_delimited(Dialect::default(), &mut self.bytes);
            return self.out.write_all(&self.bytes);
        }
        self.text.clear();
        flow.write_json(&mut self.text);
        let place = format!("\"partition\":{partition},\"offset\":{offset},\"index\":{index}");
        // The flow's object always has its type, so that a comma is right.
        let fields = self.text.strip_prefix('{').unwrap_or_default();
        writeln!(self.out, "{{{place},{fields}")
    }

    fn print_record(
        &mut self,
        partition: u32,
        record: &RecordRef<'_>,
        split: Result<flow_proto::Messages<'_>, flow_proto::FramingError>,
    ) -> Result<(), Failure> {
        let (mut flows, mut unreadable) = (0_u64, 0_u64);
        match split {
            Ok(whole) => {
                for message in whole {
                    match Flow::decode(message) {
                        Ok(_) => flows += 1,
                        Err(_) => unreadable += 1,
                    }
                }
            }
            Err(_) => unreadable = 1,
        }
        self.unreadable += unreadable;
        self.left -= 1;
        let headers: Map<String, Value> = record
            .headers
            .iter()
            .map(|(name, value)| (text(name), text(value).into()))
            .collect();
        let line = json!({
            "partition": partition, "offset": record.offset, "time": topic::time(record.timestamp_millis),
            "headers": headers, "bytes": record.payload.len(), "flows": flows, "unreadable": unreadable,
        });
        Ok(writeln!(self.out, "{line}")?)
    }

    fn tell(
        &mut self,
        (partition, offset, index): (u32, u64, Option<usize>),
        error: &dyn std::error::Error,
    ) {
        self.unreadable += 1;
        if self.unreadable <= TOLD {
            tracing::warn!(partition, offset, index, %error, "unreadable");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
