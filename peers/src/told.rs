//! `Told`: which callers that were turned away are told of in the log.
//!
//! A process with a wrong token calls five times a second for as long as it is tried. Law 8: of one address and one reason
//! a line in `EVERY`, of all together `LINES`; what is remembered is bounded by the lines.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Lines in all.
const LINES: usize = 50;
/// Between two lines that say the same of the same address.
const EVERY: Duration = Duration::from_secs(10);

/// What was told, of whom.
#[derive(Debug, Default)]
pub(crate) struct Told {
    lines: usize,
    last: HashMap<(IpAddr, String), Last>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    /// Times since.
    unsaid: u64,
}

impl Told {
    /// One more caller was turned away. The answer: whether to say so, and how often it was not said since the last line.
    pub(crate) fn another(&mut self, from: IpAddr, why: &str, now: Instant) -> Option<u64> {
        let key = (from.to_canonical(), why.to_owned());
        if let Some(last) = self.last.get_mut(&key)
            && now.saturating_duration_since(last.at) < EVERY
        {
            last.unsaid += 1;
            return None;
        }
        if self.lines >= LINES {
            return None;
        }
        self.lines += 1;
        let last = Last { at: now, unsaid: 0 };
        let before = self.last.insert(key, last);
        Some(before.map_or(0, |before| before.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const TOKEN: &str = "it has another token";

    fn host(number: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, number).into()
    }

    #[test]
    fn the_same_of_one_address_is_told_every_ten_seconds() {
        let (mut told, begin) = (Told::default(), Instant::now());
        // Five times a second for half a minute.
        let mut lines = Vec::new();
        for fifth in 0..150 {
            let now = begin + Duration::from_millis(200 * fifth);
            lines.extend(told.another(host(1), TOKEN, now).map(|n| (fifth, n)));
        }
        assert_eq!(lines, [(0, 0), (50, 49), (100, 49)]);
        let now = begin + Duration::from_secs(30);
        assert_eq!(
            told.another(host(2), TOKEN, now),
            Some(0),
            "another address"
        );
        assert_eq!(
            told.another(host(1), "it has hung up", now),
            Some(0),
            "another reason"
        );
        assert_eq!(told.another(host(2), TOKEN, now), None);
    }

    #[test]
    fn lines_and_memory_are_bounded() {
        let (mut told, begin) = (Told::default(), Instant::now());
        let mut lines = 0;
        for second in 0..100_000_u64 {
            let now = begin + Duration::from_secs(second);
            let why = format!("reason {}", second % 1000);
            let told = told.another(host(second.to_le_bytes()[0]), &why, now);
            lines += usize::from(told.is_some());
        }
        assert_eq!((lines, told.lines), (LINES, LINES));
        assert!(told.last.len() <= LINES, "{}", told.last.len());
    }
}
