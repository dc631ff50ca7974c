//! Coming to rest: no more faults, everything arrives, sleepers wake up one after the other, and then one job is left.
//!
//! Law 7 and more: nothing waits for ever. So many rounds after the last fault everything is read, every slot is retired
//! and every follower stands at the newest checkpoint; a run that needs more has found a fault.

use crate::records::LAST_SECS;
use crate::sim::Sim;

/// Rounds in which every part of the job has a turn.
const ROUNDS: u32 = 600;
/// Turns that a sleeper has when it wakes up.
const SLEEPERS: u32 = 120;

impl Sim {
    /// Until everything rests; an error if it never does.
    pub(crate) fn rest(&mut self) -> Result<(), String> {
        let healed = self.chain.newest().map_or(0, |newest| newest.number);
        self.settle()?;
        // The last checkpoint of a job lets go of what every store has passed. One that was being stopped already has put it
        // before they had: then the next one does.
        for _ in 0..3 {
            if let Some(job) = self.jobs.first() {
                job.attempt.stop();
            }
            self.until("has stopped", |sim| sim.jobs.is_empty())?;
            self.start();
            self.until("is at rest again", Sim::is_at_rest)?;
            // Of one that was put before, the deletion may have failed.
            let last = self.chain.newest();
            if last.is_some_and(|last| last.number > healed && last.segments.is_empty()) {
                break;
            }
        }
        Ok(())
    }

    /// Nothing fails any more, and one job is left that has nothing to do.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.world.heal();
        self.world.say(|| "nothing fails any more".to_owned());
        self.all_come_back();
        self.topic.grow();
        while self.topic.arrive().is_some() {}
        self.world.pass_until_secs(LAST_SECS);
        while self.jobs.len() > 1 {
            self.sleeper();
        }
        self.until("is at rest", Sim::is_at_rest)?;
        self.end_replayers()
    }

    /// The first job wakes up beside its successors, does what it still can, and goes.
    fn sleeper(&mut self) {
        let number = self.jobs[0].attempt.number;
        for _ in 0..SLEEPERS {
            self.world.pass_millis(200);
            match self.jobs.first() {
                Some(job) if job.attempt.number == number => self.turn(0),
                _ => return,
            }
        }
        self.kill(0);
    }

    fn until(&mut self, what: &str, done: impl Fn(&Sim) -> bool) -> Result<(), String> {
        for _ in 0..ROUNDS {
            if let Some(violation) = self.world.violation() {
                return Err(violation);
            }
            if done(self) {
                return Ok(());
            }
            self.wake_the_overtaken();
            self.round();
        }
        Err(format!("waits for ever: never {what}: {}", self.stand()))
    }

    /// A sleeper may have put a checkpoint before it went. A job that has nothing to put itself never hears of it, and loses
    /// nothing by that; here it ends, so that another goes on from there.
    fn wake_the_overtaken(&self) {
        let (Some(job), Some(newest)) = (self.jobs.first(), self.chain.newest()) else {
            return;
        };
        if newest.attempt != job.attempt.number && newest.number > job.attempt.checkpoint() {
            job.attempt.stop();
        }
    }

    /// Where it stands, for whoever looks for the reason.
    fn stand(&self) -> String {
        let newest = self.chain.newest().map(|newest| {
            let cut: Vec<_> = newest.cut.values().map(|at| at.offset).collect();
            (newest.number, cut, newest.timeline.retired_secs)
        });
        let ends: Vec<_> = (0..self.topic.count())
            .map(|p| self.topic.records(p).len())
            .collect();
        let jobs: Vec<_> = self.jobs.iter().map(|job| job.attempt.describe()).collect();
        format!(
            "newest {newest:?}, ends {ends:?}, goal {}, {jobs:?}",
            self.goal()
        )
    }

    /// R that the last record brings.
    fn goal(&self) -> u64 {
        let goal = LAST_SECS - self.config.rows.lateness_secs;
        goal - goal % self.config.rows.window_secs
    }

    fn round(&mut self) {
        self.world.pass_millis(400);
        if self.jobs.is_empty() {
            self.start();
            return;
        }
        let attempt = &mut self.jobs[0].attempt;
        for (actor, _) in attempt.actors() {
            attempt.turn(actor, 3);
        }
        self.look();
    }

    /// Everything is read and retired, every request is decided, and every follower is there.
    fn is_at_rest(&self) -> bool {
        let Some(newest) = self.chain.newest() else {
            return false;
        };
        let read = (0..self.topic.count()).all(|p| {
            let at = newest.cut.get(&u32::try_from(p).unwrap_or(u32::MAX));
            at.map_or(0, |at| at.offset) == self.topic.records(p).len() as u64
        });
        let retired = newest.timeline.retired_secs >= self.goal();
        let decided = self.requests_are_decided();
        let job = self.jobs.first();
        read && retired && decided && job.is_some_and(|job| job.attempt.caught_up(newest.number))
    }
}
