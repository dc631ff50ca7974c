//! Recovery: a child is killed with all keys open, another one goes on from its state.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::children;
use crate::packs::{Packs, Shape};
use crate::run::{Checkpoints, job};
use crate::watch::Watch;

fn packs(keys: u64) -> Arc<Packs> {
    Arc::new(Packs::make(Shape {
        keys,
        flows_per_slot: keys * 4,
        slots: 1,
        completing: false,
    }))
}

/// Prints the times of three kills.
pub(crate) fn measure(keys: u64) -> anyhow::Result<()> {
    for _ in 0..3 {
        let folder = tempfile::tempdir()?;
        let path = folder.path().display().to_string();
        children::kill_at_line(&["live", &path, &keys.to_string()])?;
        print!("{}", children::run(&["resume", &path, &keys.to_string()])?);
    }
    Ok(())
}

/// In a child: says so when a checkpoint holds all keys, and goes on until it is killed.
pub(crate) fn live(state: &Path, keys: u64) -> anyhow::Result<()> {
    let packs = packs(keys);
    let (job, _) = job(&packs, state, (1, false), Checkpoints::EverySecond)?;
    let published = Arc::clone(&job.published);
    let running = std::thread::spawn(move || job.run());
    let half: u64 = packs.partitions.iter().map(|p| p.len() as u64 / 2).sum();
    loop {
        anyhow::ensure!(!running.is_finished(), "the job has ended");
        // Every key is met in the first quarter.
        let cut = published.newest().map_or(0, |newest| {
            newest.cut.values().map(|at| at.offset).sum::<u64>()
        });
        if cut >= half {
            println!("ready");
        }
        std::thread::sleep(Duration::from_millis(5)); // a look now and then leaves the job its cores
    }
}

/// In a child: goes on from the state to the end of the packs.
pub(crate) fn resume(state: &Path, keys: u64) -> anyhow::Result<()> {
    let packs = packs(keys);
    let from = Instant::now();
    let (job, watches) = job(&packs, state, (1, true), Checkpoints::EverySecond)?;
    let metrics = job.metrics.clone();
    let shown = job.run()?;
    let took = from.elapsed();
    let first = watches.iter().filter_map(Watch::first).min();
    println!(
        "killed and restarted with {} keys: first pack read after {:.2} s, the {} flows above the cut read and checkpointed after {:.2} s",
        shown.open_keys,
        first.map_or(f64::NAN, |first| (first - from).as_secs_f64()),
        metrics.accepted.get(),
        took.as_secs_f64()
    );
    Ok(())
}
