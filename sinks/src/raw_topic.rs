//! The topic as the raw follower sees it: the flows of a partition between two positions, judged and enriched.
//!
//! It stands between this crate and the job's: a store follows checkpoints and knows no operator, so the binary
//! joins the two. Law 1: a span walked through twice gives the same flows.

use std::cell::Cell;
use std::fmt;

use flow_proto::EnrichedFlow;
use flow_state::{Gap, Position, Timeline};

use crate::{RawRows, SinkError};

/// A topic whose flows can be read again.
pub trait RawTopic: Send {
    /// Its URL without secrets and properties.
    fn name(&self) -> String;

    /// Hands each flow of the span to `take`, in the order of offsets, then indexes. What retention has removed is left
    /// out and counted.
    ///
    /// # Errors
    /// The first error of `take`, or that of reading: `Retry` if the topic cannot be reached now.
    fn walk(
        &self,
        span: &RawSpan<'_>,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<RawWalked, SinkError>;
}

/// Records of one partition between two checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct RawSpan<'a> {
    /// The partition.
    pub partition: u32,
    /// Where it begins, with the partition's clock there.
    pub from: Position,
    /// Offset after its last record.
    pub end_offset: u64,
    /// The timeline of the checkpoint at which it ends.
    pub timeline: &'a Timeline,
    /// What that checkpoint says was gone before the job could read it.
    pub gaps: &'a [Gap],
}

/// What a walk has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawWalked {
    /// Flows handed over.
    pub flows: u64,
    /// Offsets that retention had removed from the topic.
    pub missing_offsets: u64,
}

/// A block's rows: the span, walked through when a store asks.
pub(crate) struct SpanRows<'a> {
    pub(crate) topic: &'a dyn RawTopic,
    pub(crate) span: RawSpan<'a>,
    /// Of the last walk that came to its end.
    pub(crate) walked: Cell<RawWalked>,
}

impl fmt::Debug for SpanRows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanRows")
            .field("partition", &self.span.partition)
            .field("from", &self.span.from.offset)
            .field("end_offset", &self.span.end_offset)
            .finish_non_exhaustive()
    }
}

impl RawRows for SpanRows<'_> {
    fn for_each(
        &self,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        // An empty block needs no reader.
        if self.span.from.offset >= self.span.end_offset {
            self.walked.set(RawWalked::default());
            return Ok(());
        }
        self.walked.set(self.topic.walk(&self.span, take)?);
        Ok(())
    }
}
