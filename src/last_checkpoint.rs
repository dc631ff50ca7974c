//! The end's wait for the last checkpoint: it has a limit of time, as the stores have that follow it.
//!
//! A state that cannot be written is tried again without end while the job runs; a job that was told to end has no time for that.
//! Law 5: what is in no checkpoint is still in the topic, so nothing is lost by leaving early.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use flow_dataflow::{Snapshot, Undone};

use crate::catch_up::ASKED;
use crate::failure::{Exit, Failure};

/// How long the end may take while the state does what it is asked, slowly; supervisors wait for 60 s.
const SLOWLY: Duration = Duration::from_secs(45);
/// The state has not answered for as long: it will not do so soon.
const SILENT: Duration = Duration::from_secs(15);
/// After this the log says what the end waits for.
const TOLD: Duration = Duration::from_secs(2);

/// What one request to the state is known by: what, of which checkpoint, at which try.
type Request = (&'static str, u64, u64);

/// How long the end has been waited for.
#[derive(Debug, Default)]
struct Wait {
    passed: Duration,
    /// The oldest request, and for how long it has been under way.
    still: Option<(Request, Duration)>,
    told: bool,
}

/// What a look has come to.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// To be told, once.
    Waits,
    /// The time is over.
    Over,
}

impl Wait {
    /// Some time has passed since the last look at a job that is to end.
    fn look(&mut self, look: &Snapshot, passed: Duration) -> Seen {
        self.passed += passed;
        let request = first(look).map(|(what, undone)| (what, undone.checkpoint, undone.failed));
        self.still = match (request, self.still) {
            (Some(now), Some((before, since))) if now == before => Some((now, since + passed)),
            (now, _) => now.map(|now| (now, Duration::ZERO)),
        };
        let fails = self.still.is_some_and(|((.., failed), _)| failed > 0);
        let silent = |limit| self.still.is_some_and(|(_, since)| since >= limit);
        let limit = match fails || silent(SILENT) {
            true => ASKED,
            false => SLOWLY,
        };
        if self.passed >= limit {
            return Seen::Over;
        }
        if !self.told && (fails || silent(TOLD)) {
            self.told = true;
            return Seen::Waits;
        }
        Seen::Nothing
    }
}

/// What the state was asked and has not done: rather that which has failed.
fn first(look: &Snapshot) -> Option<(&'static str, &Undone)> {
    let all = || look.undone.iter().map(|(what, undone)| (*what, undone));
    all().find(|(_, undone)| undone.failed > 0).or(all().next())
}

/// Waits for the last checkpoint of a job.
#[derive(Debug)]
pub(crate) struct LastCheckpoint {
    /// Where the state stands.
    place: PathBuf,
    /// The number of this process.
    process: usize,
    wait: Mutex<(Wait, Option<Instant>)>,
}

impl LastCheckpoint {
    pub(crate) fn new(place: &Path, process: usize) -> LastCheckpoint {
        LastCheckpoint {
            place: place.to_owned(),
            process,
            wait: Mutex::default(),
        }
    }

    /// A look at a job that was told to end and has not; true when its time is over.
    pub(crate) fn is_given_up(&self, look: &Snapshot) -> bool {
        let mut locked = self.wait.lock().unwrap_or_else(PoisonError::into_inner);
        let (wait, last) = &mut *locked;
        let now = Instant::now();
        let passed = last.replace(now).map_or(Duration::ZERO, |last| now - last);
        let seen = wait.look(look, passed);
        if seen == Seen::Waits {
            let why = self.why(look).0;
            let most = ASKED.as_secs();
            tracing::warn!("the end waits for the last checkpoint, for {most} s at most: {why}");
        }
        seen == Seen::Over
    }

    /// Why the process ends without it; `durable`: the newest checkpoint there is.
    pub(crate) fn failure(&self, look: &Snapshot, durable: Option<u64>) -> Failure {
        let wait = self.wait.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = wait.0.passed.as_secs();
        drop(wait);
        let (why, exit) = self.why(look);
        let on = match durable {
            Some(number) => format!("goes on from checkpoint {number}"),
            None => "begins anew".to_owned(),
        };
        Failure::new(
            exit,
            format!(
                "the last checkpoint could not be written within {seconds} s: {why}; nothing is lost, and the next start {on}"
            ),
        )
    }

    /// What is waited for, and the exit code that it has.
    fn why(&self, look: &Snapshot) -> (String, Exit) {
        let place = self.place.display();
        let Some((what, undone)) = first(look) else {
            return match self.process {
                0 => {
                    let who = "the topic, or another process of the job, does not answer";
                    (format!("{who} (state {place})"), Exit::Unavailable)
                }
                _ => {
                    let why = format!("process 0 has not come to it (state {place})");
                    (why, Exit::PeerLost)
                }
            };
        };
        if let Some(error) = &undone.error {
            let failure = Failure::from(error.as_ref());
            return (failure.line(), failure.exit());
        }
        let number = undone.checkpoint;
        let why = format!("state {place}: no answer yet ({what}, checkpoint {number})");
        (why, Exit::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use flow_state::StateError;

    const SECOND: Duration = Duration::from_secs(1);

    fn undone(checkpoint: u64, failed: u64) -> Snapshot {
        let path = PathBuf::from("/state/segments/8");
        let error = (failed > 0).then(|| Arc::new(StateError::Missing { path }));
        let undone = Undone {
            checkpoint,
            failed,
            error,
        };
        Snapshot {
            undone: [("segment", undone)].into(),
            ..Snapshot::default()
        }
    }

    /// Seconds until it is told, and until it is over.
    fn lasts(look: impl Fn(u64) -> Snapshot) -> (Option<u64>, Option<u64>) {
        let (mut wait, mut told) = (Wait::default(), None);
        for second in 1..100 {
            match wait.look(&look(second), SECOND) {
                Seen::Nothing => {}
                Seen::Waits => assert_eq!(told.replace(second), None, "once"),
                Seen::Over => return (told, Some(second)),
            }
        }
        (told, None)
    }

    #[test]
    fn a_state_that_fails_is_told_at_once_and_given_20_s() {
        assert_eq!(lasts(|n| undone(8, 2 * n)), (Some(1), Some(20)));
        // It fails at last: there is no more time.
        assert_eq!(lasts(|n| undone(8 + n.min(30), n / 30)), (None, Some(30)));
    }

    #[test]
    fn one_that_does_not_answer_has_20_s_and_one_that_is_slow_more() {
        assert_eq!(lasts(|_| undone(8, 0)), (Some(3), Some(20)));
        assert_eq!(lasts(|n| undone(n, 0)), (None, Some(45)));
        assert_eq!(lasts(|_| Snapshot::default()), (None, Some(45)));
    }

    #[test]
    fn the_line_says_where_why_and_from_where_the_next_start_goes_on() {
        let last = LastCheckpoint::new(Path::new("/state"), 0);
        assert!(!last.is_given_up(&undone(8, 1)));
        let line = last.failure(&undone(8, 1), Some(7)).line();
        assert!(line.contains("/state/segments/8: missing"), "{line}");
        assert!(line.ends_with("goes on from checkpoint 7"), "{line}");
        let silent = last.failure(&undone(8, 0), None);
        assert_eq!(silent.exit(), Exit::Unavailable);
        let line = silent.line();
        assert!(line.contains("state /state: no answer yet"), "{line}");
        assert!(line.ends_with("the next start begins anew"), "{line}");
    }
}
