//! Random schedules of a job and the followers of its stores: killed, restarted, far behind, beside a zombie.
//!
//! Whatever happens, a store that has caught up holds the job's maps, and no reader has seen a total go back.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow_sinks::options::StoreOptions;
use flow_sinks::sqlite::Sqlite;
use flow_sinks::{Follower, Step};
use flow_state::{Acks, Published};
use support::Chance;
use support::chaos::{Break, Chaos};
use support::job::Job;
use support::reader::{self, Watch};

const SINKS: usize = 2;
const STEPS: u64 = 220;

struct Run {
    job: Job,
    chance: Chance,
    how: Break,
    paths: Vec<PathBuf>,
    live: Vec<Follower>,
    /// Per store a follower of a process that should be dead: it stands at an old checkpoint, and writes.
    zombies: Vec<Option<Follower>>,
    watch: Watch,
}

impl Run {
    fn new(folder: &Path, seed: u64, how: Break) -> Run {
        let job = Job::new(&folder.join("state"), SINKS);
        let paths = (0..SINKS).map(|n| folder.join(format!("{n}.db"))).collect();
        let chance = Chance(seed);
        let (live, zombies, watch) = (
            Vec::new(),
            (0..SINKS).map(|_| None).collect(),
            Watch::default(),
        );
        let mut run = Run {
            job,
            chance,
            how,
            paths,
            live,
            zombies,
            watch,
        };
        run.live = (0..SINKS).map(|n| run.follower(n, None)).collect();
        run
    }

    /// A new follower of store `n`; with `published`, a zombie that hears nothing new.
    fn follower(&mut self, n: usize, published: Option<Arc<Published>>) -> Follower {
        let inner = Box::new(Sqlite::open(&self.paths[n], StoreOptions::default()).unwrap());
        let chance = Chance(self.chance.below(1 << 30));
        let sink = Box::new(Chaos {
            inner,
            chance,
            how: self.how,
        });
        let state = self.job.state.clone();
        match published {
            Some(old) => Follower::new(sink, state, old, (Acks::new(1), 0), self.job.config()),
            None => {
                let (published, acks) =
                    (Arc::clone(&self.job.published), Arc::clone(&self.job.acks));
                Follower::new(sink, state, published, (acks, n), self.job.config())
            }
        }
    }

    fn act(&mut self) -> Result<(), String> {
        let n = usize::try_from(self.chance.below(SINKS as u64)).unwrap();
        match self.chance.below(20) {
            0..=7 => {
                for _ in 0..self.chance.below(6) {
                    self.job.flow(&mut self.chance);
                }
            }
            8..=12 => self.job.checkpoint(&mut self.chance),
            // The second store is mostly far behind.
            13..=16 if n == 0 || self.chance.one_in(8) => drop(self.step(n)?),
            17 => self.live[n] = self.follower(n, None),
            18 => {
                let old = Published::new();
                self.job
                    .published
                    .newest()
                    .into_iter()
                    .for_each(|c| old.publish(c));
                self.zombies[n] = Some(self.follower(n, Some(old)));
                // The process that takes over has restored what the zombie stands at.
                self.live[n] = self.follower(n, None);
            }
            19 => self.zombie_step(n)?,
            _ => (),
        }
        Ok(())
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

    fn zombie_step(&mut self, n: usize) -> Result<(), String> {
        let Some(zombie) = &mut self.zombies[n] else {
            return Ok(());
        };
        // What stops a zombie, a file that is gone or a cursor ahead of it, is no news to anyone else.
        if zombie.step().is_err_and(|error| !error.is_retry()) {
            self.zombies[n] = None;
        }
        self.look(n)
    }

    fn look(&mut self, n: usize) -> Result<(), String> {
        self.watch.look(n, reader::read(&self.paths[n]), &self.job)
    }

    fn finish(&mut self) -> Result<(), String> {
        self.job.checkpoint(&mut self.chance);
        let expected = reader::expected(&self.job);
        for n in 0..SINKS {
            let mut steps = 0;
            while self.step(n)? != Some(Step::CaughtUp) {
                steps += 1;
                assert!(steps < 200, "store {n} does not catch up");
            }
            assert_eq!(self.job.acks.of(n), self.job.checkpoint.number);
            let found = reader::without_revisions(reader::read(&self.paths[n]));
            if found != expected {
                return Err(format!("store {n} holds {found:#?}, not {expected:#?}"));
            }
        }
        Ok(())
    }
}

fn run(seed: u64, how: Break) -> Result<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path(), seed, how);
    for _ in 0..STEPS {
        run.act()?;
    }
    run.finish()?;
    Ok(reader::expected(&run.job).rows.len())
}

#[test]
fn stores_hold_what_the_job_holds_whatever_happens() {
    let mut rows = 0;
    for seed in 1..=40 {
        match run(seed, Break::Nothing) {
            Ok(n) => rows += n,
            Err(what) => panic!("seed {seed}: {what}"),
        }
    }
    eprintln!("40 schedules, {rows} rows compared in each of {SINKS} stores");
    assert!(
        rows > 500,
        "the schedules hardly write anything: {rows} rows"
    );
}

#[test]
fn broken_stores_are_found_out() {
    for how in [
        Break::CursorNotCompared,
        Break::MovedTakenForDone,
        Break::UnknownTakenForDone,
    ] {
        let caught = (1..=40).find_map(|seed| run(seed, how).err().map(|what| (seed, what)));
        let Some((seed, what)) = caught else {
            panic!("{how:?} was not caught")
        };
        eprintln!(
            "{how:?}: seed {seed}: {}",
            what.lines().next().unwrap_or_default()
        );
    }
}
