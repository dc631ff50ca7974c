//! Random schedules of a job, followed by ClickHouse and SQLite side by side: killed between rows and cursor, restarted,
//! far behind, beside a zombie.

use std::sync::Arc;

use flow_sinks::options::StoreOptions;
use flow_sinks::sqlite::Sqlite;
use flow_sinks::{Follower, Sink, Step};
use flow_state::{Acks, Published};

use crate::database::Database;
use crate::support::Chance;
use crate::support::job::Job;
use crate::support::reader::{self, Content, Watch};

const STEPS: u32 = 70;

fn catch_up(follower: &mut Follower) {
    for _ in 0..100 {
        if follower.step().unwrap() == Step::CaughtUp {
            return;
        }
    }
    panic!("does not catch up");
}

fn sink(database: &Database) -> Box<dyn Sink> {
    flow_sinks::open(&database.url).unwrap().rollups.unwrap()
}

fn follower(job: &Job, sink: Box<dyn Sink>, number: usize) -> Follower {
    let (published, acks) = (Arc::clone(&job.published), Arc::clone(&job.acks));
    Follower::new(
        sink,
        job.state.clone(),
        published,
        (acks, number),
        job.config(),
    )
}

/// A follower that hears of nothing after now.
fn zombie(job: &Job, sink: Box<dyn Sink>) -> Follower {
    let old = Published::new();
    job.published
        .newest()
        .into_iter()
        .for_each(|c| old.publish(c));
    Follower::new(
        sink,
        job.state.clone(),
        old,
        (Acks::new(1), 0),
        job.config(),
    )
}

fn run(seed: u64, merges: bool) -> Option<usize> {
    let database = Database::new()?;
    let folder = tempfile::tempdir().unwrap();
    let (mut chance, path) = (Chance(seed), folder.path().join("f.db"));
    let mut job = Job::new(&folder.path().join("state"), 2);
    let sqlite = Box::new(Sqlite::open(&path, StoreOptions::default()).unwrap());
    let mut beside = follower(&job, sqlite, 1);
    let mut live = follower(&job, sink(&database), 0);
    let (mut dead, mut watch) = (None, Watch::default());
    if !merges {
        database.stop_merges();
    }
    for _ in 0..STEPS {
        match chance.below(10) {
            0..=3 => (0..chance.below(6)).for_each(|_| job.flow(&mut chance)),
            4..=6 => job.checkpoint(&mut chance),
            7 => drop(live.step()),
            8 => {
                // Died after the rows, before the cursor; the slots may have been written, or not.
                catch_up(&mut live);
                database.forget_cursor("flow_pipeline_cursors", job.checkpoint.number);
                live = follower(&job, sink(&database), 0);
            }
            _ => {
                // A zombie is refused or writes what is true already.
                let mut other = dead.take().unwrap_or_else(|| {
                    // The process that takes over has restored what the zombie stands at.
                    live = follower(&job, sink(&database), 0);
                    zombie(&job, sink(&database))
                });
                _ = other.step();
                dead = Some(other);
            }
        }
        watch
            .look(0, database.content(), &job)
            .unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
    job.checkpoint(&mut chance);
    catch_up(&mut live);
    catch_up(&mut beside);
    let found = database.content();
    // SQLite took it in one delta, so that `complete_through`, the last value, differs.
    let without_last = |mut content: Content| {
        for values in content.slots.values_mut() {
            values.pop();
        }
        content
    };
    let (ours, its) = (found.clone(), reader::read(&path));
    assert!(
        without_last(ours) == without_last(its),
        "seed {seed}: SQLite holds something else"
    );
    assert_eq!(
        reader::without_revisions(found.clone()),
        reader::expected(&job),
        "seed {seed}"
    );
    database.merge();
    assert_eq!(database.content(), found, "seed {seed}: after merges");
    Some(found.rows.len())
}

#[test]
fn holds_what_the_job_and_sqlite_hold_before_and_after_merges() {
    let mut rows = 0;
    for seed in 1..=6 {
        let Some(n) = run(seed, seed % 2 == 0) else {
            return;
        };
        rows += n;
    }
    eprintln!("6 schedules, {rows} rows compared");
    assert!(
        rows > 60,
        "the schedules hardly write anything: {rows} rows"
    );
}
