//! Pauses, CPU and bytes: the same packs without checkpoints, with the default ones and with one every second, in turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::time::ClockId;

use crate::packs::{Packs, Shape};
use crate::run::{Checkpoints, job, own};
use crate::watch::{Gap, Watch, cpu};

const KINDS: [(Checkpoints, &str); 3] = [
    (Checkpoints::None, "no checkpoints"),
    (Checkpoints::Default, "10 s and completions"),
    (Checkpoints::EverySecond, "1 s and completions"),
];

/// What the runs of one kind have shown.
#[derive(Default)]
struct Shown {
    gaps: Vec<Gap>,
    cpu: Vec<f64>,
    wall: Vec<f64>,
    written: u64,
    checkpoints: u64,
}

/// Prints the table for one worker and for two.
pub(crate) fn measure(keys: u64, rounds: u64) -> anyhow::Result<()> {
    let packs = Arc::new(Packs::make(Shape {
        keys,
        flows_per_slot: keys * 3,
        slots: 4,
        completing: true,
    }));
    println!(
        "{} flows, 4 slots of {keys} keys, {rounds} rounds; longest gap of each half second",
        packs.flows
    );
    for workers in [1, 2] {
        let mut shown: [Shown; 3] = Default::default();
        for _ in 0..rounds {
            for ((kind, _), shown) in KINDS.iter().zip(&mut shown) {
                once(&packs, workers, *kind, shown)?;
            }
        }
        let base = shown[0].cpu.clone();
        for ((_, name), shown) in KINDS.iter().zip(&mut shown) {
            print(workers, name, packs.flows * rounds, &base, shown);
        }
    }
    Ok(())
}

fn once(
    packs: &Arc<Packs>,
    workers: usize,
    kind: Checkpoints,
    shown: &mut Shown,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (job, watches) = job(packs, folder.path(), (workers, true), kind)?;
    let (metrics, written) = (job.metrics.clone(), own("io", "wchar:")?);
    let (from, used) = (Instant::now(), cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID));
    job.run()?;
    let used = cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID).saturating_sub(used);
    shown.cpu.push(used.as_secs_f64());
    shown.wall.push(from.elapsed().as_secs_f64());
    shown.written += own("io", "wchar:")?.saturating_sub(written);
    shown.checkpoints += u64::try_from(metrics.checkpoint.get()).unwrap_or(0);
    anyhow::ensure!(metrics.accepted.get() == packs.flows, "flows were lost");
    shown.gaps.extend(watches.iter().flat_map(Watch::gaps));
    Ok(())
}

fn print(workers: usize, name: &str, flows: u64, base: &[f64], shown: &mut Shown) {
    let mut ratios: Vec<f64> = shown.cpu.iter().zip(base).map(|(a, b)| a / b).collect();
    println!(
        "{workers} worker(s), {name}: CPU {:.2} s a run, {:.2} of none (median, {} rounds), wall {:.2} s, {} checkpoints, {:.1} MB written per M flows",
        median(&mut shown.cpu),
        median(&mut ratios),
        base.len(),
        median(&mut shown.wall),
        shown.checkpoints,
        shown.written as f64 / flows as f64,
    );
    for (what, of) in [
        ("the worker's CPU", (|gap| gap.cpu) as fn(&Gap) -> Duration),
        ("wall", |gap| gap.wall),
    ] {
        let mut gaps: Vec<f64> = shown.gaps.iter().map(|g| of(g).as_secs_f64()).collect();
        gaps.sort_by(f64::total_cmp);
        let at = |part: usize| gaps.get(gaps.len().saturating_sub(1) * part / 100);
        let millis = |part| at(part).copied().unwrap_or(f64::NAN) * 1e3;
        println!(
            "    gap by {what}: p50 {:.1}, p99 {:.1}, longest {:.1} ms, {} samples",
            millis(50),
            millis(99),
            millis(100),
            gaps.len()
        );
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
