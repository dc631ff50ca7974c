//! A disk of a server that runs full, and has room again: nothing is lost, and the other stores go on.
//!
//! PostgreSQL and ClickHouse, each on a small disk of its own. At the start a full disk is said in one line. While flows
//! run, the store stands still, and it catches up by itself, also if its server has ended meanwhile; afterwards every store
//! equals the oracle, and SQLite.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use crate::flowing::{Stop, complete, write_until};
use crate::own::{Live, Own};
use crate::store::Store;
use crate::world::{self, JobFiles, World};

const NAMES: [&str; 2] = ["postgres", "clickhouse"];
/// PostgreSQL's own files are 40 MiB, and its log has 16 MiB a piece.
const DISK_MIB: u64 = 192;
/// Flows per second of simulated time: few, so that what is written fits.
const RATE: u64 = 20;
/// Slots that SQLite gains while the others' disks are full.
const SLOTS: u64 = 6;
/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);
/// Tries of a store meanwhile: rows and raw flows each wait for longer and longer, up to 10 s.
const TRIES: usize = 40;
const SAID: &str = "make room on its disk";

fn apply(store: &Store) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flow-pipeline"))
        .args(["schema", "apply", "--sink", &store.url()])
        .output()
        .expect("it runs")
}

/// That a full disk is said at once, in one line.
fn refused_at_the_start(world: &World, store: &Store) {
    let (url, out) = (store.url(), apply(store));
    let errors = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(69), "{errors}");
    assert_eq!(
        (out.stdout.len(), errors.lines().count()),
        (0, 1),
        "{errors}"
    );
    assert!(errors.contains(SAID) && errors.contains(&url), "{errors}");
    print!("schema apply: {errors}");
    let job = JobFiles {
        stores: vec![store.clone()],
        ..world.job("start")
    };
    let mut child = world
        .run(&job, "1", &[])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let said = BufReader::new(child.stderr.take().expect("piped")).lines();
    let line = said.map_while(Result::ok).find(|line| line.contains(SAID));
    drop(child.kill());
    child.wait().expect("gone");
    println!("run: {}", line.expect("it says what is wrong"));
}

#[test]
fn a_full_disk_holds_up_its_own_store_alone_and_for_as_long_as_it_is_full() {
    let Some((own, servers)) = Own::up_on_disks(&NAMES, DISK_MIB) else {
        return;
    };
    let world = World::new("full-disk");
    drop(world.topic());
    let mut job = world.job("full-disk");
    job.stores
        .extend([servers.postgres(""), servers.clickhouse("")]);
    let (sqlite, others) = job.stores.split_first().expect("three stores");
    NAMES.iter().for_each(|name| own.fill(name));
    for store in others {
        refused_at_the_start(&world, store);
    }
    NAMES.iter().for_each(|name| own.empty(name));
    for store in &job.stores {
        let made = apply(store);
        assert!(made.status.success(), "{made:?}");
    }
    let stop = AtomicBool::new(false);
    let log = world.path("log");
    let mut command = world.run(&job, "2", &[]);
    let mut live = Live::start(command.stderr(File::create(&log).expect("a file")));
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(&world, &stop, RATE));
        let ending = Stop(&stop);
        reach(&job.stores, 1, &mut live);
        NAMES.iter().for_each(|name| own.fill(name));
        let before = complete(sqlite);
        reach(std::slice::from_ref(sqlite), before + SLOTS, &mut live);
        let log = std::fs::read_to_string(&log).expect("a file");
        for store in others {
            let of_store = |line: &&str| line.contains(&store.url());
            let tries = log.lines().filter(of_store).count();
            let full = log
                .lines()
                .filter(of_store)
                .filter(|line| line.contains(SAID));
            println!(
                "{}: {tries} tries, {} of them told of the disk",
                store.url(),
                full.clone().count()
            );
            assert!(full.count() > 0, "{}: {log}", store.url());
            // That it can be read is no reason to try again at once.
            assert!(tries < TRIES, "{}: {log}", store.url());
        }
        fill_its_log(&own, &others[0]);
        reach(
            std::slice::from_ref(sqlite),
            complete(sqlite) + 2,
            &mut live,
        );
        NAMES.iter().for_each(|name| own.empty(name));
        own.tell("start", "postgres");
        let (goal, begun) = (complete(sqlite), Instant::now());
        reach(&job.stores, goal, &mut live);
        println!("all level after {} s with room", begun.elapsed().as_secs());
        drop(ending);
        writing.join().expect("it has written all")
    });
    live.end();
    world.run_to_end(&job, "1");
    let expected = world.expected(&job);
    let base = world::base_rows(&expected);
    let content = sqlite.content();
    for store in others {
        assert!(store.content() == content, "{}: rows", store.url());
        assert!(store.raw_sums() == base, "{}: raw flows", store.url());
    }
    println!("{written} flows; {}", world::compare(&expected, content));
}

/// A PostgreSQL that has no room for a new piece of its log ends; whoever makes room has to start it again.
fn fill_its_log(own: &Own, store: &Store) {
    let sql = "select pg_logical_emit_message(false, 'x', repeat('x', 20000000))";
    let url = store.url();
    let out = Command::new("psql")
        .args(["-X", "-c", sql, &url])
        .output()
        .expect("psql runs");
    assert!(!out.status.success(), "{out:?}");
    let begun = Instant::now();
    while own.runs("postgres") {
        assert!(begun.elapsed() < LIMIT, "PostgreSQL goes on: {out:?}");
    }
}

/// Waits until each of these stores has so many slots with rows, while the job goes on.
fn reach(stores: &[Store], slots: u64, live: &mut Live) {
    let begun = Instant::now();
    while stores.iter().any(|store| complete(store) < slots) {
        assert!(live.runs(), "the job has ended");
        assert!(
            begun.elapsed() < LIMIT,
            "a store does not get to {slots} slots"
        );
    }
}
