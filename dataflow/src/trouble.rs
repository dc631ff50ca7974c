//! Writes to the state that fail, told of without a flood: a full disk fails twice a second for as long as it is full.
//!
//! Law 8: log lines are bounded. Every failed try is counted, the first and each twentieth is told, and so is the end.
//! What is under way stands in the status, too, for whoever waits for the job's end.

use std::sync::Arc;

use flow_state::StateError;
use prometheus_client::metrics::counter::Counter;

use crate::status::Status;

/// Of so many tries one is told: with the pause between two, one in 10 s.
const TOLD: u64 = 20;

/// The tries of one kind of object.
pub(crate) struct Trouble {
    what: &'static str,
    tries: u64,
    failed: Counter,
    status: Arc<Status>,
}

impl Trouble {
    /// `what`: as in "segment"; `failed` counts the tries.
    pub(crate) fn new(what: &'static str, failed: Counter, status: Arc<Status>) -> Trouble {
        Trouble {
            what,
            tries: 0,
            failed,
            status,
        }
    }

    /// A try begins, for this checkpoint.
    pub(crate) fn begins(&self, checkpoint: u64) {
        self.status.asked(self.what, checkpoint);
    }

    /// A try has failed; the next one follows.
    pub(crate) fn failed(&mut self, error: StateError, checkpoint: u64) {
        if self.is_told() {
            let what = self.what;
            tracing::error!(%error, checkpoint, "{what} not written, trying again; the flow goes on until its sources' bound");
        }
        self.tries += 1;
        self.failed.inc();
        self.status.failed(self.what, error);
    }

    /// A try has succeeded.
    pub(crate) fn over(&mut self, checkpoint: u64) {
        if self.tries > 0 {
            let (what, tries) = (self.what, self.tries);
            tracing::warn!(checkpoint, tries, "{what} written again");
        }
        self.tries = 0;
        self.status.answered(self.what);
    }

    fn is_told(&self) -> bool {
        self.tries.is_multiple_of(TOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn all_are_counted_and_few_are_told() {
        let counter = Counter::default();
        let mut trouble = Trouble::new("segment", counter.clone(), Arc::default());
        let error = || StateError::Missing {
            path: PathBuf::from("gone"),
        };
        for round in 0..2 {
            let mut told = 0;
            for _ in 0..100 {
                told += u64::from(trouble.is_told());
                trouble.failed(error(), 1);
            }
            assert_eq!((told, counter.get()), (5, 100 * (round + 1)));
            trouble.over(1);
        }
    }
}
