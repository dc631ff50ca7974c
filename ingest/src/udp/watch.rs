//! Says when nothing arrives, or nothing that can be decoded.
//!
//! "No flows" has two usual causes that no error shows: the exporter sends elsewhere, or it sends data whose
//! template has not come yet. Law: said after ten seconds, then once a minute while it lasts, by the time that
//! is passed in.

use std::fmt;

const PATIENCE_NS: u64 = 10_000_000_000;
const REPEAT_NS: u64 = 60_000_000_000;

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// No datagram arrived.
    Silence {
        /// For how long.
        seconds: u64,
    },
    /// Datagrams arrive, no flow comes out, and data sets wait for their template.
    Waiting {
        /// For how long.
        seconds: u64,
        /// Data sets left undecoded in that time.
        sets: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Silence { seconds } => write!(f, "no datagram for {seconds} s"),
            Notice::Waiting { seconds, sets } => write!(
                f,
                "no flow for {seconds} s: {sets} data sets wait for their template, which exporters send every \
                 few minutes"
            ),
        }
    }
}

/// What is known of the last seconds.
#[derive(Debug)]
pub(super) struct Watch {
    datagram_ns: u64,
    flow_ns: u64,
    waiting_sets: u64,
    said_ns: Option<u64>,
}

impl Watch {
    /// Starts to count at `now_ns`.
    pub(super) fn new(now_ns: u64) -> Watch {
        Watch {
            datagram_ns: now_ns,
            flow_ns: now_ns,
            waiting_sets: 0,
            said_ns: None,
        }
    }

    /// Datagrams were decoded into `flows`, leaving `waiting` sets.
    pub(super) fn decoded(&mut self, now_ns: u64, flows: u64, waiting: u64) {
        // Talk again at once if the trouble is another one.
        if now_ns.saturating_sub(self.datagram_ns) >= PATIENCE_NS {
            self.said_ns = None;
        }
        self.datagram_ns = now_ns;
        if flows > 0 {
            self.flow_ns = now_ns;
            self.waiting_sets = 0;
            self.said_ns = None;
        }
        self.waiting_sets += waiting;
    }

    /// What is to be said now.
    pub(super) fn notice(&mut self, now_ns: u64) -> Option<Notice> {
        if self
            .said_ns
            .is_some_and(|said| now_ns.saturating_sub(said) < REPEAT_NS)
        {
            return None;
        }
        let silent_ns = now_ns.saturating_sub(self.datagram_ns);
        let barren_ns = now_ns.saturating_sub(self.flow_ns);
        let notice = if silent_ns >= PATIENCE_NS {
            Notice::Silence {
                seconds: silent_ns / 1_000_000_000,
            }
        } else if barren_ns >= PATIENCE_NS && self.waiting_sets > 0 {
            Notice::Waiting {
                seconds: barren_ns / 1_000_000_000,
                sets: self.waiting_sets,
            }
        } else {
            return None;
        };
        self.said_ns = Some(now_ns);
        Some(notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    /// Steps of a second from 1 on; what was said when.
    fn said(
        mut watch: Watch,
        until: u64,
        datagram: impl Fn(u64) -> Option<(u64, u64)>,
    ) -> Vec<(u64, Notice)> {
        let mut all = Vec::new();
        for second in 1..=until {
            if let Some((flows, waiting)) = datagram(second) {
                watch.decoded(second * S, flows, waiting);
            }
            all.extend(watch.notice(second * S).map(|notice| (second, notice)));
        }
        all
    }

    #[test]
    fn silence_is_told_after_ten_seconds_and_then_each_minute() {
        let all = said(Watch::new(0), 140, |_| None);
        let silence = |seconds| (seconds, Notice::Silence { seconds });
        assert_eq!(all, [silence(10), silence(70), silence(130)]);
    }

    #[test]
    fn flows_keep_it_quiet_and_counter_samples_too() {
        assert_eq!(
            said(Watch::new(0), 100, |s| (s % 9 == 0).then_some((1, 0))),
            []
        );
        assert_eq!(said(Watch::new(0), 100, |_| Some((0, 0))), []);
    }

    #[test]
    fn waiting_for_templates_is_told() {
        let all = said(Watch::new(0), 30, |s| {
            Some((u64::from(s > 12), u64::from(s <= 12) * 2))
        });
        assert_eq!(
            all,
            [(
                10,
                Notice::Waiting {
                    seconds: 10,
                    sets: 20
                }
            )]
        );
    }

    #[test]
    fn another_trouble_is_told_at_once() {
        let all = said(Watch::new(0), 26, |s| (s > 15).then_some((0, 1)));
        assert_eq!(
            all,
            [
                (10, Notice::Silence { seconds: 10 }),
                (
                    16,
                    Notice::Waiting {
                        seconds: 16,
                        sets: 1
                    }
                )
            ]
        );
    }
}
