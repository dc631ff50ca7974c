//! Thousands of seeds through the simulator: all laws hold in each, a seed replays exactly, and every deliberate breakage
//! is caught.
//!
//! `FLOW_PIPELINE_SEEDS` and `FLOW_PIPELINE_FIRST_SEED` choose other seeds; `FLOW_PIPELINE_TRACE=1` prints what happens.

use flow_dataflow::JobConfig;
use flow_simulator::run;

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn every_law_holds_in_every_seed() {
    let first = number("FLOW_PIPELINE_FIRST_SEED", 1);
    let seeds = number("FLOW_PIPELINE_SEEDS", 2_000);
    let traced = number("FLOW_PIPELINE_TRACE", 0) > 0;
    let (mut checkpoints, mut attempts, mut broken) = (0, 0, Vec::new());
    for seed in first..first + seeds {
        let outcome = run(seed, traced, JobConfig::default());
        checkpoints += outcome.checkpoints;
        attempts += outcome.attempts;
        outcome.trace.iter().for_each(|line| println!("{line}"));
        if let Some(what) = outcome.violation {
            println!(
                "seed {seed}: {what}\n  again: FLOW_PIPELINE_FIRST_SEED={seed} FLOW_PIPELINE_SEEDS=1 \
                 FLOW_PIPELINE_TRACE=1 cargo test --release --workspace --locked --test simulator every_law -- --nocapture"
            );
            broken.push(seed);
        }
    }
    println!("{seeds} seeds from {first}: {checkpoints} checkpoints, {attempts} starts");
    assert!(broken.is_empty(), "seeds {broken:?}");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 1..40 {
        let (one, other) = (
            run(seed, true, JobConfig::default()),
            run(seed, true, JobConfig::default()),
        );
        let differs = one.trace.iter().zip(&other.trace).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one, other, "seed {seed}");
    }
}

/// Negative controls: each breakage of a law must be seen within so many seeds.
#[cfg(feature = "mutants")]
mod mutants {
    use flow_dataflow::{JobConfig, Mutant};
    use flow_simulator::{Outcome, run, run_broken};

    /// Breakages that are seen in tests of their own: the cache of pre-aggregation never overflows in a run this small, and
    /// retention takes nothing here.
    const ELSEWHERE: [Mutant; 2] = [Mutant::EvictedRowLost, Mutant::GapNotDeclared];

    fn caught(name: &str, run: impl Fn(u64) -> Outcome) -> bool {
        let seeds = super::number("FLOW_PIPELINE_SEEDS", 4_000);
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

    #[test]
    fn every_mutant_is_caught() {
        let jobs = Mutant::ALL
            .into_iter()
            .filter(|mutant| !ELSEWHERE.contains(mutant));
        let survivors: Vec<String> = jobs
            .filter(|mutant| {
                let config = JobConfig {
                    mutant: Some(*mutant),
                    ..JobConfig::default()
                };
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
