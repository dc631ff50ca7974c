//! What could not be read in a partition: counted by partition, and a sample of it told with its place.
//!
//! Law 9: a bad message is counted, kept out and explained, and never takes its neighbours down. Law 8: log lines are
//! bounded: of n unreadable messages of a partition, those numbered by a power of two are told.

use flow_proto::{DecodeError, FramingError};

use crate::metrics::Metrics;

/// Why something could not be read. Worded only when it is told.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Why {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error(transparent)]
    Message(#[from] DecodeError),
    #[error("the record has more than {0} messages")]
    TooMany(usize),
}

/// The unreadable messages of one partition.
#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    seen: u64,
}

impl Unreadable {
    /// One more: message `index` of the record at `offset`, or all of it.
    pub(crate) fn tell(
        &mut self,
        (partition, offset, index): (u32, u64, Option<usize>),
        why: Why,
        metrics: &Metrics,
    ) {
        self.seen += 1;
        metrics.undecodable(partition);
        if self.seen.is_power_of_two() {
            tracing::warn!(
                partition,
                offset,
                index,
                %why,
                so_far = self.seen,
                "no FlowMessage, kept out; look at it with `topic tail --format records`"
            );
        }
    }
}
