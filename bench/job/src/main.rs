//! `cargo run --release -p flow-bench-job`: what the job costs a flow, beside a single-threaded scalar loop.
//!
//! Protocol: the same packs in memory for all; scalar loop, one worker and two workers in turn, so many rounds;
//! CPU time of the whole process; medians of the rounds' ratios. Digests of all rows must agree before time counts.
#![expect(clippy::print_stdout, reason = "the figures are the output")]

mod digest;
mod job;
mod packs;
mod scalar;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use flow_tables::{Kind, Source, TableSet};
use nix::time::{ClockId, clock_gettime};

use packs::Packs;

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>());
    let flows = numbers.next().transpose()?.unwrap_or(5_000_000);
    let rounds = numbers.next().transpose()?.unwrap_or(5);
    let demo = Source::Text("demo", flow_tables::DEMO_ASN_CSV.as_bytes());
    let (tables, _) = TableSet::load_sources(&[(Kind::Asn, demo)])?;
    let tables = Arc::new(tables);
    let packs = Arc::new(Packs::mock(flows, 4)?);
    println!(
        "{flows} flows, {} MB in {} packs",
        packs.bytes() >> 20,
        packs.count()
    );
    let (mut one_ratio, mut two_ratio) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let mut cpu = Cpu::start();
        let want = scalar::run(&packs, &tables)?;
        let scalar = cpu.lap();
        let mut jobs = [Duration::ZERO; 2];
        for (workers, taken) in [1, 2].into_iter().zip(&mut jobs) {
            let mut cpu = Cpu::start();
            let got = job::run(&packs, &tables, workers, || *taken = cpu.lap())?;
            anyhow::ensure!(
                got == want,
                "{workers} workers: {got:?}, scalar loop: {want:?}"
            );
        }
        let speed = |time: Duration| flows as f64 / 1e6 / time.as_secs_f64();
        println!(
            "round {round}: scalar loop {:.2}, one worker {:.2}, two workers {:.2} M flows per CPU second; {} rows",
            speed(scalar),
            speed(jobs[0]),
            speed(jobs[1]),
            want.rows
        );
        one_ratio.push(scalar.as_secs_f64() / jobs[0].as_secs_f64());
        two_ratio.push(jobs[1].as_secs_f64() / jobs[0].as_secs_f64());
    }
    println!(
        "one worker against the scalar loop: {:.2} of its speed (median)",
        median(&mut one_ratio)
    );
    println!(
        "CPU a flow, two workers against one: {:.2} (median)",
        median(&mut two_ratio)
    );
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// CPU time of all threads of this process.
struct Cpu(Duration);

impl Cpu {
    fn start() -> Cpu {
        Cpu(Cpu::now())
    }

    fn lap(&mut self) -> Duration {
        let now = Cpu::now();
        let lap = now.saturating_sub(self.0);
        self.0 = now;
        lap
    }

    fn now() -> Duration {
        clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
            .map(Duration::from)
            .unwrap_or_default()
    }
}
