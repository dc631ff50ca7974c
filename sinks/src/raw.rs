//! Raw flows: what a store must do to hold every flow of the topic, judged and enriched.
//!
//! The raw writer is a follower too, with cursors per partition: for each checkpoint it hands over one block for
//! each partition, the flows between the cut before and that checkpoint's cut. Law 6: a block is never joined with its
//! neighbour or split otherwise, so that a store may recognise one that it has already; its content never changes.

use std::collections::BTreeMap;
use std::fmt;

use flow_proto::EnrichedFlow;

use crate::delta::belongs;
use crate::{Adoption, Applied, Held, RawDigest, RawRange, SinkError};

/// A store for raw flows.
///
/// A transactional store writes a block and moves the partition's cursor in one transaction, and only if the stored
/// cursor equals `block.from`. One without transactions writes the block under `block.token()` first and the cursor
/// after it; a block that comes again has the same token and the same content.
pub trait RawSink: Send {
    /// Its URL without secrets, for messages and as the label of its metrics.
    fn name(&self) -> &str;

    /// What the store says it has: read at start and whenever the outcome of a block is unknown.
    ///
    /// # Errors
    /// `Retry` if the store cannot be reached now.
    fn cursors(&mut self) -> Result<RawCursors, SinkError>;

    /// Writes a block and moves its partition's cursor from `block.from` to `block.to`.
    ///
    /// # Errors
    /// `Retry` if the store failed or the outcome is unknown; the follower then reads the cursors again.
    fn apply(&mut self, block: &RawBlock<'_>) -> Result<Applied, SinkError>;

    /// Puts the raw flows of a slot in the place of what the store has of them; cursors stay as they are. Where there are
    /// transactions it is one; else, cut short, it is to be begun again. Written again it changes nothing.
    ///
    /// # Errors
    /// As `apply`; `Refused` if another job than the replacement's has written the store, or it can replace none.
    fn replace(&mut self, _replacement: &RawReplacement<'_>) -> Result<u64, SinkError> {
        Err(SinkError::refused(format!(
            "sink {}: has no raw flows to be replaced",
            self.name()
        )))
    }

    /// As `Sink::held`.
    ///
    /// # Errors
    /// `Retry` if the store cannot be reached now.
    fn held(&mut self) -> Result<Held, SinkError>;

    /// As `Sink::adopt`; flows that will be written anew are deleted before.
    ///
    /// # Errors
    /// As `apply`.
    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError>;
}

/// Flows that can be walked through, as often as needed, without all being in memory.
pub trait RawRows: fmt::Debug {
    /// Hands each flow to `take`, in the order of offsets, then indexes.
    ///
    /// # Errors
    /// The first error of `take`, or that of reading.
    fn for_each(
        &self,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<(), SinkError>;
}

/// The flows of one partition between two successive checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct RawBlock<'a> {
    /// Id of the job.
    pub job: &'a str,
    /// The topic's URL without secrets and properties.
    pub topic: &'a str,
    /// The partition.
    pub partition: u32,
    /// Where the store's cursor of this partition must stand; `None`: it has none yet.
    pub from: Option<u64>,
    /// The checkpoint at which it stands afterwards.
    pub to: u64,
    /// First offset of the block.
    pub first_offset: u64,
    /// Offset after its last record.
    pub end_offset: u64,
    /// Its flows; there may be none.
    pub rows: &'a dyn RawRows,
    /// Now, seconds since 1970: the time of insertion where a table has one.
    pub now_secs: u64,
    /// Watermark of `to`, seconds since 1970: what retention is measured from.
    pub watermark_secs: Option<u64>,
}

/// What the raw flows of a slot are to be. Law 6: it lies below the store's cursors, so that no follower writes it.
#[derive(Clone, Copy, Debug)]
pub struct RawReplacement<'a> {
    /// Id of the job.
    pub job: &'a str,
    /// The slot, and where its flows stand: what the store has there goes.
    pub range: &'a RawRange,
    /// Number of times the slot has been replaced as a whole.
    pub generation: u64,
    /// Its flows.
    pub rows: &'a dyn RawRows,
    /// What they are, as the store has them.
    pub digest: RawDigest,
    /// Now, seconds since 1970.
    pub now_secs: u64,
}

impl RawBlock<'_> {
    /// The name that this block and no other has, for stores that recognise what comes twice. An adoption changes the job's
    /// id, so that what it has deleted and writes anew is not taken for what was there.
    pub fn token(&self) -> String {
        format!(
            "{}/{}/{}/{}-{}",
            self.job, self.topic, self.partition, self.first_offset, self.end_offset
        )
    }
}

/// What a store says it has of the raw flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawCursors {
    /// Id of the job that wrote it; `None`: nobody has yet.
    pub job: Option<String>,
    /// Per partition the last checkpoint it holds.
    pub by_partition: BTreeMap<u32, u64>,
}

impl RawCursors {
    /// Law 6: whether the store may be written by this job, as `Cursors::belong_to`.
    ///
    /// # Errors
    /// `Refused`, if another job has written it, or it is ahead of the state.
    pub fn belong_to(&self, name: &str, job: &str, newest: u64) -> Result<(), SinkError> {
        let highest = self.by_partition.values().max().copied();
        belongs((name, self.job.as_deref(), highest), job, newest)
    }
}
