//! Random schedules of a job and the followers of its stores, SQLite and PostgreSQL side by side.
//!
//! Whatever happens, a store that has caught up holds the job's maps, and no reader has seen a total go back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow_sinks::{Follower, Step};
use flow_state::{Acks, Published};

use crate::database::Database;
use crate::support::Chance;
use crate::support::chaos::{Break, Chaos};
use crate::support::job::Job;
use crate::support::reader::{self, Content, Watch};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=6;
const STEPS: u64 = 200;

struct Run<'a> {
    job: Job,
    chance: Chance,
    sqlite: PathBuf,
    postgres: &'a Database,
    how: Break,
    live: Vec<Follower>,
    zombie: Option<Follower>,
    watch: Watch,
}

impl Run<'_> {
    /// A new follower of store `n`; with `published`, a zombie that hears nothing new.
    fn follower(&mut self, n: usize, published: Option<Arc<Published>>) -> Follower {
        let url = match n {
            0 => format!("sqlite://{}?raw=off", self.sqlite.display()),
            _ => self.postgres.url(),
        };
        let sink = Box::new(Chaos {
            inner: flow_sinks::open(&url).unwrap().rollups.unwrap(),
            chance: Chance(self.chance.below(1 << 30)),
            how: self.how,
        });
        let state = self.job.state.clone();
        let zombie = published.is_some();
        let published = published.unwrap_or_else(|| Arc::clone(&self.job.published));
        let acks = if zombie {
            (Acks::new(1), 0)
        } else {
            (Arc::clone(&self.job.acks), n)
        };
        Follower::new(sink, state, published, acks, self.job.config())
    }

    fn content(&self, n: usize) -> Content {
        match n {
            0 => reader::read(&self.sqlite),
            _ => self.postgres.content(),
        }
    }

    fn act(&mut self) -> Result<(), String> {
        match self.chance.below(20) {
            0..=7 => {
                for _ in 0..self.chance.below(6) {
                    self.job.flow(&mut self.chance);
                }
            }
            8..=12 => self.job.checkpoint(&mut self.chance),
            13..=14 => drop(self.step(0)?),
            15..=16 => drop(self.step(1)?),
            17 => self.live[1] = self.follower(1, None),
            18 => {
                let old = Published::new();
                let newest = self.job.published.newest();
                newest.into_iter().for_each(|c| old.publish(c));
                self.zombie = Some(self.follower(1, Some(old)));
                // The process that takes over has restored what the zombie stands at.
                self.live[1] = self.follower(1, None);
            }
            _ => {
                let Some(zombie) = &mut self.zombie else {
                    return Ok(());
                };
                // What stops a zombie is no news to anyone else.
                if zombie.step().is_err_and(|error| !error.is_retry()) {
                    self.zombie = None;
                }
                self.look(1)?;
            }
        }
        Ok(())
    }

    fn look(&mut self, n: usize) -> Result<(), String> {
        let content = self.content(n);
        self.watch.look(n, content, &self.job)
    }

    fn step(&mut self, n: usize) -> Result<Option<Step>, String> {
        let step = match self.live[n].step() {
            Ok(step) => Some(step),
            Err(error) if error.is_retry() => None,
            Err(error) => return Err(format!("the follower ends: {error}")),
        };
        self.look(n)?;
        Ok(step)
    }

    /// Both catch up; returns the number of rows.
    fn finish(&mut self) -> Result<usize, String> {
        self.job.checkpoint(&mut self.chance);
        let expected = reader::expected(&self.job);
        for n in 0..2 {
            let mut steps = 0;
            while self.step(n)? != Some(Step::CaughtUp) {
                steps += 1;
                assert!(steps < 200, "store {n} does not catch up");
            }
            let found = reader::without_revisions(self.content(n));
            if found != expected {
                return Err(format!("store {n} holds {found:#?}, not {expected:#?}"));
            }
        }
        if self.content(0) != self.content(1) {
            // Revisions may differ (each store jumps over other checkpoints), rows may not.
            let rows = |n| reader::without_revisions(self.content(n)).rows;
            assert_eq!(rows(0), rows(1));
        }
        Ok(expected.rows.len())
    }
}

fn run(folder: &Path, postgres: &Database, seed: u64, how: Break) -> Result<usize, String> {
    let mut run = Run {
        job: Job::new(&folder.join("state"), 2),
        chance: Chance(seed),
        sqlite: folder.join("f.db"),
        postgres,
        how,
        live: Vec::new(),
        zombie: None,
        watch: Watch::default(),
    };
    run.live = (0..2).map(|n| run.follower(n, None)).collect();
    for _ in 0..STEPS {
        run.act()?;
    }
    run.finish()
}

#[test]
fn both_stores_hold_what_the_job_holds_whatever_happens() {
    let mut rows = 0;
    for seed in SEEDS {
        let Some(database) = Database::new() else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        match run(folder.path(), &database, seed, Break::Nothing) {
            Ok(n) => rows += n,
            Err(what) => panic!("seed {seed}: {what}"),
        }
    }
    eprintln!("{SEEDS:?}: {rows} rows compared in SQLite and PostgreSQL");
    assert!(
        rows > 100,
        "the schedules hardly write anything: {rows} rows"
    );
}

#[test]
fn a_store_that_does_not_compare_its_cursor_is_found_out() {
    let mut caught = None;
    for seed in 1..=20 {
        let Some(database) = Database::new() else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        if let Err(what) = run(folder.path(), &database, seed, Break::CursorNotCompared) {
            caught = Some((seed, what));
            break;
        }
    }
    let (seed, what) = caught.expect("twenty schedules do not notice it");
    eprintln!("seed {seed}: {}", what.lines().next().unwrap_or_default());
}
