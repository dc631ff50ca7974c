//! The embedded log passes the suite, and the suite catches topics that break one law each.

// Helpers of tests may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use flow_topic::{
    Bounds, Context, EmbeddedTopic, NewRecord, Options, Reader, RecordRef, Timestamps, Topic,
    TopicError, Writer, conformance,
};

/// Makes embedded topics in temporary directories that live as long as this.
struct Maker {
    folder: tempfile::TempDir,
    count: AtomicU64,
    segment_bytes: u64,
}

impl Maker {
    fn new(segment_bytes: u64) -> Maker {
        Maker {
            folder: tempfile::tempdir().unwrap(),
            count: AtomicU64::new(0),
            segment_bytes,
        }
    }

    fn make(&self, timestamps: Timestamps, partitions: u32) -> EmbeddedTopic {
        let path = self
            .folder
            .path()
            .join(self.count.fetch_add(1, Ordering::Relaxed).to_string());
        let options = Options {
            partitions,
            timestamps,
            segment_bytes: self.segment_bytes,
            ..Options::default()
        };
        // A clock that now and then goes back.
        let ticks = AtomicU64::new(0);
        let clock = Arc::new(move || {
            let tick = ticks.fetch_add(1, Ordering::Relaxed) as i64;
            1_700_000_000_000 + tick - 5 * (tick % 3)
        });
        EmbeddedTopic::create_with(
            path,
            options,
            Context {
                clock,
                ..Context::default()
            },
        )
        .unwrap()
    }
}

#[test]
fn the_embedded_log_conforms() {
    let maker = Maker::new(Options::default().segment_bytes);
    conformance::run(|timestamps, partitions| Arc::new(maker.make(timestamps, partitions)));
}

#[test]
fn the_embedded_log_conforms_with_tiny_segments() {
    for segment_bytes in [700, 3_000] {
        let maker = Maker::new(segment_bytes);
        conformance::run(|timestamps, partitions| Arc::new(maker.make(timestamps, partitions)));
    }
}

/// The one law that a broken topic breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    VisibleBeforeFlush,
    PeekStepsOn,
    SeekStaysShort,
    TimeOneTooLate,
    HeadersLost,
    EmptyPayloadSkipped,
    ReaderSeesASnapshot,
    PartitionsMixed,
    TwoWriters,
    EndOneTooHigh,
}

const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::VisibleBeforeFlush, "nothing is visible before flush"),
    (Flaw::PeekStepsOn, "peek is repeatable"),
    (Flaw::SeekStaysShort, "seek goes anywhere"),
    (Flaw::TimeOneTooLate, "offset at a time is exact"),
    (Flaw::HeadersLost, "records are kept as given"),
    (Flaw::EmptyPayloadSkipped, "empty payload"),
    (Flaw::ReaderSeesASnapshot, "a reader follows the writer"),
    (Flaw::PartitionsMixed, "partitions are independent"),
    (Flaw::TwoWriters, "one writer at a time"),
    (Flaw::EndOneTooHigh, "bounds follow the writer"),
];

/// An embedded topic with a flaw.
#[derive(Debug)]
struct Flawed(EmbeddedTopic, Flaw, SharedWriter);

/// The writer that all clones append through, for `Flaw::TwoWriters`.
#[derive(Clone, Default)]
struct SharedWriter(Arc<Mutex<Option<Box<dyn Writer>>>>);

impl std::fmt::Debug for SharedWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedWriter")
    }
}

impl Writer for SharedWriter {
    fn append(&mut self, partition: u32, record: NewRecord<'_>) -> Result<(), TopicError> {
        self.0
            .lock()
            .unwrap()
            .as_mut()
            .unwrap()
            .append(partition, record)
    }
    fn flush(&mut self) -> Result<(), TopicError> {
        self.0.lock().unwrap().as_mut().unwrap().flush()
    }
}

impl Topic for Flawed {
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
        let mut bounds = self.0.bounds(partition)?;
        bounds.end += u64::from(self.1 == Flaw::EndOneTooHigh);
        Ok(bounds)
    }
    fn offset_at(&self, partition: u32, timestamp_millis: i64) -> Result<Option<u64>, TopicError> {
        let later = i64::from(self.1 == Flaw::TimeOneTooLate);
        self.0.offset_at(partition, timestamp_millis + later)
    }
    fn reader(&self, partition: u32, offset: u64) -> Result<Box<dyn Reader>, TopicError> {
        let end = self.0.bounds(partition)?.end;
        let inner = self.0.reader(partition, offset)?;
        Ok(Box::new(FlawedReader {
            inner,
            flaw: self.1,
            end,
            peeked: false,
        }))
    }
    fn writer(&self) -> Result<Box<dyn Writer>, TopicError> {
        if self.1 != Flaw::TwoWriters {
            return Ok(Box::new(FlawedWriter(self.0.writer()?, self.1)));
        }
        let mut shared = self.2.0.lock().unwrap();
        if shared.is_none() {
            *shared = Some(self.0.writer()?);
        }
        drop(shared);
        Ok(Box::new(self.2.clone()))
    }
}

struct FlawedReader {
    inner: Box<dyn Reader>,
    flaw: Flaw,
    /// End of the partition when the reader was made.
    end: u64,
    peeked: bool,
}

impl Reader for FlawedReader {
    fn peek(&mut self) -> Result<Option<RecordRef<'_>>, TopicError> {
        if self.flaw == Flaw::PeekStepsOn && self.peeked {
            self.inner.peek()?;
            self.inner.advance();
        }
        if self.flaw == Flaw::ReaderSeesASnapshot && self.inner.position() >= self.end {
            return Ok(None);
        }
        if self.flaw == Flaw::EmptyPayloadSkipped {
            while self
                .inner
                .peek()?
                .is_some_and(|record| record.payload.is_empty())
            {
                self.inner.advance();
            }
        }
        self.peeked = true;
        let record = self.inner.peek()?;
        Ok(record.map(|mut record| {
            if self.flaw == Flaw::HeadersLost {
                record.headers = flow_topic::Headers::default();
            }
            record
        }))
    }
    fn advance(&mut self) {
        self.peeked = false;
        self.inner.advance();
    }
    fn position(&self) -> u64 {
        self.inner.position()
    }
    fn seek(&mut self, offset: u64) -> Result<(), TopicError> {
        self.peeked = false;
        let short = u64::from(self.flaw == Flaw::SeekStaysShort && offset > 100);
        self.inner.seek(offset - short)
    }
}

struct FlawedWriter(Box<dyn Writer>, Flaw);

impl Writer for FlawedWriter {
    fn append(&mut self, partition: u32, record: NewRecord<'_>) -> Result<(), TopicError> {
        let mixed = u32::from(self.1 == Flaw::PartitionsMixed && partition == 2);
        self.0.append(partition + mixed, record)?;
        if self.1 == Flaw::VisibleBeforeFlush {
            self.0.flush()
        } else {
            Ok(())
        }
    }
    fn flush(&mut self) -> Result<(), TopicError> {
        self.0.flush()
    }
}

fn failures_of(flaw: Flaw, without: &[&str]) -> Vec<(&'static str, String)> {
    let maker = Maker::new(Options::default().segment_bytes);
    let make = |timestamps, partitions| -> Arc<dyn Topic> {
        Arc::new(Flawed(
            maker.make(timestamps, partitions),
            flaw,
            SharedWriter::default(),
        ))
    };
    conformance::failures(make, without)
}

#[test]
fn the_suite_catches_each_flaw_by_name() {
    let sound = failures_of(Flaw::None, &[]);
    assert!(sound.is_empty(), "the wrapper itself is sound: {sound:?}");
    for (flaw, check) in FLAWS {
        let others: Vec<&str> = conformance::names().filter(|name| name != check).collect();
        let failed = failures_of(*flaw, &others);
        eprintln!("{flaw:?}: {failed:?}");
        assert!(failed.len() == 1, "{flaw:?} is not seen by {check:?}");
    }
}
