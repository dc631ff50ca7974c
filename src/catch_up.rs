//! The end of the sinks: they catch up with the last checkpoint, within a limit of time, and are left where they are.
//!
//! Law 6: what a store lacks stays in the state and the topic, so that nothing is lost by leaving early; a supervisor
//! that has asked for the end kills what does not end in time, and what would then be killed is the job's last word.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use flow_sinks::SinkError;

use crate::failure::{Exit, Failure};

/// Without a signal, how long sinks may take; for a job that reads to the end, how long without writing a row.
const UNASKED: Duration = Duration::from_secs(60);
/// How long they may take once a signal has asked for the end; supervisors wait for 60 s.
pub(crate) const ASKED: Duration = Duration::from_secs(20);
/// How long a sink may take to hear that it is to stop; one that waits for a server hears nothing.
const HEARING: Duration = Duration::from_secs(5);
/// Between two looks at threads that end.
const LOOK: Duration = Duration::from_millis(50);

/// A sink's thread and the name of its store.
pub(crate) type Follower = (String, JoinHandle<Result<(), SinkError>>);

/// What the wait depends on, at one look.
pub(crate) struct Look {
    /// Rows and raw flows written so far.
    pub(crate) written: u64,
    /// A signal has asked for the end.
    pub(crate) asked: bool,
}

/// Waits until every sink has caught up, or its time is over. `extends`: what is written earns more time.
pub(crate) fn wait(followers: &[Follower], extends: bool, look: impl Fn() -> Look) {
    let mut patience = Patience {
        left: UNASKED,
        written: look().written,
        extends,
    };
    watch(followers, || patience.lasts(LOOK, &look()));
}

/// Joins those that end soon, after `Published::abandon`; the first error of all. One that does not is left to the end
/// of the process.
pub(crate) fn join(followers: Vec<Follower>) -> Result<Result<(), SinkError>, Failure> {
    let mut left = HEARING;
    watch(&followers, || {
        left = left.saturating_sub(LOOK);
        !left.is_zero()
    });
    let mut first = Ok(());
    for (name, thread) in followers {
        let result = if thread.is_finished() {
            let died = |_| Failure::new(Exit::Bug, "a thread of the job has died");
            thread.join().map_err(died)?
        } else {
            Err(SinkError::retry(format!(
                "sink {name}: still waits for a server; it is left where it stands, and the next start goes on from there"
            )))
        };
        first = first.and(result);
    }
    Ok(first)
}

/// Looks until all have ended, or `lasts` no longer does.
fn watch(followers: &[Follower], mut lasts: impl FnMut() -> bool) {
    while !followers.iter().all(|(_, thread)| thread.is_finished()) {
        thread::sleep(LOOK); // threads can't be joined with a limit of time
        if !lasts() {
            return;
        }
    }
}

/// How much longer to wait.
struct Patience {
    left: Duration,
    written: u64,
    extends: bool,
}

impl Patience {
    fn lasts(&mut self, passed: Duration, look: &Look) -> bool {
        if look.asked {
            self.left = self.left.min(ASKED);
        } else if self.extends && look.written > self.written {
            (self.left, self.written) = (UNASKED, look.written);
        }
        self.left = self.left.saturating_sub(passed);
        !self.left.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until patience ends; `look` is asked at every second.
    fn lasts(extends: bool, look: impl Fn(u64) -> (u64, bool)) -> u64 {
        let mut patience = Patience {
            left: UNASKED,
            written: 0,
            extends,
        };
        let second = Duration::from_secs(1);
        let ends = (1..1_000).find(|n| {
            let (written, asked) = look(*n);
            !patience.lasts(second, &Look { written, asked })
        });
        ends.unwrap_or(u64::MAX)
    }

    #[test]
    fn who_is_asked_to_end_does_so_soon_whatever_is_written() {
        assert_eq!(lasts(true, |n| (n, true)), 20);
        assert_eq!(lasts(true, |n| (n, n > 30)), 50);
        assert_eq!(lasts(false, |n| (0, n > 50)), 60);
    }

    #[test]
    fn rows_earn_more_time_only_where_all_is_to_be_read() {
        assert_eq!(lasts(true, |n| (n.min(100), false)), 159);
        assert_eq!(lasts(false, |n| (n, false)), 60);
    }

    #[test]
    fn a_sink_that_hears_nothing_is_left() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let deaf = thread::spawn(move || {
            held.recv()
                .map_err(|_| SinkError::retry("it has heard after all"))
        });
        let fine = thread::spawn(|| Ok(()));
        let followers = vec![("fine".to_owned(), fine), ("deaf".to_owned(), deaf)];
        let error = join(followers).expect("none died").expect_err("left");
        assert!(error.is_retry() && error.to_string().starts_with("sink deaf:"));
        drop(hold);
    }
}
