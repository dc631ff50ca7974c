//! `cargo run --release -p flow-bench-checkpoint [pauses|swaps|memory|recovery] [KEYS] [ROUNDS]`: what checkpoints cost.
//!
//! Protocol: the same packs in memory for all; kinds of checkpoints in turn, so many rounds; CPU time of the whole process,
//! medians of the rounds' ratios. A pause is the longest time in which a worker did not read, in each half second.
#![expect(clippy::print_stdout, reason = "the figures are the output")]

mod children;
mod memory;
mod packs;
mod pauses;
#[path = "../../../tables/benches/prefixes/mod.rs"]
mod prefixes;
mod recovery;
mod run;
mod swaps;
#[path = "../../job/src/topic.rs"]
mod topic;
mod watch;

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // In children.
        ["hold", phase, keys, flows] => memory::hold(phase, keys.parse()?, flows.parse()?),
        ["live", state, keys] => recovery::live(Path::new(state), keys.parse()?),
        ["resume", state, keys] => recovery::resume(Path::new(state), keys.parse()?),
        _ => figures(&arguments),
    }
}

fn figures(arguments: &[&str]) -> anyhow::Result<()> {
    let named = |name| !matches!(arguments.first(), Some(&first) if first != name);
    let mut numbers = arguments.iter().skip(1).map(|number| number.parse::<u64>());
    let keys = numbers.next().transpose()?.unwrap_or(1_000_000);
    let rounds = numbers.next().transpose()?.unwrap_or(5);
    if named("pauses") {
        pauses::measure(keys, rounds)?;
    }
    if named("swaps") {
        swaps::measure(keys, rounds)?;
    }
    if named("memory") {
        memory::measure(keys)?;
    }
    if named("recovery") {
        recovery::measure(keys)?;
    }
    Ok(())
}
