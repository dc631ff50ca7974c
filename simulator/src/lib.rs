//! The simulator: the whole job, with its real operators, committer, writers and followers, in a world that is not real.
//!
//! Topic, state, stores, clock and network are simulated, under a schedule that a seed fixes: kills between any two steps,
//! sleepers that wake up, lost answers, stores that are away, two jobs on one state. What the stores hold is compared with
//! an oracle that shares no code with the job. It holds the job to the properties of its executable specification.
//! Room law: for tests only; knows all rooms, and no room knows it.

#![allow(
    clippy::expect_used,
    reason = "a part of the tests: what cannot be is a failed test"
)]

mod attempt;
mod chain;
mod database;
mod dice;
mod judge;
mod last;
mod objects;
#[path = "../../dataflow/tests/oracle/mod.rs"]
mod oracle;
mod raw_database;
// The binary's own joint between job and stores: what it does is tried here, too.
#[path = "../../src/raw_topic.rs"]
mod raw_topic;
mod records;
mod rest;
mod rows;
mod schedule;
mod sim;
mod tables;
mod topic;
mod worker;
mod world;

use flow_dataflow::JobConfig;

/// What has come of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first law that was seen broken; `None`: all of them held.
    pub violation: Option<String>,
    /// Checkpoints that were put.
    pub checkpoints: u64,
    /// Starts of a job.
    pub attempts: u64,
    /// What has happened, line by line, if it was asked for.
    pub trace: Vec<String>,
    /// Of all lines, kept or not: two runs with one digest went the same way.
    pub digest: u64,
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, traced: bool, config: JobConfig) -> Outcome {
    go(sim::Sim::new(seed, traced, config))
}

/// Runs a seed with a breakage of what followers do.
#[cfg(feature = "mutants")]
#[must_use]
pub fn run_broken(seed: u64, mutant: flow_sinks::Mutant) -> Outcome {
    let mut sim = sim::Sim::new(seed, false, JobConfig::default());
    sim.mutant = Some(mutant);
    go(sim)
}

fn go(mut sim: sim::Sim) -> Outcome {
    sim.live();
    let mut violation = sim.world.violation();
    if violation.is_none() {
        violation = sim.rest().and_then(|()| sim.last()).err();
    }
    let violation = violation.or_else(|| sim.world.violation());
    let (trace, digest) = sim.world.told();
    Outcome {
        violation,
        checkpoints: sim.chain.newest().map_or(0, |newest| newest.number),
        attempts: sim.attempts,
        trace,
        digest,
    }
}
