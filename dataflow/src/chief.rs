//! The chief: worker 0's loop body. Feeds the driver, opens ticks, hands checkpoints to the committer.
//!
//! Law 5: one checkpoint at a time, and only of a tick whose cuts are all known and whose segments are all durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flow_state::Checkpoint;

use crate::assemble::{Sealing, assemble};
use crate::committer::{Committer, Outcome};
use crate::config::broken;
use crate::crew::Lookouts;
use crate::crew::segments_named;
use crate::driver::{Driver, Ready, Turn};
use crate::failure::{Failure, JobError};
use crate::job::{Job, Ticks, groups_of};
use crate::lookout::{Found, Lookout};
use crate::restore::Start;
use crate::status::Waiting;
use crate::swaps::SwapLookout;
use crate::tick::{Report, Sealed};

/// What the dataflow has told worker 0 since its last turn.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) reports: Vec<Report>,
    pub(crate) reported_to: u64,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) sealed_to: u64,
    pub(crate) open_keys: BTreeMap<usize, u64>,
}

/// Worker 0's part of a job.
pub(crate) struct Chief {
    job: Job,
    driver: Driver,
    committer: Committer,
    /// The newest durable checkpoint.
    checkpoint: Arc<Checkpoint>,
    ticks: Option<Ticks>,
    committing: bool,
    lookouts: Lookouts,
    /// The last tick that each other process has told of.
    heard_of: BTreeMap<usize, u64>,
}

impl Chief {
    pub(crate) fn new(
        job: Job,
        mut driver: Driver,
        (committer, lookouts): (Committer, Lookouts),
        start: &Start,
        ticks: Ticks,
    ) -> Chief {
        driver.ledger.partial = start.partial.clone();
        Chief {
            job,
            driver,
            committer,
            checkpoint: Arc::clone(&start.base),
            ticks: Some(ticks),
            committing: false,
            lookouts,
            heard_of: BTreeMap::new(),
        }
    }

    fn now_millis(&self) -> u64 {
        (self.job.clock)() / 1_000_000
    }

    /// How long worker 0 may sleep.
    pub(crate) fn nap(&self) -> Duration {
        Duration::from_millis(self.driver.until_next_millis(self.now_millis()).max(1))
    }

    /// Between two steps of the worker.
    pub(crate) fn turn(&mut self, heard: &mut Heard, first_open: u64, failure: &Failure) {
        let now = self.now_millis();
        self.listen(heard, now, failure);
        if let Some(outcome) = self.committer.try_outcome() {
            self.committed(outcome, failure);
        }
        if let Some(ready) = self.ready(heard) {
            self.commit(ready, heard);
        }
        if self.driver.may_swap()
            && let Some(found) = self.lookouts.swaps.as_ref().and_then(SwapLookout::next)
        {
            self.driver.asked(found);
        }
        for found in self.lookouts.partitions.iter().flat_map(Lookout::news) {
            match found {
                Found::Partitions(count) => self.driver.found(count),
                Found::Earliest(earliest) => self.driver.ledger.forget_retirements(&earliest),
            }
        }
        if self.job.stop.load(Ordering::Acquire) {
            self.driver.stop();
        }
        match self.driver.turn(now, first_open) {
            Some(Turn::Open(tick)) => {
                if let Some(ticks) = &mut self.ticks {
                    ticks.advance_to(tick.n);
                    ticks.send(*tick);
                    ticks.flush();
                }
            }
            Some(Turn::Close) => self.ticks = None,
            None => {}
        }
        self.show(heard);
    }

    /// The dataflow is over: true once the last checkpoint is through, if one is under way.
    pub(crate) fn finish(&mut self, heard: &mut Heard, failure: &Failure) -> bool {
        self.listen(heard, self.now_millis(), failure);
        if let Some(outcome) = self.committer.try_outcome() {
            self.committed(outcome, failure);
        }
        if let Some(ready) = self.ready(heard) {
            self.commit(ready, heard);
        }
        self.show(heard);
        !self.committing
    }

    fn listen(&mut self, heard: &mut Heard, now: u64, failure: &Failure) {
        for report in heard.reports.drain(..) {
            match &report {
                Report::Followed {
                    process,
                    tick,
                    rows,
                    raw,
                } => {
                    self.job.acks.hear(*process, *rows, *raw);
                    self.heard_of.insert(*process, *tick);
                }
                Report::Failed { process } if *process != self.job.config.process => {
                    failure.set(JobError::failed(*process));
                }
                _ => {}
            }
            self.driver.report(report);
        }
        self.driver.reported_to(heard.reported_to, now);
    }

    fn ready(&mut self, heard: &Heard) -> Option<Ready> {
        if self.committing {
            None
        } else {
            self.driver.sealed_to(heard.sealed_to)
        }
    }

    fn commit(&mut self, ready: Ready, heard: &mut Heard) {
        let mut passed = self.job.acks.lowest();
        if broken!(self.job.config, FilesDroppedAtRetirement) {
            passed = u64::MAX;
        }
        let sealing = Sealing {
            old: &self.checkpoint,
            attempt: self.job.attempt,
            named: segments_named(&self.job, self.job.attempt),
            groups: groups_of(&mut heard.sealed, ready.tick.seal),
            rollups: self.job.config.rows.rollups,
            passed,
        };
        let checkpoint = assemble(ready, sealing);
        self.committing = true;
        self.committer.put(checkpoint);
    }

    fn committed(&mut self, outcome: Outcome, failure: &Failure) {
        self.committing = false;
        match outcome {
            Outcome::Durable(checkpoint) => {
                self.driver.durable(&checkpoint);
                self.swapped(&checkpoint);
                self.job
                    .metrics
                    .checkpoint
                    .set(i64::try_from(checkpoint.number).unwrap_or(i64::MAX));
                self.checkpoint = checkpoint;
            }
            Outcome::Lost(number) => {
                failure.set(JobError::Lost { number });
                let process = self.job.config.process;
                self.driver.report(Report::Failed { process });
            }
        }
    }

    /// Counts the requests for other tables that a checkpoint decides.
    fn swapped(&self, checkpoint: &Checkpoint) {
        let decided = self.checkpoint.swaps.decided;
        let outcomes = checkpoint.swaps.outcomes.iter();
        for outcome in outcomes.filter(|outcome| outcome.request > decided) {
            self.job.metrics.swap(outcome.result.is_ok(), 1);
        }
    }

    fn show(&self, heard: &Heard) {
        let ledger = &self.driver.ledger;
        let open_keys = heard.open_keys.values().sum();
        let metrics = &self.job.metrics;
        metrics
            .tick
            .set(i64::try_from(self.driver.tick()).unwrap_or(i64::MAX));
        let partitions = i64::try_from(ledger.positions.len());
        metrics.partitions.set(partitions.unwrap_or(i64::MAX));
        metrics
            .open_keys
            .set(i64::try_from(open_keys).unwrap_or(i64::MAX));
        let newest = ledger.timeline.versions.last();
        let version = newest.map_or(0, |(_, version)| version.number);
        metrics.table_version.set(version.into());
        let known = ledger.watermark_ns > i64::MIN;
        if known {
            metrics
                .watermark_secs
                .set(ledger.watermark_ns.div_euclid(1_000_000_000));
        }
        let waiting = if !ledger.all_read() {
            Waiting::Nothing
        } else if !known {
            Waiting::FirstRecord
        } else if let Some(end_secs) = self.driver.next_end() {
            Waiting::SlotCompletes(end_secs + self.job.config.emit_delay_secs)
        } else {
            Waiting::MoreRecords
        };
        self.job.status.show(|shown| {
            shown.watermark_ns = known.then_some(ledger.watermark_ns);
            shown.tick = self.driver.tick();
            shown.checkpoint = self.checkpoint.number;
            shown.open_keys = open_keys;
            shown.retired_secs = ledger.timeline.retired_secs;
            shown.waiting = waiting;
            shown.closing = self.ticks.is_none();
            shown.stopping = self.driver.stopping;
            shown.heard_of.clone_from(&self.heard_of);
            if shown.positions != ledger.positions {
                shown.positions.clone_from(&ledger.positions);
                shown.slots.clone_from(&ledger.slots);
            }
        });
    }
}
