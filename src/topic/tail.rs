//! `topic tail`: the flows of a topic on standard output, whoever wrote them.
//!
//! For a look at what a producer sends, and for scripts. It reads both dialects and every framing, as the job does.
//! Law: what cannot be read is told on standard error with its partition and offset, and harms nothing else; the
//! number told is exact, the lines are limited.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flow_proto::{Enrichment, Flow, PACK_HEADER, messages};
use flow_topic::RecordRef;

use super::lines::Lines;
use super::source::{self, Source};
use crate::cli::{self, TailFormat};
use crate::failure::Failure;
use crate::signals;

/// Records of a partition read in a row.
const TURN: usize = 256;
/// Between two looks for new records.
const LOOK: Duration = Duration::from_millis(50);
/// Unreadable messages that get a line of their own.
const TOLD: u64 = 20;

/// Prints until the count, the end or a signal.
pub(crate) fn run(options: &cli::TopicTail) -> Result<(), Failure> {
    let stop = signals::install()?;
    let topic = flow_topic::url::open(&options.url, None)?;
    let mut sources = source::open(topic.as_ref(), options)?;
    let mut tail = Tail {
        lines: Lines::new(io::stdout().lock(), options.format),
        options,
        left: options.count.unwrap_or(u64::MAX),
        unreadable: 0,
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
            tail.lines.flush()?;
            thread::sleep(LOOK); // readers never wait by themselves
        }
    }
    tail.lines.flush()?;
    if tail.unreadable > 0 {
        tracing::warn!(count = tail.unreadable, "messages that could not be read");
    }
    Ok(())
}

struct Tail<'a, W: Write> {
    lines: Lines<W>,
    options: &'a cli::TopicTail,
    /// Lines still to print.
    left: u64,
    unreadable: u64,
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
            (TailFormat::Records, split) => {
                self.left -= 1;
                self.unreadable += self.lines.record(partition, record, split.ok())?;
                return Ok(());
            }
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
            let read =
                Flow::decode(message).and_then(|flow| Ok((flow, Enrichment::decode(message)?)));
            match read {
                Ok((flow, more)) => {
                    self.lines
                        .flow((partition, record.offset, index), &flow, &more)?;
                    self.left -= 1;
                }
                Err(error) => self.tell((partition, record.offset, Some(index)), &error),
            }
        }
        Ok(())
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
