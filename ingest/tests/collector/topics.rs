//! Topics that misbehave: one whose writer waits, one whose writer fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use flow_topic::{Bounds, NewRecord, Reader, Timestamps, Topic, TopicError, Writer};

macro_rules! delegate {
    () => {
        fn url(&self) -> String {
            self.inner.url()
        }
        fn partitions(&self) -> Result<u32, TopicError> {
            self.inner.partitions()
        }
        fn timestamps(&self) -> Timestamps {
            self.inner.timestamps()
        }
        fn bounds(&self, partition: u32) -> Result<Bounds, TopicError> {
            self.inner.bounds(partition)
        }
        fn offset_at(&self, partition: u32, millis: i64) -> Result<Option<u64>, TopicError> {
            self.inner.offset_at(partition, millis)
        }
        fn reader(&self, partition: u32, offset: u64) -> Result<Box<dyn Reader>, TopicError> {
            self.inner.reader(partition, offset)
        }
    };
}

/// Its writer waits until `open`.
#[derive(Debug)]
pub(crate) struct Gated {
    inner: Arc<dyn Topic>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Gated {
    pub(crate) fn new(inner: Arc<dyn Topic>) -> Gated {
        Gated {
            inner,
            gate: Arc::default(),
        }
    }

    pub(crate) fn open(&self) {
        *self.gate.0.lock().expect("unpoisoned") = true;
        self.gate.1.notify_all();
    }
}

impl Topic for Gated {
    delegate!();
    fn writer(&self) -> Result<Box<dyn Writer>, TopicError> {
        Ok(Box::new(GatedWriter(
            self.inner.writer()?,
            Arc::clone(&self.gate),
        )))
    }
}

struct GatedWriter(Box<dyn Writer>, Arc<(Mutex<bool>, Condvar)>);

impl Writer for GatedWriter {
    fn append(&mut self, partition: u32, record: NewRecord<'_>) -> Result<(), TopicError> {
        let open = self.1.0.lock().expect("unpoisoned");
        drop(
            self.1
                .1
                .wait_while(open, |open| !*open)
                .expect("unpoisoned"),
        );
        self.0.append(partition, record)
    }
    fn flush(&mut self) -> Result<(), TopicError> {
        self.0.flush()
    }
}

/// Its writers fail to append while told so.
#[derive(Debug)]
pub(crate) struct Failing {
    inner: Arc<dyn Topic>,
    told: Arc<Told>,
}

#[derive(Debug, Default)]
struct Told {
    fail: AtomicBool,
    refusals: AtomicUsize,
}

impl Failing {
    pub(crate) fn new(inner: Arc<dyn Topic>) -> Failing {
        Failing {
            inner,
            told: Arc::default(),
        }
    }

    pub(crate) fn fail(&self, fail: bool) {
        self.told.fail.store(fail, Ordering::SeqCst);
    }

    /// How many records it has refused.
    pub(crate) fn refusals(&self) -> usize {
        self.told.refusals.load(Ordering::SeqCst)
    }
}

impl Topic for Failing {
    delegate!();
    fn writer(&self) -> Result<Box<dyn Writer>, TopicError> {
        Ok(Box::new(FailingWriter(
            self.inner.writer()?,
            Arc::clone(&self.told),
        )))
    }
}

struct FailingWriter(Box<dyn Writer>, Arc<Told>);

impl Writer for FailingWriter {
    fn append(&mut self, partition: u32, record: NewRecord<'_>) -> Result<(), TopicError> {
        if self.1.fail.load(Ordering::SeqCst) {
            self.1.refusals.fetch_add(1, Ordering::SeqCst);
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(TopicError::Io {
                what: "append".to_owned(),
                source: full,
            });
        }
        self.0.append(partition, record)
    }
    fn flush(&mut self) -> Result<(), TopicError> {
        self.0.flush()
    }
}
