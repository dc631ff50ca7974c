//! Memory of a key: resident size of a fresh process that holds them, less that of one with the same flows of few keys.
//!
//! One slot is open, four are complete, a fourth of the keys in each: what one gives back is there for the next, as in a job that
//! runs.

use std::sync::Arc;
use std::time::Duration;

use crate::children;
use crate::packs::{Packs, Shape};
use crate::run::{Checkpoints, job, own};

/// Keys of the process to compare with.
const FEW: u64 = 1000;
/// Complete slots.
const SLOTS: u64 = 4;

/// Prints open and complete, three times each.
pub(crate) fn measure(keys: u64) -> anyhow::Result<()> {
    for phase in ["open", "complete"] {
        for _ in 0..3 {
            let held = |keys_held: u64| -> anyhow::Result<Vec<u64>> {
                let arguments = [
                    "hold",
                    phase,
                    &keys_held.to_string(),
                    &(keys * 2).to_string(),
                ];
                let told = children::run(&arguments)?;
                Ok(told
                    .split_whitespace()
                    .map(str::parse)
                    .collect::<Result<_, _>>()?)
            };
            let (few, many) = (held(FEW)?, held(keys)?);
            let a_key = |of: usize| -> f64 {
                let at = |held: &[u64]| held.get(of).copied().unwrap_or(0) as f64 * 1024.0;
                (at(&many) - at(&few)) / (keys - FEW) as f64
            };
            println!(
                "{phase}: {:.1} bytes a key (MB per million keys) resident; at its highest {:.1}",
                a_key(0),
                a_key(1)
            );
        }
    }
    Ok(())
}

/// In a child: holds so many keys, and tells its resident size now and at its highest, KiB.
pub(crate) fn hold(phase: &str, keys: u64, flows: u64) -> anyhow::Result<()> {
    let complete = phase == "complete";
    let slots = if complete { SLOTS } else { 1 };
    let packs = Arc::new(Packs::make(Shape {
        keys: keys / slots,
        flows_per_slot: flows / slots,
        slots,
        completing: complete,
    }));
    let checkpoints = if complete {
        Checkpoints::EverySecond
    } else {
        Checkpoints::None
    };
    let folder = tempfile::tempdir()?;
    let (mut job, _) = job(&packs, folder.path(), (1, false), checkpoints)?;
    job.config.rows.lateness_secs = 3600; // none retires
    let (metrics, published, status) = (
        job.metrics.clone(),
        Arc::clone(&job.published),
        Arc::clone(&job.status),
    );
    let running = std::thread::spawn(move || job.run());
    let there = || {
        let done = published
            .newest()
            .is_some_and(|newest| newest.complete.len() as u64 >= slots);
        metrics.accepted.get() == packs.flows
            && status.look().open_keys >= keys
            && (done || !complete)
    };
    while !there() {
        anyhow::ensure!(!running.is_finished(), "the job has ended");
        std::thread::sleep(Duration::from_millis(50)); // a look now and then leaves the job its cores
    }
    // What is under way beside the worker comes to its end.
    std::thread::sleep(Duration::from_secs(3));
    println!(
        "{} {}",
        own("status", "RssAnon:")?,
        own("status", "VmHWM:")?
    );
    // The state's folder first; the job's threads end with the process.
    drop(folder);
    std::process::exit(0)
}
