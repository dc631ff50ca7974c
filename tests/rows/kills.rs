//! kill -9 at random moments, under load, of everything there is: the job, one process of it, the broker, each database.
//!
//! Law: at the end every row of every store, and every raw flow, is the oracle's. `FLOW_PIPELINE_TEST_KILLS` says how many kills
//! (default 36), `FLOW_PIPELINE_TEST_SEED` at which moments; both are printed.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::flowing::{Stop, complete, write_until};
use crate::own::Own;
use crate::processes::{Processes, Shape};
use crate::store::Store;
use crate::world::{self, JobFiles, World};

/// Flows per second of simulated time.
const RATE: u64 = 60;
/// Shapes in which the job is started, one after the other.
const SHAPES: [Shape; 5] = [(2, 1), (1, 2), (2, 2), (1, 1), (1, 4)];
/// Longest wait for a store to go on.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who is killed next.
const VICTIMS: [&str; 6] = [
    "job",
    "process",
    "kafka",
    "postgres",
    "clickhouse",
    "process",
];

/// A number from the environment.
pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |text| text.parse().expect("a whole number"))
}

/// The job as a supervisor has it: whatever ends is started again, in the next shape.
struct Supervised<'a> {
    world: &'a World,
    job: &'a JobFiles,
    starts: usize,
    failed_starts: usize,
    running: Option<Processes>,
}

impl Supervised<'_> {
    fn shape(&self) -> Shape {
        SHAPES[self.starts % SHAPES.len()]
    }

    fn start(&mut self) {
        self.starts += 1;
        let shape = self.shape();
        self.running = Some(Processes::start(self.world, self.job, shape, &[]));
    }

    /// kill -9 of one process or all; then all are started again.
    fn kill(&mut self, all: bool, moment: u64) {
        let (processes, _) = self.shape();
        let running = self.running.take().expect("it runs");
        if all {
            drop(running); // kills each
        } else {
            running.lose(usize::try_from(moment).expect("small") % processes);
        }
        self.start();
    }

    /// Nobody else was killed: what has ended by itself has failed, unless a server was away while it was starting (69): then
    /// it is started again, with the others.
    fn mend(&mut self, after: &str) {
        let running = self.running.as_mut().expect("it runs");
        let ended = running.ended();
        let Some((process, status)) = ended.first() else {
            return;
        };
        let was_starting = ended.iter().any(|(_, status)| status.code() == Some(69));
        let said = running.said(*process);
        assert!(
            was_starting,
            "after a kill of {after}: process {process} has ended, {status}: {said}"
        );
        self.running = None;
        self.failed_starts += 1;
        self.start();
    }
}

#[test]
fn at_random_moments_under_load() {
    let (kills, seed) = (
        number("FLOW_PIPELINE_TEST_KILLS", 36),
        number("FLOW_PIPELINE_TEST_SEED", 1),
    );
    println!("FLOW_PIPELINE_TEST_KILLS={kills} FLOW_PIPELINE_TEST_SEED={seed}");
    let Some((own, servers)) = Own::up(&["kafka", "postgres", "clickhouse"]) else {
        return;
    };
    let world = World::on("kills", servers.topic("kills"));
    drop(world.topic());
    let mut job = world.job("kills");
    job.stores.push(servers.postgres(""));
    job.stores.push(servers.clickhouse(""));
    job.stores.iter().for_each(Store::apply_schema);
    let (stop, mut dice) = (AtomicBool::new(false), Pcg64Mcg::seed_from_u64(seed));
    let mut table: BTreeMap<&str, u64> = BTreeMap::new();
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(&world, &stop, RATE));
        let ending = Stop(&stop);
        let mut supervised = Supervised {
            world: &world,
            job: &job,
            starts: 0,
            failed_starts: 0,
            running: None,
        };
        supervised.start();
        // The first start needs every store.
        goes_on(&job.stores, 0, || supervised.mend("nobody"));
        for kill in 0..kills {
            let victim = VICTIMS[usize::try_from(kill).expect("small") % VICTIMS.len()];
            thread::sleep(Duration::from_millis(dice.next_u64() % 2_000));
            supervised.mend("nobody");
            match victim {
                "job" => supervised.kill(true, 0),
                "process" => supervised.kill(false, dice.next_u64() % 64),
                server => {
                    own.tell("kill", server);
                    thread::sleep(Duration::from_millis(dice.next_u64() % 2_000));
                    own.tell("start", server);
                    supervised.mend(server);
                }
            }
            *table.entry(victim).or_default() += 1;
            if kill % 12 == 11 {
                let done = complete(&job.stores[0]);
                goes_on(&job.stores, done, || supervised.mend("several"));
            }
        }
        println!(
            "{} starts, {} of them with a server away",
            supervised.starts, supervised.failed_starts
        );
        drop(ending);
        writing.join().expect("it has written all")
    });
    world.run_to_end(&job, "2");
    let expected = world.expected(&job);
    let base = world::base_rows(&expected);
    println!("kill -9 of {table:?}");
    for store in &job.stores {
        if !matches!(store, Store::Sqlite(_)) {
            assert!(store.raw_sums() == base, "{}: raw flows", store.url());
        }
        let compared = world::compare(&expected, store.content());
        println!("{written} flows written; {}: {compared}", store.url());
    }
}

/// Waits until every store has more than so many complete slots.
fn goes_on(stores: &[Store], slots: u64, mut look: impl FnMut()) {
    let begun = Instant::now();
    while !stores.iter().all(|store| complete(store) > slots) {
        assert!(
            begun.elapsed() < PATIENCE,
            "some store does not get beyond {slots} slots"
        );
        look();
        thread::yield_now();
    }
}
