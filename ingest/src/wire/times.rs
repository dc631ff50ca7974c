//! Times of flow records: from every way an exporter may write them to ns since 1970, UTC.
//!
//! Exporters send seconds, milliseconds, NTP fractions, microseconds before export, or milliseconds of their
//! own uptime, which wraps every 49.7 days. Differences of uptimes are signed 32-bit: a flow that seems to
//! start a little after the export is clock skew, not 49 days ago.
//! Law: of several times of one flow the most exact absolute one wins, whatever their order.

/// Seconds from 1900 to 1970.
const NTP_EPOCH_SECS: u64 = 2_208_988_800;
const SECOND_NS: u64 = 1_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;
/// Times by uptime are kept within this far before the export …
const OLDEST_NS: u64 = 86_400 * SECOND_NS;
/// … and this far after it.
const NEWEST_NS: u64 = 3_600 * SECOND_NS;

/// How a time is written; the later, the more exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimeUnit {
    /// Not given.
    #[default]
    None,
    /// Milliseconds of the exporter's uptime (IE 21, 22).
    Uptime,
    /// Microseconds before the export (IE 158, 159).
    BeforeExport,
    /// Seconds since 1970 (IE 150, 151, 322).
    Seconds,
    /// Milliseconds since 1970 (IE 152, 153, 323).
    Milliseconds,
    /// NTP timestamp (IE 154-157, 324, 325; RFC 7011 6.1.9, 6.1.10).
    Ntp,
}

/// One time as sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Time {
    unit: TimeUnit,
    value: u64,
}

impl Time {
    /// Takes the value if it is more exact than what was there. An absolute time of 0 is none.
    pub(crate) fn offer(&mut self, unit: TimeUnit, value: u64) {
        let absent = value == 0 && unit > TimeUnit::BeforeExport;
        if unit >= self.unit && !absent {
            *self = Time { unit, value };
        }
    }
}

/// The clocks of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Export {
    /// Export time: ns since 1970.
    pub(crate) export_ns: u64,
    /// The exporter's uptime at that time, milliseconds, modulo 2^32; `None` if not told.
    pub(crate) uptime_ms: Option<u32>,
}

impl Export {
    /// A time of a record: ns since 1970, and whether it had to be clamped. `None` if it cannot be known.
    pub(crate) fn resolve(&self, time: Time) -> Option<(u64, bool)> {
        let ns = match time.unit {
            TimeUnit::None => return None,
            TimeUnit::Uptime => return Some(self.at_uptime(self.uptime_ms?, time.value)),
            TimeUnit::BeforeExport => self
                .export_ns
                .saturating_sub(time.value.saturating_mul(1_000)),
            TimeUnit::Seconds => time.value.saturating_mul(SECOND_NS),
            TimeUnit::Milliseconds => time.value.saturating_mul(MILLISECOND_NS),
            TimeUnit::Ntp => ntp(time.value),
        };
        Some((ns, false))
    }

    fn at_uptime(&self, uptime_ms: u32, then_ms: u64) -> (u64, bool) {
        let then_ms = modulo_2_32(then_ms);
        let ns = before(self.export_ns, uptime_ms, then_ms);
        let oldest = self.export_ns.saturating_sub(OLDEST_NS);
        let clamped = ns.clamp(oldest, self.export_ns.saturating_add(NEWEST_NS));
        (clamped, clamped != ns)
    }

    /// The uptime of an exporter that started at `start_ms` (ms since 1970; IE 160), as in NetFlow.
    pub(crate) fn uptime_since(&self, start_ms: u64) -> u32 {
        modulo_2_32((self.export_ns / MILLISECOND_NS).wrapping_sub(start_ms))
    }
}

/// `at_ns`, when the uptime was `uptime_ms`, moved back to when it was `then_ms`; a signed difference.
pub(crate) fn before(at_ns: u64, uptime_ms: u32, then_ms: u32) -> u64 {
    let ago_ms = i64::from(uptime_ms.wrapping_sub(then_ms).cast_signed());
    at_ns.saturating_add_signed(-ago_ms * 1_000_000)
}

/// ns since 1970 of a NetFlow or IPFIX header's seconds.
pub(crate) fn seconds(secs: u32) -> u64 {
    u64::from(secs) * SECOND_NS
}

fn modulo_2_32(value: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = value.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// NTP counts seconds from 1900 in 32 bits; below 1970 it is the era that begins in 2036.
fn ntp(value: u64) -> u64 {
    let (secs, fraction) = (value >> 32, value & 0xffff_ffff);
    let since_1970 = match secs.checked_sub(NTP_EPOCH_SECS) {
        Some(secs) => secs,
        None => secs + (1 << 32) - NTP_EPOCH_SECS,
    };
    // Rounded: the fraction's unit is a quarter of a nanosecond.
    since_1970 * SECOND_NS + ((fraction * SECOND_NS + (1 << 31)) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: Export = Export {
        export_ns: 1_700_000_000 * SECOND_NS,
        uptime_ms: Some(5_000),
    };

    fn resolved(unit: TimeUnit, value: u64) -> Option<(u64, bool)> {
        let mut time = Time::default();
        time.offer(unit, value);
        EXPORT.resolve(time)
    }

    #[test]
    fn uptimes_wrap_and_skew() {
        assert_eq!(
            resolved(TimeUnit::Uptime, 4_000),
            Some((1_699_999_999 * SECOND_NS, false))
        );
        // Before the wrap, 10 s ago.
        assert_eq!(
            resolved(TimeUnit::Uptime, (1 << 32) - 5_000),
            Some((1_699_999_990 * SECOND_NS, false))
        );
        // One second in the future, not 49.7 days in the past.
        assert_eq!(
            resolved(TimeUnit::Uptime, 6_000),
            Some((1_700_000_001 * SECOND_NS, false))
        );
        // Two days are out of reason.
        let two_days_ago = 5_000_u32.wrapping_sub(2 * 86_400_000);
        assert_eq!(
            resolved(TimeUnit::Uptime, u64::from(two_days_ago)),
            Some((EXPORT.export_ns - OLDEST_NS, true))
        );
    }

    #[test]
    fn absolute_times() {
        assert_eq!(resolved(TimeUnit::Seconds, 7), Some((7_000_000_000, false)));
        assert_eq!(
            resolved(TimeUnit::Milliseconds, 7),
            Some((7_000_000, false))
        );
        assert_eq!(
            resolved(TimeUnit::BeforeExport, 1_000_000),
            Some((1_699_999_999 * SECOND_NS, false))
        );
        assert_eq!(
            resolved(TimeUnit::Ntp, (NTP_EPOCH_SECS + 1) << 32 | 0x8000_0000),
            Some((1_500_000_000, false))
        );
        // 2036-02-07T06:28:17Z, one second into the next era.
        assert_eq!(
            resolved(TimeUnit::Ntp, 1 << 32),
            Some((2_085_978_497 * SECOND_NS, false))
        );
        assert_eq!(resolved(TimeUnit::Seconds, 0), None);
    }

    #[test]
    fn the_most_exact_wins() {
        let mut time = Time::default();
        time.offer(TimeUnit::Milliseconds, 1_500);
        time.offer(TimeUnit::Seconds, 1);
        time.offer(TimeUnit::Uptime, 1);
        assert_eq!(EXPORT.resolve(time), Some((1_500_000_000, false)));
    }

    #[test]
    fn an_uptime_from_the_start_time() {
        assert_eq!(EXPORT.uptime_since(1_700_000_000_000 - 5_000), 5_000);
    }
}
