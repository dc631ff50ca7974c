//! Where partitions end, and which offset belongs to a time: ListOffsets, for many partitions at once.
//!
//! Law: an end is the one that readers of this topic can reach (with `isolation.level=read_committed` the last stable
//! offset), so that a position compares with it.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::client::Voice;
use super::link::number;

/// What the surveys have seen of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Surveys that found it; 0: not even one.
    pub(super) surveys: u64,
    /// Its end, as of the last of them.
    pub(super) end: u64,
    /// The last survey did not find it.
    pub(super) unreachable: bool,
    /// Times that it may have become another partition: it was not found and is found again, it has become shorter, or
    /// nobody has looked for a while.
    pub(super) doubts: u64,
}

impl Seen {
    /// Takes a survey's answer; `None`: there was none. `late`: there was no look for a while.
    pub(super) fn renew(&mut self, end: Option<u64>, late: bool) {
        let lost = std::mem::replace(&mut self.unreachable, end.is_none());
        if let Some(end) = end {
            self.doubts += u64::from(lost || late || end < self.end);
            self.end = end;
            self.surveys += 1;
        }
    }

    /// Whether a reader at `position`, with nothing more at hand, has read everything as far as is known.
    pub(super) fn is_read(&self, position: u64) -> bool {
        self.surveys > 0 && !self.unreachable && position >= self.end
    }
}

/// Ends of partitions. One that has no answer of its own is left out.
pub(super) fn ends(
    consumer: &BaseConsumer<Voice>,
    topic: &str,
    partitions: impl Iterator<Item = u32>,
    limit: Duration,
) -> KafkaResult<BTreeMap<u32, u64>> {
    let asked = partitions.map(|partition| (partition, Offset::End));
    let found = list_offsets(consumer, topic, asked, limit)?;
    Ok(found
        .into_iter()
        .filter_map(|(partition, offset)| match offset {
            Ok(Offset::Offset(end)) => Some((partition, u64::try_from(end).ok()?)),
            _ => None,
        })
        .collect())
}

/// Asks for `Offset::Beginning`, `Offset::End`, or a time in milliseconds as `Offset::Offset`.
pub(super) fn list_offsets(
    consumer: &BaseConsumer<Voice>,
    topic: &str,
    asked: impl Iterator<Item = (u32, Offset)>,
    limit: Duration,
) -> KafkaResult<BTreeMap<u32, KafkaResult<Offset>>> {
    let mut list = TopicPartitionList::new();
    for (partition, at) in asked {
        list.add_partition_offset(topic, number(partition), at)?;
    }
    let found = consumer.offsets_for_times(list, limit)?;
    let elements = found.elements().into_iter();
    Ok(elements
        .filter_map(|element| {
            let partition = u32::try_from(element.partition()).ok()?;
            Some((partition, element.error().map(|()| element.offset())))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_reached_is_unread() {
        let mut seen = Seen::default();
        assert!(!seen.is_read(0));
        seen.renew(Some(5), false);
        assert!(seen.is_read(5) && seen.is_read(9) && !seen.is_read(4));
        seen.renew(None, false);
        assert!(!seen.is_read(5));
        seen.renew(Some(6), false);
        assert!(!seen.is_read(5) && seen.is_read(6));
    }

    #[test]
    fn a_partition_that_was_away_or_is_shorter_or_was_not_looked_at_is_in_doubt() {
        let mut seen = Seen::default();
        let mut doubts = |end, late| {
            let before = seen.doubts;
            seen.renew(end, late);
            seen.doubts - before
        };
        assert_eq!((doubts(Some(5), false), doubts(Some(5), false)), (0, 0));
        assert_eq!((doubts(Some(4), false), doubts(Some(9), false)), (1, 0));
        assert_eq!((doubts(None, false), doubts(Some(9), false)), (0, 1));
        assert_eq!((doubts(Some(9), true), doubts(Some(9), false)), (1, 0));
    }
}
