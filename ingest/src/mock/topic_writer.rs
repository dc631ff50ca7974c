//! `TopicWriter`: mock flows straight into a topic, as packs with simulated times.
//!
//! The back-fill of the demo and the input of benchmarks: no socket, no decoder.
//! Law: a record's timestamp is the simulated time; a topic that would set its own is refused.

use flow_proto::Flow;
use flow_topic::{GiveUp, Timestamps, Topic, TopicError, Writer};

use crate::pack::{Form, Limits, Pack, Packer, Shape};

/// Bytes after which packs are made durable.
const FLUSH_BYTES: u64 = 8 << 20;

/// Why mock flows could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MockError {
    /// The topic would stamp simulated flows with the time of writing.
    #[error(
        "{url}: this topic sets its records' timestamps itself (append), so flows of another time would be read as of \
         now; use a topic with timestamps `create`"
    )]
    AppendTimestamps {
        /// The topic's URL.
        url: String,
    },
    /// The topic's own.
    #[error(transparent)]
    Topic(#[from] TopicError),
}

/// What has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Flows.
    pub flows: u64,
    /// Packs; each one record, or one record a flow where consumers know no packs.
    pub packs: u64,
    /// Bytes of the packs.
    pub bytes: u64,
}

/// Writes flows as packs, or as the records that other consumers know.
pub struct TopicWriter {
    writer: Box<dyn Writer>,
    packer: Packer,
    form: Form,
    flows: u64,
    flushed_bytes: u64,
}

impl TopicWriter {
    /// Opens the topic's writer. `simulated`: the flows' times are not now's. A `Dialect` is a shape, too: packs in
    /// that dialect, to the partitions in turn.
    ///
    /// # Errors
    /// If the times are simulated and the topic sets its own; else the topic's.
    pub fn open(
        topic: &dyn Topic,
        simulated: bool,
        shape: impl Into<Shape>,
    ) -> Result<TopicWriter, MockError> {
        if simulated && topic.timestamps() == Timestamps::Append {
            return Err(MockError::AppendTimestamps { url: topic.url() });
        }
        let shape = shape.into();
        Ok(TopicWriter {
            packer: Packer::new(topic.partitions()?, 0, Limits::default(), shape),
            form: shape.form,
            writer: topic.writer()?,
            flows: 0,
            flushed_bytes: 0,
        })
    }

    /// As `Writer::give_up_when`.
    pub fn give_up_when(&mut self, given_up: GiveUp) {
        self.writer.give_up_when(given_up);
    }

    /// Writes a flow that comes in at `now_ns` (`Generator::now_ns`).
    ///
    /// # Errors
    /// The topic's.
    pub fn write(&mut self, flow: &Flow, now_ns: u64) -> Result<(), MockError> {
        self.flows += 1;
        let (form, writer) = (self.form, self.writer.as_mut());
        let mut out = |pack: &Pack<'_>| pack.append(form, writer);
        let left = self.packer.push(flow, now_ns, &mut out)?;
        if left && self.packer.bytes() - self.flushed_bytes >= FLUSH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Makes the packs that have left durable and visible; a live writer calls it every few milliseconds.
    ///
    /// # Errors
    /// The topic's.
    pub fn flush(&mut self) -> Result<(), MockError> {
        self.flushed_bytes = self.packer.bytes();
        Ok(self.writer.flush()?)
    }

    /// Closes the pack that is not full yet, at `now_ns`, and makes everything durable.
    ///
    /// # Errors
    /// The topic's.
    pub fn finish(mut self, now_ns: u64) -> Result<Written, MockError> {
        let (form, writer) = (self.form, self.writer.as_mut());
        self.packer
            .flush(now_ns, &mut |pack: &Pack<'_>| pack.append(form, writer))?;
        self.writer.flush()?;
        Ok(Written {
            flows: self.flows,
            packs: self.packer.packs(),
            bytes: self.packer.bytes(),
        })
    }
}
