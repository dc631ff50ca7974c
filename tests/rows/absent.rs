//! A store that is away when the job starts, and one that stands still when the job is to end: the others get all.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use flow_ingest::mock::Generator;

use crate::flowing::complete;
use crate::own::{Live, Own, until};
use crate::store::Store;
use crate::world::{self, JobFiles, World};

/// What a supervisor gives the job to end, as the units and the compose files have it.
const SUPERVISOR: Duration = Duration::from_secs(60);
/// A connection to a server that stands still is waited for as long.
const OPENING: Duration = Duration::from_secs(10);
/// Flows of a quarter of an hour: more slots complete.
const QUARTER: u64 = 90_000;

/// Writes a quarter of an hour of flows; the job, running or not, owes its stores new slots then.
fn more(world: &World, generator: &mut Generator) {
    crate::write(world, generator, QUARTER);
}

/// Starts the job; its messages go into a file.
fn start(world: &World, job: &JobFiles, messages: &Path) -> Live {
    let told = File::create(messages).expect("a file");
    Live::start(world.run(job, "2", &[]).stderr(told))
}

#[test]
fn a_store_away_at_the_start_and_one_that_stands_still_at_the_end() {
    let Some((own, servers)) = Own::up(&["kafka", "postgres", "clickhouse"]) else {
        return;
    };
    let world = World::new("absent");
    let mut generator = crate::generator(720_000, 17);
    let mut job = world.job("absent");
    job.stores.push(servers.postgres(""));
    job.stores.push(servers.clickhouse(""));
    let (sqlite, postgres, clickhouse) = (&job.stores[0], &job.stores[1], &job.stores[2]);
    let messages = job.state.with_extension("log");
    let told = || std::fs::read_to_string(&messages).expect("messages");

    // A first start needs every store.
    own.tell("stop", "postgres");
    more(&world, &mut generator);
    let refused = world.run(&job, "2", &["--until-end"]).output();
    let refused = refused.expect("it runs");
    let line = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(69), "{line}");
    assert!(line.contains(&name(postgres)), "{line}");
    own.tell("start", "postgres");
    world.run_to_end(&job, "2");

    // A job that goes on does without one, and comes back to it.
    own.tell("stop", "postgres");
    let before = complete(sqlite);
    more(&world, &mut generator);
    let mut live = start(&world, &job, &messages);
    let gained = |store: &Store| complete(store) > before;
    until("the stores that are there get new slots", || {
        gained(sqlite) && gained(clickhouse)
    });
    assert!(live.runs(), "{}", told());
    let starts = "the job starts without this store";
    assert!(told().contains(starts), "{}", told());
    let away = complete(sqlite);
    own.tell("start", "postgres");
    until("the store that is back gets them, too", || {
        complete(postgres) >= away
    });

    // One that stands still neither holds the others up nor keeps the job from ending.
    own.tell("pause", "postgres");
    let before = complete(sqlite);
    more(&world, &mut generator);
    until("the others go on", || {
        complete(sqlite) > before && complete(clickhouse) > before
    });
    let begun = Instant::now();
    let status = live.end();
    let took = begun.elapsed();
    assert!(took < SUPERVISOR, "ended after {took:?}: {}", told());
    assert_eq!(status.code(), Some(69), "{}", told());
    let last = told().lines().last().unwrap_or_default().to_owned();
    assert!(last.contains(&name(postgres)), "{last}");
    println!(
        "SIGTERM with a paused PostgreSQL: ended after {} s: {last}",
        took.as_secs()
    );

    // At the start it keeps no signal waiting either.
    let live = start(&world, &job, &messages);
    until("the stores are being opened", || live.has_thread("opening"));
    let begun = Instant::now();
    let status = live.end();
    let took = begun.elapsed();
    assert!(took < OPENING, "ended after {took:?}: {}", told());
    assert_eq!(status.code(), Some(0), "{}", told());
    own.tell("resume", "postgres");
    world.run_to_end(&job, "2");
    let expected = world.expected(&job);
    for store in &job.stores {
        let compared = world::compare(&expected, store.content());
        println!("{}: {compared}", store.url());
    }
}

/// Host and database, as the job's messages name the store.
fn name(store: &Store) -> String {
    let url = store.url();
    let (_, place) = url.rsplit_once('@').unwrap_or(("", &url));
    place.split('?').next().unwrap_or_default().to_owned()
}
