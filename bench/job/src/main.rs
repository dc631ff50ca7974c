//! `cargo run --release -p flow-bench-job`: what the job costs a flow, beside a single-threaded scalar loop; and what a replay
//! of all its slots costs beside it.
//!
//! Protocol: the same packs in memory for all; scalar loop, one worker, a replay by one, and two workers in turn, so many
//! rounds; CPU time of the whole process; medians of the rounds' ratios. Digests of all rows must agree before time counts.
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
    let mut ratios = [const { Vec::new() }; 3];
    for round in 1..=rounds {
        let mut cpu = Cpu::start();
        let want = scalar::run(&packs, &tables)?;
        let scalar = cpu.lap();
        let mut taken = [Duration::ZERO; 3];
        let [one, two, again] = &mut taken;
        let mut cpu = Cpu::start();
        let live = job::run(&packs, &tables, 1, || *one = cpu.lap())?;
        let mut cpu = Cpu::start();
        let replayed = job::replay(&packs, &live, 1, || *again = cpu.lap())?;
        let mut cpu = Cpu::start();
        let pair = job::run(&packs, &tables, 2, || *two = cpu.lap())?;
        let [one, two, again] = taken;
        for (name, got) in [
            ("one worker", &live),
            ("replay", &replayed),
            ("two workers", &pair),
        ] {
            let got = &got.digest;
            anyhow::ensure!(*got == want, "{name}: {got:?}, scalar loop: {want:?}");
        }
        let speed = |time: Duration| flows as f64 / 1e6 / time.as_secs_f64();
        println!(
            "round {round}: scalar loop {:.2}, one worker {:.2}, replay {:.2}, two workers {:.2} M flows per CPU second; {} rows",
            speed(scalar),
            speed(one),
            speed(again),
            speed(two),
            want.rows
        );
        let of_round = [(scalar, one), (two, one), (one, again)];
        for (ratios, (a, b)) in ratios.iter_mut().zip(of_round) {
            ratios.push(a.as_secs_f64() / b.as_secs_f64());
        }
    }
    let [one, two, replay] = ratios.map(|mut ratios| median(&mut ratios));
    println!("one worker against the scalar loop: {one:.2} of its speed (median)");
    println!("CPU a flow, two workers against one: {two:.2} (median)");
    println!("replay of all slots against the job: {replay:.2} of its speed (median)");
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
