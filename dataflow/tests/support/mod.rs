//! What the job's tests share: topic, follower, running a job to its end.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test uses a part of it"
)]

pub mod follower;
pub mod history;
pub mod memory;
pub mod raw;
pub mod scenario;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use flow_dataflow::{Clock, Job, JobConfig, JobError, Metrics, Snapshot, Status, TableShelf};
use flow_state::{Acks, Checkpoint, Published, StateStore};
use flow_tables::TableSet;
use flow_topic::Topic;

use follower::Table;

/// Ticks and checkpoints that come in a few looks at `clock`.
pub fn config() -> JobConfig {
    JobConfig {
        checkpoint_gap_millis: 3,
        checkpoint_millis: 15,
        tick_millis: 7,
        partitions_millis: 1,
        swaps_millis: 1,
        ..JobConfig::default()
    }
}

/// Milliseconds that pass with every look at the clock: time is injected, and goes on only by being asked for.
pub fn clock(step_millis: u64) -> Clock {
    let now = AtomicU64::new(1_000_000_000_000_000_000);
    Arc::new(move || now.fetch_add(step_millis * 1_000_000, Ordering::Relaxed))
}

/// One attempt of a job and its follower.
pub struct Attempt {
    pub job: Job,
    pub stop: Arc<AtomicBool>,
    pub status: Arc<Status>,
    pub metrics: Metrics,
}

impl Attempt {
    pub fn new(
        config: JobConfig,
        topic: Arc<dyn Topic>,
        tables: Arc<TableSet>,
        state: StateStore,
        attempt: u64,
    ) -> Attempt {
        let stop = Arc::new(AtomicBool::new(false));
        let status = Arc::new(Status::default());
        let metrics = Metrics::default();
        let job = Job {
            config,
            topic,
            tables: TableShelf::new(state.clone(), tables),
            state,
            published: Published::new(),
            // A raw store that is never heard of: every checkpoint stays.
            acks: Acks::with_raw(1, 1),
            metrics: metrics.clone(),
            status: Arc::clone(&status),
            clock: clock(1),
            id: "test".to_owned(),
            attempt,
            stop: Arc::clone(&stop),
        };
        Attempt {
            job,
            stop,
            status,
            metrics,
        }
    }

    /// Runs to the end; the table follows. What it has followed is kept however the job ends.
    pub fn run(self, table: Table) -> (Result<Snapshot, JobError>, Table, Option<Arc<Checkpoint>>) {
        let (published, acks, state) = (
            Arc::clone(&self.job.published),
            Arc::clone(&self.job.acks),
            self.job.state.clone(),
        );
        let newest = Arc::clone(&published);
        let follower = thread::spawn(move || table.follow(&published, &state, &acks));
        let result = self.job.run();
        let table = follower.join().expect("the follower holds");
        (result, table, newest.newest())
    }
}
