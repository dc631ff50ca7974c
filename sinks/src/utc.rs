//! Times as people read them.
//!
//! Law: UTC, in the form of RFC 3339.

/// A time in whole seconds since 1970; the number itself if no calendar has it.
pub(crate) fn utc(secs: u64) -> String {
    time(secs).unwrap_or_else(|| secs.to_string())
}

/// As `utc`; `None` if no calendar has it.
pub(crate) fn time(secs: u64) -> Option<String> {
    let secs = i64::try_from(secs).ok()?;
    let time = jiff::Timestamp::from_second(secs).ok()?;
    Some(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_text() {
        assert_eq!(utc(1_795_699_800), "2026-11-26T13:30:00Z");
        assert_eq!(utc(u64::MAX), u64::MAX.to_string());
    }
}
