//! The schedule: what happens next, step by step, while anything may fail.
//!
//! Kills fall between any two steps, jobs sleep and wake up beside their successors, stores and partitions go away and
//! come back, records arrive. Law 1: none of it may change a row.

use crate::sim::Sim;
use crate::tables;

impl Sim {
    /// So many steps as the seed wants.
    pub(crate) fn live(&mut self) {
        let most = if self.at_length { 100 } else { 1_000 };
        let steps = self.world.roll(|dice| 200 + dice.roll(most));
        self.start();
        for _ in 0..steps {
            self.step();
            if self.world.violation().is_some() {
                return;
            }
        }
    }

    pub(crate) fn step(&mut self) {
        let bad = self.world.badness();
        let millis = self.pace.millis;
        let pass = self.world.roll(|dice| dice.roll(millis));
        self.world.pass_millis(pass);
        let x = self.world.roll(|dice| dice.roll(1_000_000));
        // In a million steps, scaled by how bad this world is.
        let fault = |from: u64, to: u64| (from * bad..to * bad).contains(&x);
        if fault(0, 10) && !self.jobs.is_empty() {
            let which = self.any_job();
            self.kill(which);
        } else if fault(10, 20) && !self.jobs.is_empty() {
            let which = self.any_job();
            self.jobs[which].asleep = true;
        } else if fault(20, 45) && !self.jobs.is_empty() {
            let which = self.any_job();
            self.jobs[which].asleep = false;
        } else if fault(45, 55) && self.jobs.len() < 2 {
            self.start();
        } else if fault(55, 75) {
            self.turn_a_store();
        } else if fault(75, 90) {
            let partition = self.world.roll(|dice| dice.index(self.topic.count()));
            self.topic
                .reach(partition, !self.topic.is_reachable(partition));
        } else if fault(90, 95) && !self.jobs.is_empty() {
            let which = self.any_job();
            self.jobs[which].attempt.stop();
        } else if x < 100_000 {
            let which = self.world.roll(|dice| dice.index(self.databases.len()));
            self.databases[which].land();
        } else if x < 101_000 {
            self.tables = self.world.roll(|dice| dice.index(tables::sets().len()));
        } else if x < 103_000 {
            self.ask_for_tables();
        } else if x < 103_000 + self.pace.arrivals * 1_000 {
            self.arrive();
        } else if x < 103_000 + (self.pace.arrivals + self.replaying) * 1_000 {
            self.replayer_step();
        } else {
            self.job_step();
        }
    }

    fn any_job(&self) -> usize {
        self.world.roll(|dice| dice.index(self.jobs.len()))
    }

    /// A store goes away or comes back.
    fn turn_a_store(&self) {
        let (rows, raw) = (self.databases.len(), self.raw_databases.len());
        let which = self.world.roll(|dice| dice.index(rows + raw));
        match which.checked_sub(rows) {
            None => self.databases[which].stand(self.databases[which].is_down()),
            Some(raw) => self.raw_databases[raw].stand(self.raw_databases[raw].is_down()),
        }
    }

    /// The next record arrives.
    pub(crate) fn arrive(&mut self) {
        if let Some((secs, partition)) = self.topic.arrive() {
            self.world.pass_until_secs(secs);
            self.world
                .say(|| format!("a record arrives in partition {partition}"));
        }
    }

    fn job_step(&mut self) {
        let awake: Vec<usize> = (0..self.jobs.len())
            .filter(|i| !self.jobs[*i].asleep)
            .collect();
        if awake.is_empty() {
            if self.jobs.is_empty() && self.world.fails(100) {
                self.lose_a_checkpoint();
            }
            self.start();
            // Whoever can't start waits until something has changed.
            if self.jobs.iter().all(|job| job.asleep) {
                let partition = self.world.roll(|dice| dice.index(self.topic.count()));
                self.topic.reach(partition, true);
            }
            return;
        }
        let which = self.world.roll(|dice| dice.pick(&awake));
        self.turn(which);
    }

    /// One turn of one of a job's parts.
    pub(crate) fn turn(&mut self, which: usize) {
        let attempt = &mut self.jobs[which].attempt;
        let actors = attempt.actors();
        let all: u64 = actors.iter().map(|(_, weight)| weight).sum();
        let (mut place, turns) = self
            .world
            .roll(|dice| (dice.roll(all), dice.pick(&[1, 1, 2, 4, 8])));
        let chosen = actors.iter().find(|(_, weight)| {
            let here = place < *weight;
            place = place.saturating_sub(*weight);
            here
        });
        let Some((actor, _)) = chosen.copied() else {
            return;
        };
        attempt.turn(actor, turns);
        self.look();
    }
}
