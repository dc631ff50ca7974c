//! How people write durations, sizes, times and listen addresses.
//!
//! `30s`, `5m`, `1h 30m`; `16KiB`, `64MB`, `4096`; RFC 3339 or `-2h`. Law: a bare number is refused where a unit is
//! needed, and no text is read in two ways.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A span of time of at least 1 ms: `500ms`, `30s`, `5m`, `2h 30m`, `1d` is refused (days vary).
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    span(text, "a duration", "500ms, 30s, 5m or 2h")
}

/// `what` and `examples` are for the message.
fn span(text: &str, what: &str, examples: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text
        .parse()
        .map_err(|_| format!("{what} has a unit: {examples}"))?;
    let positive = Duration::try_from(parsed).map_err(|_| format!("{what} is not negative"))?;
    if positive < Duration::from_millis(1) {
        return Err(format!("{what} is at least 1ms"));
    }
    Ok(positive)
}

/// An age of at least 1 ms, in whole days too: `7d` is seven times 24 hours.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    match text.strip_suffix('d').map(str::parse::<u32>) {
        Some(Ok(0)) => Err("an age in days is at least 1d".to_owned()),
        Some(Ok(days)) => Ok(Duration::from_secs(u64::from(days) * 86_400)),
        _ => span(text, "an age", "7d, 12h or 30m"),
    }
}

/// A number of bytes: `4096`, `16KiB`, `1MB`.
pub(crate) fn size_bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => {
            return Err(format!(
                "unknown unit {other}: use B, kB, MB, GB, KiB, MiB or GiB"
            ));
        }
    };
    let number: usize = digits
        .parse()
        .map_err(|_| "a size is a number with a unit, as 16KiB".to_owned())?;
    number
        .checked_mul(unit)
        .ok_or_else(|| "a size above what this machine can address".to_owned())
}

/// A point in time: given, or that long before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Nanoseconds since 1970, UTC.
    At(u64),
    /// Before the present.
    Ago(Duration),
}

impl When {
    /// Nanoseconds since 1970, UTC, given what the clock says.
    pub(crate) fn resolve_ns(self, now_ns: u64) -> u64 {
        match self {
            When::At(ns) => ns,
            When::Ago(span) => {
                now_ns.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
            }
        }
    }
}

/// RFC 3339 with an offset, or `-2h`.
pub(crate) fn when(text: &str) -> Result<When, String> {
    if let Some(span) = text.strip_prefix('-') {
        return duration(span).map(When::Ago);
    }
    let at: Timestamp = text
        .parse()
        .map_err(|_| "a time is RFC 3339, as 2026-01-31T12:00:00Z, or an age, as -2h".to_owned())?;
    u64::try_from(at.as_nanosecond())
        .map(When::At)
        .map_err(|_| "a time is between 1970 and 2554".to_owned())
}

/// `host:port`, `[::1]:port` or `:port` (all addresses, `any`).
pub(crate) fn address(text: &str, any: IpAddr) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix(':') {
        let port: u16 = port
            .parse()
            .map_err(|_| format!("{port} is no port number"))?;
        return Ok(SocketAddr::new(any, port));
    }
    text.to_socket_addrs()
        .map_err(|error| format!("{text} is no address with a port ({error})"))?
        .next()
        .ok_or_else(|| format!("{text} has no address"))
}

/// Where the HTTP server listens; `:8080` means loopback, since the page has no log-in.
pub(crate) fn http_address(text: &str) -> Result<SocketAddr, String> {
    address(text, IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("2h 30m"), Ok(Duration::from_secs(9000)));
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        for wrong in ["30", "", "s", "-5m", "0s", "five"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ages_may_be_days() {
        assert_eq!(age("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(age("12h"), Ok(Duration::from_secs(43_200)));
        for (wrong, says) in [
            ("7", "an age has a unit: 7d"),
            ("d", "an age has a unit: 7d"),
            ("1.5d", "an age has a unit: 7d"),
            ("0d", "an age in days is at least 1d"),
            ("0s", "an age is at least 1ms"),
            ("-1h", "an age is not negative"),
        ] {
            let error = age(wrong).expect_err(wrong);
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size_bytes("16KiB"), Ok(16384));
        assert_eq!(size_bytes("1 MB"), Ok(1_000_000));
        assert_eq!(size_bytes("7"), Ok(7));
        for wrong in [
            "",
            "KiB",
            "1.5MB",
            "1Kib",
            "99999999999999999999",
            "18446744073709551615KiB",
        ] {
            assert!(size_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_given_or_relative() {
        assert_eq!(when("1970-01-01T00:00:01.5Z"), Ok(When::At(1_500_000_000)));
        assert_eq!(when("1970-01-01T01:00:00+01:00"), Ok(When::At(0)));
        let ago = when("-2h").expect("an age");
        assert_eq!(ago.resolve_ns(7_200_000_000_001), 1);
        for wrong in ["2h", "yesterday", "1969-12-31T00:00:00Z", "2026-01-31"] {
            assert!(when(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(
            http_address(":80").map(|a| a.to_string()).as_deref(),
            Ok("127.0.0.1:80")
        );
        assert_eq!(
            http_address("[::1]:80").map(|a| a.to_string()).as_deref(),
            Ok("[::1]:80")
        );
        assert!(http_address("8080").is_err());
        assert!(http_address(":x").is_err());
    }
}
