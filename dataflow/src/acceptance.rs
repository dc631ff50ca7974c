//! Law 2: whether a flow counts, decided by data and record alone.
//!
//! A flow counts iff `slot start <= clock + earliness` and `slot end + allowed lateness > clock`, with its
//! partition's clock at its own pack, that pack included, and its slot is not retired at its tick. The tests come
//! in this order: implausible, too early, too late.

use flow_proto::FlowCore;
pub use flow_proto::Verdict;
use flow_state::SlotSecs;

use crate::config::{RowConfig, SECOND_NS, SlotTime};

/// A receive time within this of its record's topic timestamp is trusted.
pub const TRUST_NS: i64 = 600 * SECOND_NS;
/// Bytes or packets times sampling rate above this are implausible.
pub const PLAUSIBLE_MAX: u128 = 1 << 50;
/// Refused flows of slots that start further than this from the clock share one row, `elsewhere`.
pub const ELSEWHERE_SECS: u64 = 24 * 3600;
/// The slot under which `elsewhere` is counted.
pub const ELSEWHERE: SlotSecs = 0;

/// The receive time if it is within ten minutes of the topic's timestamp, else (or if absent) that timestamp.
/// The second value says whether it was replaced.
pub fn trusted_ns(received_ns: u64, stamp_millis: i64) -> (i64, bool) {
    let stamp_ns = stamp_millis.saturating_mul(1_000_000);
    match i64::try_from(received_ns) {
        Ok(received) if received != 0 && received.abs_diff(stamp_ns) <= TRUST_NS.unsigned_abs() => {
            (received, false)
        }
        _ => (stamp_ns, received_ns != 0),
    }
}

/// Start of the slot that holds a time; times before 1970 are in the first slot.
pub fn slot_of(time_ns: i64, window_secs: u64) -> SlotSecs {
    let secs = u64::try_from(time_ns.div_euclid(SECOND_NS)).unwrap_or(0);
    secs - secs % window_secs
}

/// The slot of a flow, by the configured time.
pub fn flow_slot(flow: &FlowCore, trusted_ns: i64, rows: &RowConfig) -> SlotSecs {
    let sent = match rows.slot_time {
        SlotTime::Received => 0,
        SlotTime::Start => flow.start_ns,
        SlotTime::End => flow.end_ns,
    };
    if sent == 0 {
        return slot_of(trusted_ns, rows.window_secs);
    }
    // As sent, however absurd: law 2 refuses it then.
    let secs = sent / SECOND_NS.unsigned_abs();
    secs - secs % rows.window_secs
}

/// Law 2. `clock_ns` is the partition's clock, the flow's own pack included; `retired_secs` is R of its tick.
pub fn judge(
    flow: &FlowCore,
    slot: SlotSecs,
    clock_ns: i64,
    retired_secs: u64,
    rows: &RowConfig,
) -> Verdict {
    let rate = u128::from(flow.sampling_rate.max(1));
    if u128::from(flow.bytes) * rate > PLAUSIBLE_MAX
        || u128::from(flow.packets) * rate > PLAUSIBLE_MAX
    {
        return Verdict::Implausible;
    }
    let start_ns = i128::from(slot) * i128::from(SECOND_NS);
    let window_ns = i128::from(rows.window_secs) * i128::from(SECOND_NS);
    let clock_ns = i128::from(clock_ns);
    if start_ns > clock_ns + window_ns {
        return Verdict::TooEarly;
    }
    let lateness_ns = i128::from(rows.lateness_secs) * i128::from(SECOND_NS);
    if start_ns + window_ns + lateness_ns <= clock_ns
        || slot.saturating_add(rows.window_secs) <= retired_secs
    {
        return Verdict::TooLate;
    }
    Verdict::Counts
}

/// The slot under which a refused flow is counted: its own, or `elsewhere`.
pub fn counted_under(slot: SlotSecs, clock_ns: i64) -> SlotSecs {
    let start_ns = i128::from(slot) * i128::from(SECOND_NS);
    let limit_ns = i128::from(ELSEWHERE_SECS) * i128::from(SECOND_NS);
    if (start_ns - i128::from(clock_ns)).abs() > limit_ns {
        ELSEWHERE
    } else {
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(bytes: u64, rate: u64) -> FlowCore {
        FlowCore {
            bytes,
            packets: 1,
            sampling_rate: rate,
            ..FlowCore::default()
        }
    }

    #[test]
    fn the_bounds_are_exact() {
        let rows = RowConfig::default();
        let clock = 1_200_000_000 * SECOND_NS; // a slot boundary
        let at = |slot: u64| judge(&flow(1, 1), slot, clock, 0, &rows);
        assert_eq!(
            at(1_200_000_300),
            Verdict::Counts,
            "one window ahead still counts"
        );
        assert_eq!(at(1_200_000_600), Verdict::TooEarly);
        assert_eq!(
            at(1_199_996_400),
            Verdict::Counts,
            "ends 3,300 s before the clock"
        );
        assert_eq!(
            at(1_199_996_100),
            Verdict::TooLate,
            "end + lateness equals the clock"
        );
        let retired = judge(&flow(1, 1), 1_199_999_700, clock, 1_200_000_000, &rows);
        assert_eq!(
            retired,
            Verdict::TooLate,
            "a slot that ends at R is retired"
        );
        let open = judge(&flow(1, 1), 1_199_999_700, clock, 1_199_999_999, &rows);
        assert_eq!(open, Verdict::Counts);
    }

    #[test]
    fn implausible_is_tested_first() {
        let rows = RowConfig::default();
        assert_eq!(
            judge(&flow(1 << 50, 1), 1 << 40, 0, 0, &rows),
            Verdict::TooEarly
        );
        assert_eq!(
            judge(&flow((1 << 50) + 1, 1), 1 << 40, 0, 0, &rows),
            Verdict::Implausible
        );
        assert_eq!(
            judge(&flow(1 << 20, (1 << 30) + 1), 0, 0, 0, &rows),
            Verdict::Implausible
        );
        assert_eq!(
            judge(&flow(u64::MAX, u64::MAX), 0, 0, 0, &rows),
            Verdict::Implausible
        );
    }

    #[test]
    fn a_receive_time_is_trusted_within_ten_minutes() {
        let stamp = 1_700_000_000_000i64;
        let ns = |secs: i64| u64::try_from(stamp * 1_000_000 + secs * SECOND_NS).expect("positive");
        assert_eq!(
            trusted_ns(ns(600), stamp),
            (stamp * 1_000_000 + 600 * SECOND_NS, false)
        );
        assert!(!trusted_ns(ns(-600), stamp).1);
        assert_eq!(trusted_ns(ns(600) + 1, stamp), (stamp * 1_000_000, true));
        assert_eq!(
            trusted_ns(0, stamp),
            (stamp * 1_000_000, false),
            "absent is not replaced"
        );
        assert_eq!(trusted_ns(u64::MAX, stamp), (stamp * 1_000_000, true));
    }

    #[test]
    fn an_absurd_time_as_sent_is_not_replaced() {
        let rows = RowConfig {
            slot_time: SlotTime::Start,
            ..RowConfig::default()
        };
        let sent = FlowCore {
            start_ns: u64::MAX,
            ..flow(1, 1)
        };
        let slot = flow_slot(&sent, 1_200_000_000 * SECOND_NS, &rows);
        assert_eq!(slot, u64::MAX / 1_000_000_000 / 300 * 300);
        assert_eq!(
            judge(&sent, slot, 1_200_000_000 * SECOND_NS, 0, &rows),
            Verdict::TooEarly
        );
    }

    #[test]
    fn far_slots_share_one_row() {
        let day = 86_400;
        let clock = 10 * day * SECOND_NS;
        let at = |slot: i64| counted_under(u64::try_from(slot).expect("positive"), clock);
        assert_eq!(at(9 * day), u64::try_from(9 * day).expect("positive"));
        assert_eq!(at(9 * day - 300), ELSEWHERE);
        assert_eq!(at(11 * day + 300), ELSEWHERE);
    }
}
