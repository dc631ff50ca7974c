//! The simulator: the whole job, with its real operators, committer, writers and followers, in a world that is not real.
//!
//! Topic, state, stores, clock and network are simulated, under a schedule that a seed fixes: kills between any two steps,
//! sleepers that wake up, lost answers, stores that are away, two jobs on one state, replays that
//! replace slots meanwhile. What the stores hold is compared with
//! an oracle that shares no code with the job. It holds the job to the properties of its executable specification.
//! Room law: for tests only; knows all rooms, and no room knows it.

#![allow(
    clippy::expect_used,
    reason = "a part of the tests: what cannot be is a failed test"
)]

mod attempt;
mod chain;
// The binary's own: what a replay leaves, and what is recorded of it.
#[path = "../../src/replay/computed.rs"]
mod computed;
mod database;
mod dice;
mod found;
mod judge;
mod last;
mod mutant;
mod objects;
#[path = "../../dataflow/tests/oracle/mod.rs"]
mod oracle;
mod raw_database;
// The binary's own joint between job and stores: what it does is tried here, too.
#[path = "../../src/raw_topic.rs"]
mod raw_topic;
mod recorded;
mod records;
#[path = "../../src/replay/replacement.rs"]
mod replacement;
mod replacing;
mod replayer;
mod replays;
mod rest;
mod rows;
mod schedule;
mod scratch;
mod sim;
mod swapper;
mod tables;
mod topic;
mod worker;
mod world;

use flow_dataflow::JobConfig;

pub use judge::longer;
pub use mutant::Mutant;

/// What has come of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first law that was seen broken; `None`: all of them held.
    pub violation: Option<String>,
    /// Checkpoints that were put.
    pub checkpoints: u64,
    /// Starts of a job.
    pub attempts: u64,
    /// Starts of a replay.
    pub replays: u64,
    /// Swaps of tables while a job ran, among the last ones decided.
    pub swaps: u64,
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

/// Runs a seed in which replays have most of the time, with a breakage of what they and the stores do, if any.
#[must_use]
pub fn run_replays(seed: u64, traced: bool, mutant: Option<Mutant>) -> Outcome {
    let mut sim = sim::Sim::new(seed, traced, JobConfig::default());
    sim.at_length = true;
    if let Some(mutant) = mutant {
        sim.world.break_with(mutant);
    }
    go(sim)
}

fn go(mut sim: sim::Sim) -> Outcome {
    sim.live();
    let mut violation = sim.world.violation();
    if violation.is_none() {
        let rested = sim.rest().and_then(|()| sim.last());
        violation = rested.and_then(|()| sim.replay_at_rest()).err();
    }
    let violation = violation.or_else(|| sim.world.violation());
    let (trace, digest) = sim.world.told();
    Outcome {
        violation,
        checkpoints: sim.chain.newest().map_or(0, |newest| newest.number),
        attempts: sim.attempts,
        replays: sim.replayer_number,
        swaps: sim.swaps(),
        trace,
        digest,
    }
}
