//! Each server away for a minute, in turn, while flows run: nothing is lost, the other stores go on, memory stays.
//!
//! The servers are this test's own. Afterwards every store equals the oracle.

use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use crate::flowing::{Stop, complete, write_until};
use crate::own::{Live, Own};
use crate::store::Store;
use crate::world::{self, World};

/// How long each server is away.
const AWAY: Duration = Duration::from_secs(60);
/// Longest wait for a store that is back to stand where the others do.
const BACK: Duration = Duration::from_secs(120);
/// Flows per second of simulated time.
const RATE: u64 = 100;
/// The job's memory, at most. Mebibytes.
const MEMORY_MIB: u64 = 700;

#[test]
fn each_server_away_for_a_minute_while_flows_run() {
    let Some((own, servers)) = Own::up(&["kafka", "postgres", "clickhouse"]) else {
        return;
    };
    let world = World::on("outages", servers.topic("outages"));
    drop(world.topic());
    let mut job = world.job("outages");
    job.stores.push(servers.postgres(""));
    job.stores.push(servers.clickhouse(""));
    job.stores.iter().for_each(Store::apply_schema);
    let (stores, stop) = (job.stores.clone(), AtomicBool::new(false));
    let live = Live::start(world.run(&job, "2", &[]).stderr(Stdio::null()));
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(&world, &stop, RATE));
        let ending = Stop(&stop);
        let begun = Instant::now();
        while complete(&stores[0]) == 0 {
            assert!(begun.elapsed() < BACK, "no slot completes");
        }
        println!("away        verb  others' slots  back after s  memory MiB");
        for (name, verb, at) in [
            ("postgres", "stop", 1),
            ("clickhouse", "kill", 2),
            ("kafka", "stop", 9),
        ] {
            outage(&own, (name, verb), (&stores, at), &live);
        }
        drop(ending);
        writing.join().expect("it has written all")
    });
    live.end();
    world.run_to_end(&job, "1");
    let expected = world.expected(&job);
    let base = world::base_rows(&expected);
    for store in &job.stores {
        if !matches!(store, Store::Sqlite(_)) {
            assert!(store.raw_sums() == base, "{}: raw flows", store.url());
        }
        println!(
            "{written} flows; {}: {}",
            store.url(),
            world::compare(&expected, store.content())
        );
    }
}

/// One server away, and back; `at` is its store, if it is one.
fn outage(own: &Own, (name, verb): (&str, &str), (stores, at): (&[Store], usize), live: &Live) {
    let others: Vec<&Store> = stores
        .iter()
        .enumerate()
        .filter(|(n, _)| *n != at)
        .map(|(_, s)| s)
        .collect();
    let before: Vec<u64> = others.iter().map(|store| complete(store)).collect();
    own.tell(verb, name);
    let (begun, mut most) = (Instant::now(), 0);
    let mut now = before.clone();
    while begun.elapsed() < AWAY {
        now = others.iter().map(|store| complete(store)).collect();
        most = most.max(live.memory_mib());
    }
    let gained: Vec<u64> = now
        .iter()
        .zip(&before)
        .map(|(now, before)| now - before)
        .collect();
    // Without a broker there is nothing new to write.
    if at < stores.len() {
        assert!(
            gained.iter().all(|gained| *gained >= 5),
            "{name} away: the others gained {gained:?} slots"
        );
    }
    own.tell("start", name);
    let back = Instant::now();
    let goal = now.iter().max().expect("others") + u64::from(at >= stores.len());
    while stores.iter().any(|store| complete(store) < goal) {
        assert!(
            back.elapsed() < BACK,
            "{name} is back, and a store does not get to {goal} slots"
        );
    }
    most = most.max(live.memory_mib());
    let secs = back.elapsed().as_secs();
    println!(
        "{name:<11} {verb:<5} {:<14} {secs:>12} {most:>11}",
        format!("{gained:?}")
    );
    assert!(most < MEMORY_MIB, "{most} MiB");
}
