//! Raw flows read a second time: which slots are wanted, and what counts of them that the job has refused.
//!
//! Law 2 as a replay has it: a refused flow can count if it is known of its slot, that is, not under `elsewhere`; an
//! implausible one never does.

use std::fmt;

use flow_proto::{Coordinate, FlowCore, Verdict};
use flow_state::SlotSecs;

use crate::acceptance;
use crate::config::JobConfig;

/// What is read again.
pub struct Again<'a> {
    /// Slots that start in [first, second).
    pub slots: (SlotSecs, SlotSecs),
    /// Where a partition's clock reaches this, the walk ends.
    pub end_clock_ns: i64,
    /// Whether a flow of a slot counts although it was too early or too late.
    pub counts: &'a dyn Fn(SlotSecs, Coordinate) -> bool,
}

impl fmt::Debug for Again<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Again")
            .field("slots", &self.slots)
            .field("end_clock_ns", &self.end_clock_ns)
            .finish_non_exhaustive()
    }
}

impl Again<'_> {
    /// After `pack_clock`, a core's receive time is the trusted one.
    pub(super) fn wants(&self, core: &FlowCore, config: &JobConfig) -> bool {
        let received = i64::try_from(core.received_ns).unwrap_or(0);
        let slot = acceptance::flow_slot(core, received, &config.rows);
        (self.slots.0..self.slots.1).contains(&slot)
    }

    pub(super) fn verdict(
        &self,
        judged: Verdict,
        (slot, clock_ns): (SlotSecs, i64),
        at: Coordinate,
    ) -> Verdict {
        let refused = matches!(judged, Verdict::TooEarly | Verdict::TooLate);
        let known = refused && acceptance::counted_under(slot, clock_ns) == slot;
        match known && (self.counts)(slot, at) {
            true => Verdict::Counts,
            false => judged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SECOND_NS;

    #[test]
    fn what_counts_is_what_is_known_of_the_slot() {
        let of_first = |_: SlotSecs, at: Coordinate| at.partition == 0;
        let again = Again {
            slots: (900_000, 900_300),
            end_clock_ns: i64::MAX,
            counts: &of_first,
        };
        let day = 86_400;
        let clock = (900_000 + day) * SECOND_NS;
        for (judged, partition, clock_ns, expected) in [
            (Verdict::TooLate, 0, clock, Verdict::Counts),
            (Verdict::TooLate, 0, clock + SECOND_NS, Verdict::TooLate),
            (Verdict::TooLate, 1, clock, Verdict::TooLate),
            (Verdict::TooEarly, 0, 890_000 * SECOND_NS, Verdict::Counts),
            (Verdict::Implausible, 0, clock, Verdict::Implausible),
            (Verdict::Counts, 1, clock, Verdict::Counts),
        ] {
            let at = Coordinate {
                partition,
                ..Coordinate::default()
            };
            let verdict = again.verdict(judged, (900_000, clock_ns), at);
            assert_eq!(verdict, expected, "{judged:?} of {partition} at {clock_ns}");
        }
    }
}
