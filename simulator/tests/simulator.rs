//! Thousands of seeds through the simulator: all laws hold in each, a seed replays exactly, and every deliberate breakage
//! is caught.
//!
//! `FLOW_PIPELINE_SEEDS` and `FLOW_PIPELINE_FIRST_SEED` choose other seeds; `FLOW_PIPELINE_TRACE=1` prints what happens.

#![allow(clippy::print_stdout, reason = "a test's output")]

use flow_dataflow::JobConfig;
use flow_simulator::{Mutant, Outcome, longer, run, run_replays};

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Runs so many seeds, tells of each that is broken how to run it again, and fails if there is one.
fn all_hold(test: &str, seeds: u64, run: impl Fn(u64, bool) -> Outcome) {
    let first = number("FLOW_PIPELINE_FIRST_SEED", 1);
    let seeds = number("FLOW_PIPELINE_SEEDS", seeds);
    let traced = number("FLOW_PIPELINE_TRACE", 0) > 0;
    let (mut checkpoints, mut attempts, mut replays, mut swaps, mut broken) =
        (0, 0, 0, 0, Vec::new());
    for seed in first..first + seeds {
        let outcome = run(seed, traced);
        checkpoints += outcome.checkpoints;
        attempts += outcome.attempts;
        replays += outcome.replays;
        swaps += outcome.swaps;
        outcome.trace.iter().for_each(|line| println!("{line}"));
        if let Some(what) = outcome.violation {
            println!(
                "seed {seed}: {what}\n  again: FLOW_PIPELINE_FIRST_SEED={seed} FLOW_PIPELINE_SEEDS=1 \
                 FLOW_PIPELINE_TRACE=1 cargo test --release --workspace --locked --test simulator {test} -- --nocapture"
            );
            broken.push(seed);
        }
    }
    println!(
        "{seeds} seeds from {first}: {checkpoints} checkpoints, {attempts} starts, {replays} replays, {swaps} swaps"
    );
    assert!(broken.is_empty(), "seeds {broken:?}");
}

#[test]
fn every_law_holds_in_every_seed() {
    let run = |seed, traced| run(seed, traced, JobConfig::default());
    all_hold("every_law", 1_500, run);
}

/// Longer slots hold what the slots within them hold, at every checkpoint, whoever is killed when.
#[test]
fn longer_slots_follow_in_every_seed() {
    let run = |seed, traced| {
        let mut config = JobConfig::default();
        config.rows.rollups = longer();
        run(seed, traced, config)
    };
    all_hold("longer_slots", 500, run);
}

#[test]
fn replays_disturb_nobody() {
    all_hold("replays_disturb", 100, |seed, traced| {
        run_replays(seed, traced, None)
    });
}

#[test]
fn a_seed_replays_exactly() {
    let all = (1..40).map(|seed| (seed, false));
    for (seed, replays) in all.chain((1..8).map(|seed| (seed, true))) {
        let run = || match replays {
            true => run_replays(seed, true, None),
            false => run(seed, true, JobConfig::default()),
        };
        let (one, other) = (run(), run());
        let differs = one.trace.iter().zip(&other.trace).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}, {replays}");
        assert_eq!(one, other, "seed {seed}, {replays}");
    }
}

/// Whether a breakage is seen within so many seeds.
fn caught(name: &str, run: impl Fn(u64) -> Outcome) -> bool {
    let seeds = number("FLOW_PIPELINE_SEEDS", 4_000);
    let seen = (1..=seeds).find_map(|seed| run(seed).violation.map(|what| (seed, what)));
    match &seen {
        Some((seed, what)) => {
            let short: String = what.chars().take(160).collect();
            println!("{name}: caught by seed {seed}: {short}");
        }
        None => println!("{name}: SURVIVES {seeds} seeds"),
    }
    seen.is_some()
}

/// Negative controls of replays.
#[test]
fn every_mutant_of_a_replay_is_caught() {
    let survives = |mutant: &Mutant| {
        let run = |seed| run_replays(seed, false, Some(*mutant));
        !caught(&format!("{mutant:?}"), run)
    };
    let survivors: Vec<Mutant> = Mutant::ALL.into_iter().filter(survives).collect();
    assert!(survivors.is_empty(), "{survivors:?} survive");
}

/// Negative controls: each breakage of a law must be seen within so many seeds.
#[cfg(feature = "mutants")]
mod mutants {
    use flow_dataflow::{JobConfig, Mutant};
    use flow_simulator::{longer, run, run_broken};

    use super::caught;

    /// Breakages that are seen in tests of their own: the cache of pre-aggregation never overflows in a run this small, and
    /// retention takes nothing here.
    const ELSEWHERE: [Mutant; 2] = [Mutant::EvictedRowLost, Mutant::GapNotDeclared];

    #[test]
    fn every_mutant_is_caught() {
        let jobs = Mutant::ALL
            .into_iter()
            .filter(|mutant| !ELSEWHERE.contains(mutant));
        let survivors: Vec<String> = jobs
            .filter(|mutant| {
                let mut config = JobConfig {
                    mutant: Some(*mutant),
                    ..JobConfig::default()
                };
                if *mutant == Mutant::LongerSlotEndsEarly {
                    config.rows.rollups = longer();
                }
                !caught(&format!("{mutant:?}"), |seed| {
                    run(seed, false, config.clone())
                })
            })
            .map(|mutant| format!("{mutant:?}"))
            .collect();
        let sinks = flow_sinks::Mutant::ALL.into_iter();
        let sinks = sinks
            .filter(|mutant| !caught(&format!("{mutant:?}"), |seed| run_broken(seed, *mutant)));
        let survivors: Vec<String> = survivors
            .into_iter()
            .chain(sinks.map(|mutant| format!("{mutant:?}")))
            .collect();
        assert!(survivors.is_empty(), "{survivors:?} survive");
    }
}
