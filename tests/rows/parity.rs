//! A live run and its replay say the same: three hours of flows, two processes that are killed on the way, every store.
//!
//! Oracles: that of the whole job, for what counted and what was refused; and the test's own count of the flows that it has
//! written, by slot, for what a replay makes of them. `FLOW_PIPELINE_TEST_SEED` says at which moments processes are killed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flow_ingest::mock::TopicWriter;
use flow_proto::{Dialect, Flow};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use crate::generator;
use crate::kills::number;
use crate::oracle::{self, Output};
use crate::own::until;
use crate::processes::{Processes, Shape};
use crate::servers::Servers;
use crate::store::Store;
use crate::verified::{command, ran_by, slot};
use crate::world::{self, World};

const SECOND_NS: u64 = 1_000_000_000;
/// Flows of two hours,
const RATE: u64 = 120_000;
/// and those of three.
const FLOWS: u64 = 180_000;
/// Flows that are written in a millisecond.
const SPEED: u64 = 10;
/// In turn: processes, and workers in each.
const SHAPES: [Shape; 5] = [(2, 1), (2, 2), (2, 3), (1, 3), (2, 1)];
/// Kills; before each of them and after the last one as many flows are written.
const KILLS: u64 = 6;
/// What names slots: the exporter's word, which may be far from the time of arrival.
const BY_END: [&str; 2] = ["--slot-time", "end"];
/// Longest wait for the end of what has all flows.
const END: Duration = Duration::from_secs(60);

/// Moves the end of one flow in a hundred by up to three hours back, of another by up to half an hour on.
fn moved(mut flow: Flow, dice: &mut Pcg64Mcg) -> Flow {
    let by = |most: u64, dice: &mut Pcg64Mcg| dice.next_u64() % most * SECOND_NS;
    match dice.next_u64() % 100 {
        0 => flow.time_flow_end_ns -= by(10_800, dice),
        1 => flow.time_flow_end_ns += by(1_800, dice),
        _ => {}
    }
    flow
}

/// Whether a replay counts it.
fn is_plausible(flow: &Flow) -> bool {
    let rate = u128::from(flow.sampling_rate.max(1));
    let most = u128::from(flow.bytes.max(flow.packets)) * rate;
    most <= 1 << 50
}

/// How many flows are written, and may be.
#[derive(Default)]
struct Tap {
    open: AtomicU64,
    written: AtomicU64,
}

impl Tap {
    fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }
}

/// Writes all flows as fast as the tap lets them; plausible ones by slot.
fn write(world: &World, tap: &Tap, seed: u64) -> BTreeMap<u64, u64> {
    let topic = world.topic();
    let mut writer = TopicWriter::open(topic.as_ref(), true, Dialect::default()).expect("a writer");
    let (mut flows, mut dice) = (generator(RATE, seed), Pcg64Mcg::seed_from_u64(seed));
    let mut by_slot = BTreeMap::new();
    let (begun, mut written) = (Instant::now(), 0);
    while written < FLOWS {
        let due = u64::try_from(begun.elapsed().as_millis()).expect("short") * SPEED;
        let due = due.min(tap.open.load(Ordering::Acquire));
        if written >= due {
            thread::yield_now();
            continue;
        }
        while written < due {
            let flow = moved(flows.next().expect("without end"), &mut dice);
            if is_plausible(&flow) {
                let slot = flow.time_flow_end_ns / SECOND_NS / 300 * 300;
                *by_slot.entry(slot).or_default() += 1;
            }
            writer.write(&flow, flows.now_ns()).expect("written");
            written += 1;
        }
        writer.flush().expect("durable");
        tap.written.store(written, Ordering::Release);
    }
    writer.finish(flows.now_ns()).expect("durable");
    by_slot
}

/// The test's own account of each slot that a store shows and that a replay changes: its flows before and after.
fn changed(
    expected: &Output,
    written: &BTreeMap<u64, u64>,
    store: &Store,
) -> BTreeMap<u64, (u64, u64)> {
    let shown = store.content().slots.into_iter();
    let shown = shown.filter(|(slot, (state, _))| *slot > 0 && state != "open");
    let account = |slot| {
        let judged = expected.slots.get(&slot).copied().unwrap_or_default();
        let all = written.get(&slot).copied().unwrap_or(0);
        let refused = judged.too_early + judged.too_late;
        assert_eq!(judged.flows + refused, all, "slot {slot}: judged, written");
        (slot, (judged.flows, all))
    };
    shown
        .map(|(slot, _)| account(slot))
        .filter(|(_, (before, after))| before != after)
        .collect()
}

/// What `replay` says of each slot of a rollup.
fn said(lines: &[Value], rollup: &str) -> BTreeMap<u64, (u64, u64)> {
    let flows = |line: &Value, side: &str| line[side]["flows"].as_u64().expect("a number");
    let of_rollup = lines.iter().filter(|line| line["rollup"] == rollup);
    of_rollup
        .map(|line| (slot(line), (flows(line, "before"), flows(line, "after"))))
        .collect()
}

#[test]
fn a_cluster_that_was_killed_and_its_replay() {
    let seed = number("FLOW_PIPELINE_TEST_SEED", 1);
    println!("FLOW_PIPELINE_TEST_SEED={seed}");
    let servers = Servers::shared();
    let world = match &servers {
        Some(servers) => World::on("parity", servers.topic("parity")),
        None => World::new("parity"),
    };
    let mut job = world.job("parity");
    let others = servers.map(|servers| [servers.postgres(""), servers.clickhouse("")]);
    job.stores.extend(others.into_iter().flatten());
    job.stores.iter().for_each(Store::apply_schema);
    drop(world.topic());
    let (tap, mut dice) = (Tap::default(), Pcg64Mcg::seed_from_u64(seed));
    let part = FLOWS / (KILLS + 1);
    let mut starting = 0;
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| write(&world, &tap, seed));
        for kill in 0..KILLS {
            let shape = SHAPES[usize::try_from(kill).expect("few") % SHAPES.len()];
            let job_at = || world.newest(&job, "checkpoints");
            let before = job_at();
            let running = Processes::start(&world, &job, shape, &BY_END);
            tap.open.store((kill + 1) * part, Ordering::Release);
            let moment = kill * part + dice.next_u64() % part;
            until("flows are written", || tap.written() >= moment);
            // Half of the kills come whatever it does, some of them while it starts.
            if kill % 2 == 0 {
                until("the job goes on", || job_at() > before);
            }
            starting += u64::from(job_at() == before);
            let victim = usize::try_from(dice.next_u64() % 64).expect("small");
            match dice.next_u64() % 4 {
                0 => drop(running), // kills each
                _ => running.lose(victim % shape.0),
            }
        }
        tap.open.store(FLOWS, Ordering::Release);
        writing.join().expect("it has written all")
    });
    let mut last = Processes::start(
        &world,
        &job,
        (2, 2),
        &[&BY_END[..], &["--until-end"]].concat(),
    );
    for status in last.end(END) {
        assert!(status.success(), "{}", last.said(0));
    }
    println!("{KILLS} kills, {starting} of them before a checkpoint of that start");

    let mut input = world.input(&job);
    input.config.slot_time = oracle::Time::End;
    let expected = oracle::run(&input);
    let total = expected.total();
    assert!(total.too_early > 500 && total.too_late > 500, "{total:?}");
    for store in &job.stores {
        let compared = world::compare(&expected, store.content());
        let verb = |verb: &[&str]| {
            let (code, lines, said) =
                ran_by(command(&world, &job, std::slice::from_ref(store), verb));
            assert_eq!(code, Some(0), "{verb:?}: {said}");
            assert!(!said.contains("not compared"), "{verb:?}: {said}");
            lines
        };
        for equal in [
            &["verify", "-w", "2"][..],
            &["replay", "--as-recorded", "--json"],
        ] {
            assert!(verb(equal).is_empty(), "{}: {equal:?}", store.url());
        }
        let (lines, account) = (
            verb(&["replay", "--json", "-w", "3"]),
            changed(&expected, &written, store),
        );
        assert!(account.len() > 30, "{account:?}");
        for rollup in ["rollup_5m", "rollup_5m_country"] {
            assert_eq!(said(&lines, rollup), account, "{}: {rollup}", store.url());
        }
        let gained: u64 = account.values().map(|(before, after)| after - before).sum();
        println!(
            "{}: {} slots gain {gained} refused flows; {compared}",
            store.url(),
            account.len()
        );
    }
}
