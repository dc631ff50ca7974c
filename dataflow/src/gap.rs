//! What retention has deleted before it could be read: refused, or passed as a declared gap.
//!
//! Law 7: never a silent jump. Law 1: a gap is entered with the clock before it and the time of the first record after
//! it, so that the slots that may lack flows follow from the topic and the gap alone. Slots that no record of the gap can
//! have counted in by law 2 are not among them.

use std::time::Duration;

use flow_state::{Gap, Position};
use flow_topic::{Reader, TopicError};

use crate::acceptance::{slot_of, trusted_ns};
use crate::config::{RowConfig, SECOND_NS};

/// How long the first record after a gap may take to come when it is wanted for a message only.
const PATIENCE: Duration = Duration::from_secs(5);

/// The gap of a partition that stands at `at` and can be read from `to_offset` on. `after_ns`: the clock that the first
/// record there gives.
pub(crate) fn gap(
    partition: u32,
    at: &Position,
    (to_offset, after_ns): (u64, Option<i64>),
    rows: &RowConfig,
) -> Gap {
    let ns = |secs: u64| {
        i64::try_from(secs)
            .unwrap_or(i64::MAX)
            .saturating_mul(SECOND_NS)
    };
    let window = rows.window_secs;
    let oldest_ns = at.clock_ns.saturating_sub(ns(rows.lateness_secs));
    let last_slot = |after: i64| slot_of(after.max(at.clock_ns).saturating_add(ns(window)), window);
    Gap {
        partition,
        from_offset: at.offset,
        to_offset,
        offsets: to_offset.saturating_sub(at.offset),
        before_ns: at.clock_ns,
        after_ns,
        first_slot_secs: slot_of(oldest_ns, window),
        last_slot_secs: after_ns.map_or(u64::MAX, last_slot),
    }
}

/// Up to which offset a gap that begins where the partition stands is on record already; 0: none is.
pub(crate) fn accepted(gaps: &[Gap], partition: u32, at: &Position) -> u64 {
    let known = |gap: &&Gap| gap.partition == partition && gap.from_offset == at.offset;
    gaps.iter().find(known).map_or(0, |gap| gap.to_offset)
}

/// The topic's timestamp of the record that a reader stands before; `None`: there is none.
///
/// # Errors
/// The topic's.
pub(crate) fn next_ns(reader: &mut dyn Reader) -> Result<Option<i64>, TopicError> {
    if !reader.wait(PATIENCE)? {
        return Ok(None);
    }
    let stamp = reader.peek()?.map(|record| record.timestamp_millis);
    Ok(stamp.map(|millis| trusted_ns(0, millis).0))
}

/// In words: which offsets, how many records at the most, which slots.
pub(crate) fn words(gap: &Gap) -> String {
    let time = |secs: u64| {
        let known = i64::try_from(secs).ok();
        let stamp = known.and_then(|secs| jiff::Timestamp::from_second(secs).ok());
        stamp.map_or_else(|| secs.to_string(), |stamp| stamp.to_string())
    };
    let until = match gap.after_ns {
        Some(_) => format!("to {}", time(gap.last_slot_secs)),
        None => "on, until a record comes after them,".to_owned(),
    };
    format!(
        "offsets {} to {} (at most {} records) were deleted by retention before they were read; slots from {} {until} may \
         lack flows",
        gap.from_offset,
        gap.to_offset.saturating_sub(1),
        gap.offsets,
        time(gap.first_slot_secs)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_are_those_that_a_record_of_the_gap_can_have_counted_in() {
        const BEGIN: i64 = 1_700_000_100; // a slot boundary
        let at = Position {
            offset: 10,
            clock_ns: (BEGIN + 3_600 + 299) * SECOND_NS,
            last_record: None,
        };
        let rows = RowConfig::default();
        let open = gap(2, &at, (30, None), &rows);
        assert_eq!(
            (open.from_offset, open.to_offset, open.offsets),
            (10, 30, 20)
        );
        // Slot BEGIN ends 3,599 s before the clock, the one before it 3,899 s.
        assert_eq!(open.first_slot_secs, 1_700_000_100);
        assert_eq!(open.last_slot_secs, u64::MAX);
        let after = |secs: i64| gap(2, &at, (30, Some(secs * SECOND_NS)), &rows).last_slot_secs;
        // A clock at the end of a slot takes flows of the next one, and of none after that.
        assert_eq!(after(BEGIN + 9_000), 1_700_009_100 + 300);
        assert_eq!(after(BEGIN + 8_999), 1_700_008_800 + 300);
        assert_eq!(after(BEGIN), 1_700_003_700 + 300, "no clock goes back");
        let words = words(&gap(2, &at, (30, Some(BEGIN * SECOND_NS)), &rows));
        assert_eq!(
            words,
            "offsets 10 to 29 (at most 20 records) were deleted by retention before they were read; slots from \
             2023-11-14T22:15:00Z to 2023-11-14T23:20:00Z may lack flows"
        );
    }
}
