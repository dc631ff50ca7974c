//! One history of a job: records become visible in seeded bursts, partitions are added, the job dies and is started again
//! with other worker counts, other tables are asked for at any moment, and in the end everything is read and every slot but the last has retired.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use flow_dataflow::{JobConfig, Snapshot};
use flow_state::{Checkpoint, StateError, StateStore, SwapRequest, Timeline, table_hash};
use flow_tables::TableSet;

use super::Attempt;
use super::follower::Table;
use super::memory::{MemoryTopic, Stored};
use super::scenario::Dice;

/// What is left at the end.
pub struct Outcome {
    pub table: Table,
    pub checkpoint: Arc<Checkpoint>,
    /// The last checkpoint's, with the retirements that it has forgotten since retention took what they ruled.
    pub timeline: Timeline,
    pub attempts: u64,
    /// Partitions that were not there when the job first started.
    pub added: u64,
    pub topic: MemoryTopic,
    pub state: StateStore,
    /// The state's folder, for as long as this lives.
    folder: tempfile::TempDir,
}

/// A history under way.
struct History<'a> {
    dice: Dice,
    topic: MemoryTopic,
    config: &'a JobConfig,
    /// Those that it is given, and others that it is asked for.
    tables: &'a [Arc<TableSet>],
    state: std::path::PathBuf,
    /// R that the last records bring.
    goal_secs: u64,
}

/// Runs a history. `tables`: those that the job is given, and others to be swapped in; `worker_counts`: the choices at every
/// start.
pub fn run(
    seed: u64,
    config: &JobConfig,
    tables: &[Arc<TableSet>],
    records: Vec<Vec<Stored>>,
    worker_counts: &[usize],
) -> Outcome {
    let last = records
        .iter()
        .filter_map(|p| p.last())
        .map(|r| r.timestamp_millis)
        .max();
    let end_secs = last.expect("records") as u64 / 1000;
    let goal = end_secs - config.rows.lateness_secs;
    let dir = tempfile::tempdir().expect("a folder");
    let mut history = History {
        dice: Dice::new(seed ^ 0x5eed),
        topic: MemoryTopic::new(records),
        config,
        tables,
        state: dir.path().to_owned(),
        goal_secs: goal - goal % config.rows.window_secs,
    };
    let partitions = history.topic.count() as u64;
    let first = 1 + history.dice.roll(partitions) as usize;
    history.topic.show(first);
    let mut table = Table::default();
    let deaths = history.dice.roll(4);
    for attempt in 1..=deaths {
        let workers = worker_counts[history.dice.roll(worker_counts.len() as u64) as usize];
        table = history.attempt(attempt, workers, table, false).0;
    }
    let workers = worker_counts[history.dice.roll(worker_counts.len() as u64) as usize];
    let (table, checkpoint) = history.attempt(deaths + 1, workers, table, true);
    let checkpoint = checkpoint.expect("the last attempt writes one");
    let state = history.state();
    Outcome {
        table,
        timeline: whole(&state, &checkpoint.timeline),
        checkpoint,
        attempts: deaths + 1,
        added: partitions - first as u64,
        state,
        topic: history.topic,
        folder: dir,
    }
}

/// A timeline with the retirements of all checkpoints before it.
fn whole(state: &StateStore, last: &Timeline) -> Timeline {
    let mut all = last.clone();
    for number in state.numbers().expect("a listing") {
        let checkpoint = state.checkpoint(number).expect("whole");
        let events = checkpoint.expect("kept").timeline.retirements;
        all.retirements.extend(events);
    }
    all.retirements.sort_by_key(|event| event.line_secs);
    all.retirements.dedup();
    all
}

impl History<'_> {
    fn attempt(
        &mut self,
        attempt: u64,
        workers: usize,
        table: Table,
        last: bool,
    ) -> (Table, Option<Arc<Checkpoint>>) {
        let config = JobConfig {
            workers,
            ..self.config.clone()
        };
        self.topic.broken(false);
        let this = Attempt::new(
            config,
            Arc::new(self.topic.clone()),
            Arc::clone(&self.tables[0]),
            self.state(),
            attempt,
        );
        let (stop, status) = (Arc::clone(&this.stop), Arc::clone(&this.status));
        if attempt > 1 {
            // While nobody reads.
            for partition in 0..self.topic.count() {
                self.retain(partition, 50);
            }
        }
        let running = thread::spawn(move || this.run(table));
        let bursts = if last { u64::MAX } else { self.dice.roll(80) };
        for _ in 0..bursts {
            let partition = self.dice.roll(self.topic.count() as u64) as usize;
            let burst = 1 + self.dice.roll(25);
            self.topic.reveal(partition, burst);
            self.retain(partition, 20);
            if self.dice.chance(5) {
                self.ask_for_tables();
            }
            if self.dice.chance(3) {
                self.topic
                    .show(self.topic.count().min(self.topic.shown() + 1));
            }
            if (0..self.topic.count()).all(|p| !self.topic.reveal(p, 0)) {
                break;
            }
            // Some bursts wait until the job has read what there is, others come on top.
            if self.dice.chance(30) {
                wait(|| running.is_finished() || self.read(&status.look()));
            }
        }
        if last {
            self.topic.show(self.topic.count());
            let goal = self.goal_secs;
            wait(|| {
                let look = status.look();
                running.is_finished() || self.read(&look) && look.retired_secs >= goal
            });
            stop.store(true, Ordering::Release);
        } else {
            self.topic.broken(true);
        }
        let (result, table, checkpoint) = running.join().expect("the job's thread lives");
        assert_eq!(
            result.is_ok(),
            last,
            "a broken topic ends the job, nothing else does: {result:?}"
        );
        (table, checkpoint)
    }

    /// Other tables are to be in force, or those that were given again.
    fn ask_for_tables(&mut self) {
        let others = self.tables.len() as u64 - 1;
        if others == 0 {
            return;
        }
        let archive = self.tables[self.dice.roll(1 + others) as usize].archive();
        let state = StateStore::join(&self.state).expect("a state");
        let hash = table_hash(&archive);
        state.archive_table(&hash, &archive).expect("archived");
        let newest = state.newest().expect("whole");
        let request = SwapRequest {
            number: 0,
            hash,
            base: None,
            given: None,
            asked_secs: 0,
            by: "test".to_owned(),
            from_secs: None,
        };
        let decided = newest.map_or(0, |newest| newest.swaps.decided);
        state.ask_swap(&request, decided, 0).expect("put");
    }

    /// With so much of a chance retention takes some of a partition's records, read or not.
    fn retain(&mut self, partition: usize, percent: u64) {
        if self.config.accept_gap && self.dice.chance(percent) {
            let (earliest, visible) = (
                self.topic.earliest(partition),
                self.topic.visible(partition),
            );
            let more = self.dice.roll(1 + visible.saturating_sub(earliest));
            self.topic.expire(partition, earliest + more);
        }
    }

    /// Opens the state; its lock is let go when the last thread of the attempt before has ended.
    fn state(&self) -> StateStore {
        loop {
            match StateStore::open(&self.state) {
                Ok(state) => return state,
                Err(StateError::Taken { .. }) => thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Everything visible was read, and its ticks are closed.
    fn read(&self, look: &Snapshot) -> bool {
        (0..self.topic.shown()).all(|p| {
            let at = look.positions.get(&(p as u32));
            let end = self.topic.visible(p);
            self.topic.earliest(p) >= end || at.is_some_and(|at| at.offset >= end)
        })
    }
}

fn wait(mut until: impl FnMut() -> bool) {
    while !until() {
        thread::yield_now();
    }
}
