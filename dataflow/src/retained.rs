//! What retention has deleted of a topic since a job has read it, and which slots a replay cannot make whole for that.
//!
//! Law 7: never a silent jump. A slot lacks flows of a partition if a deleted record can have held one of it.

use flow_state::{Gap, Position, SlotSecs};
use flow_topic::{Bounds, Topic};
use serde::{Deserialize, Serialize};

use crate::acceptance::TRUST_NS;
use crate::config::SECOND_NS;
use crate::failure::JobError;
use crate::gap::next_ns;

/// A partition of which slots before a time may lack flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lack {
    pub(crate) partition: u32,
    /// Slots that start before this.
    pub(crate) before_secs: SlotSecs,
}

/// What is needed of a partition: the records that the job has read of it, from `start` to `at`, from a time on.
pub(crate) struct Needed<'a> {
    pub(crate) partition: u32,
    pub(crate) start: u64,
    pub(crate) at: &'a Position,
    /// The first slot.
    pub(crate) from_secs: SlotSecs,
    /// So far ahead of a partition's clock a slot may be.
    pub(crate) ahead_secs: u64,
}

impl Needed<'_> {
    /// The topic's timestamp from which on records are needed: a clock may be so far ahead of it.
    pub(crate) fn begin_secs(&self) -> u64 {
        self.clock_secs().saturating_sub(TRUST_SECS)
    }

    /// Before its clock is here, no flow of a partition counts.
    fn clock_secs(&self) -> u64 {
        self.from_secs.saturating_sub(self.ahead_secs)
    }
}

/// Whether something of it is gone, and which slots lack it. `partial`: that is no error.
///
/// # Errors
/// `Retained`, the topic's own.
pub(crate) fn lack(
    topic: &dyn Topic,
    (bounds, gaps): (Bounds, &[Gap]),
    needed: &Needed<'_>,
    partial: bool,
) -> Result<Option<Lack>, JobError> {
    let partition = needed.partition;
    // What the job had not read either is not missed.
    let mut first = needed.start;
    let mut passed: Vec<&Gap> = gaps
        .iter()
        .filter(|gap| gap.partition == partition)
        .collect();
    passed.sort_unstable_by_key(|gap| gap.from_offset);
    for gap in passed {
        if gap.from_offset <= first {
            first = first.max(gap.to_offset);
        }
    }
    if bounds.earliest <= first || needed.at.clock_ns < nanos(needed.clock_secs()) {
        return Ok(None);
    }
    let retained_ns = match bounds.earliest < bounds.end {
        true => next_ns(topic.reader(partition, bounds.earliest)?.as_mut())?,
        false => None,
    };
    if retained_ns.is_some_and(|ns| ns <= nanos(needed.begin_secs())) {
        return Ok(None);
    }
    if !partial {
        return Err(JobError::Retained {
            url: topic.url(),
            partition,
            earliest: bounds.earliest,
            retained_ns,
        });
    }
    let retained_secs = retained_ns.map_or(u64::MAX, |ns| {
        u64::try_from(ns)
            .unwrap_or(0)
            .div_ceil(SECOND_NS.unsigned_abs())
    });
    Ok(Some(Lack {
        partition,
        before_secs: retained_secs.saturating_add(needed.ahead_secs + TRUST_SECS),
    }))
}

/// How far a trusted receive time may be from the topic's timestamp.
const TRUST_SECS: u64 = (TRUST_NS / SECOND_NS).unsigned_abs();

/// The time, ns since 1970.
pub(crate) fn nanos(secs: u64) -> i64 {
    i64::try_from(secs)
        .unwrap_or(i64::MAX)
        .saturating_mul(SECOND_NS)
}
