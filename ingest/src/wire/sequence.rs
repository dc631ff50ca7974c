//! `Sequence`: what is missing, by the sequence numbers of an exporter's datagrams.
//!
//! UDP loses silently; the sequence number is the only witness. The unit is the protocol's: NetFlow v5 and
//! IPFIX count records, NetFlow v9 and sFlow count datagrams (wire formats differ, the arithmetic does not).
//! Law: a restart of the exporter is no loss, and a datagram that was only late is counted as such.

/// Backward steps up to here are late arrivals, unless the exporter's uptime went back as well.
const LATE_WINDOW: u32 = 1 << 16;
/// Forward steps from here on are another counter, no loss.
const JUMP: u32 = 1 << 28;
/// An uptime that goes back by more than this many milliseconds is a restart, less is reordering.
const RESTART_MS: u32 = 10_000;

/// Where an exporter's counter stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    expected: Option<u32>,
    uptime_ms: Option<u32>,
}

/// What one datagram's number says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) missing: u32,
    pub(crate) late: u32,
}

impl Sequence {
    /// A datagram numbered `number`, holding `units`, came from an exporter that is up for `uptime_ms`.
    /// `units` is `None` if the datagram could not be counted: then the next one starts anew.
    pub(crate) fn step(&mut self, number: u32, units: Option<u32>, uptime_ms: Option<u32>) -> Gap {
        let restarted = match (self.uptime_ms, uptime_ms) {
            (Some(before), Some(now)) => {
                let back = before.wrapping_sub(now);
                back > RESTART_MS && back < u32::MAX / 2
            }
            _ => false,
        };
        let next = units.map(|units| number.wrapping_add(units));
        let Some(expected) = self.expected.filter(|_| !restarted) else {
            (self.expected, self.uptime_ms) = (next, uptime_ms);
            return Gap::default();
        };
        let (ahead, behind) = (number.wrapping_sub(expected), expected.wrapping_sub(number));
        if behind != 0 && behind <= LATE_WINDOW {
            return Gap {
                missing: 0,
                late: units.unwrap_or(0).min(behind),
            };
        }
        (self.expected, self.uptime_ms) = (next, uptime_ms);
        Gap {
            missing: if ahead < JUMP { ahead } else { 0 },
            late: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(steps: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let mut sequence = Sequence::default();
        let mut step = |&(number, units): &(u32, u32)| {
            let gap = sequence.step(number, Some(units), None);
            (gap.missing, gap.late)
        };
        steps.iter().map(&mut step).collect()
    }

    #[test]
    fn gaps_late_ones_and_the_wrap() {
        assert_eq!(
            walk(&[(10, 5), (15, 5), (30, 5), (20, 10), (35, 1)]),
            [(0, 0), (0, 0), (10, 0), (0, 10), (0, 0)]
        );
        assert_eq!(walk(&[(u32::MAX, 1), (2, 1)]), [(0, 0), (2, 0)]);
    }

    #[test]
    fn a_restart_is_no_loss() {
        assert_eq!(
            walk(&[(1 << 20, 1), (0, 1), (1, 1)]),
            [(0, 0), (0, 0), (0, 0)]
        );
        let mut sequence = Sequence::default();
        sequence.step(500, Some(1), Some(1_000_000));
        assert_eq!(sequence.step(3, Some(1), Some(40)), Gap::default());
        assert_eq!(
            sequence.step(6, Some(1), Some(50)),
            Gap {
                missing: 2,
                late: 0
            }
        );
    }

    #[test]
    fn after_an_uncountable_datagram_it_starts_anew() {
        let mut sequence = Sequence::default();
        sequence.step(1, None, None);
        assert_eq!(sequence.step(90, Some(1), None), Gap::default());
    }
}
