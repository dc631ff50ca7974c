//! Leaders change while a job reads: the broker that leads half of the partitions is killed, comes back, and is stopped.
//!
//! Law: a leader that goes ends nothing, and no flow is lost, doubled or counted elsewhere. The servers are this test's own.

use std::fs::File;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use flow_topic::{Options, Timestamps};

use crate::admin::Admin;
use crate::flowing::{Stop, complete, write_until};
use crate::own::{Live, Own};
use crate::world::{JobFiles, World};

/// The broker that is controller, too, and the one that goes.
const STAYS: i32 = 1;
const GOES: i32 = 2;
/// Longest wait for anything that must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many more slots must complete before it is believed that all partitions are read: some may have been under way.
const SLOTS: u64 = 2;
/// Flows per second of simulated time.
const RATE: u64 = 100;

/// A job that must go on whatever happens, and the topic that it reads.
struct Watched<'a> {
    live: Live,
    admin: Admin,
    world: &'a World,
    job: &'a JobFiles,
}

impl Watched<'_> {
    /// Waits until it holds; returns how long.
    fn wait(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> f64 {
        let begun = Instant::now();
        while !holds(self) {
            let said = || std::fs::read_to_string(self.world.path("told")).expect("text");
            assert!(self.live.runs(), "{what}: the job has ended: {}", said());
            assert!(
                begun.elapsed() < PATIENCE,
                "not in {PATIENCE:?}: {what}; leaders {:?}",
                self.leaders()
            );
            thread::yield_now();
        }
        begun.elapsed().as_secs_f64()
    }

    /// Each partition's leader; `None`: nobody says.
    fn leaders(&self) -> Option<Vec<i32>> {
        let told = self.admin.leaders()?;
        Some(told.into_iter().map(|(leader, _)| leader).collect())
    }

    /// Waits until some more slots are complete.
    fn goes_on(&mut self, what: &str) -> f64 {
        let goal = self.complete() + SLOTS;
        self.wait(what, |now| now.complete() >= goal)
    }

    fn complete(&self) -> u64 {
        complete(&self.job.stores[0])
    }
}

/// The broker goes, its partitions get another leader, it comes back and leads them again.
fn change(own: &Own, verb: &str, watched: &mut Watched<'_>) {
    watched.wait("every replica is in sync", |now| {
        let told = now.admin.leaders();
        told.is_some_and(|told| told.len() == 4 && told.iter().all(|(_, sync)| *sync == 2))
    });
    let before = watched.leaders().expect("leaders");
    assert!(before.contains(&GOES), "{before:?}: it leads nothing");
    own.tell(verb, "follower");
    let moved = watched.wait("all partitions have the other leader", |now| {
        let leaders = now.leaders();
        leaders.is_some_and(|leaders| leaders.iter().all(|leader| *leader == STAYS))
    });
    let on = watched.goes_on("slots complete without the broker");
    own.tell("start", "follower");
    let back = watched.wait("leaders are where they were", |now| {
        now.leaders().as_ref() == Some(&before)
    });
    let again = watched.goes_on("slots complete with the broker");
    let memory = watched.live.memory_mib();
    println!("{verb:<5} {before:?} {moved:>7.1} {on:>12.1} {back:>6.1} {again:>12.1} {memory:>11}");
}

#[test]
fn a_leader_that_is_killed_or_stopped_and_comes_back_costs_no_flow() {
    let Some((own, servers)) = Own::up(&["kafka", "follower"]) else {
        return;
    };
    let world = World::on("leaders", servers.topic("leaders"));
    let options = Options {
        timestamps: Timestamps::Create,
        replication: Some(2),
        ..Options::default()
    };
    flow_topic::create(world.url(), options).expect("a topic");
    let (job, stop) = (world.job("leaders"), AtomicBool::new(false));
    job.stores[0].apply_schema();
    let told = File::create(world.path("told")).expect("a file");
    let mut watched = Watched {
        live: Live::start(world.run(&job, "2", &[]).stderr(told)),
        admin: Admin::of(world.url()),
        world: &world,
        job: &job,
    };
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(&world, &stop, RATE));
        let ending = Stop(&stop);
        watched.wait("a slot completes", |now| now.complete() > 0);
        println!(
            "verb  leaders      moved s  {SLOTS} slots in s  back s  {SLOTS} slots in s  memory MiB"
        );
        for verb in ["kill", "stop"] {
            change(&own, verb, &mut watched);
        }
        drop(ending);
        writing.join().expect("it has written all")
    });
    assert!(watched.live.end().success());
    world.run_to_end(&job, "1");
    let compared = world.compare(&job);
    println!("{written} flows: {compared}");
    assert_eq!(
        compared.flows + compared.refused,
        written,
        "flows written once"
    );
}
