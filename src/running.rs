//! A running job: its dataflow thread, and a thread for each sink that follows the checkpoints.
//!
//! Law 6: a sink that fails for good ends the job; one that is down does not. At the end every sink catches up with
//! the last checkpoint, within a limit of time.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flow_dataflow::{Clock, Job, JobConfig, JobError, Snapshot, Status, key};
use flow_sinks::{Backoff, Follower, FollowerConfig, SinkError, Store};
use flow_state::{Acks, Published, StateDir};
use flow_tables::TableSet;
use flow_topic::Topic;

use crate::failure::{Exit, Failure};

/// What a job is made of.
pub(crate) struct Parts {
    pub(crate) config: JobConfig,
    pub(crate) topic: Arc<dyn Topic>,
    pub(crate) tables: Arc<TableSet>,
    pub(crate) state: StateDir,
    pub(crate) stores: Vec<Store>,
    pub(crate) job_metrics: flow_dataflow::Metrics,
    pub(crate) sink_metrics: flow_sinks::Metrics,
    pub(crate) clock: Clock,
}

/// A job under way.
pub(crate) struct Running {
    pub(crate) status: Arc<Status>,
    job: JoinHandle<Result<Snapshot, JobError>>,
    followers: Vec<JoinHandle<Result<(), SinkError>>>,
    published: Arc<Published>,
    stop: Arc<AtomicBool>,
}

/// How long sinks may take to catch up at the end.
const CATCH_UP: Duration = Duration::from_secs(60);
/// Between two looks at threads that end.
const LOOK: Duration = Duration::from_millis(50);

impl Running {
    /// Starts everything. A sink that belongs to another job is refused before anything is read.
    pub(crate) fn start(parts: Parts) -> Result<Running, Failure> {
        let newest = parts.state.newest()?;
        let base = newest.as_ref().map_or(0, |checkpoint| checkpoint.number);
        let id = newest.map_or_else(|| format!("{:016x}", random()), |checkpoint| checkpoint.job);
        let published = Published::new();
        let sinks: Vec<_> = parts.stores.into_iter().filter_map(|s| s.rollups).collect();
        let acks = Acks::new(sinks.len());
        let status = Arc::new(Status::default());
        let stop = Arc::new(AtomicBool::new(false));
        let now = Arc::clone(&parts.clock);
        let config = FollowerConfig {
            job: id.clone(),
            base,
            shards: (0..key::SHARDS)
                .filter_map(|shard| u16::try_from(shard).ok())
                .collect(),
            window_secs: parts.config.rows.window_secs,
            backoff: Backoff::default(),
            now_secs: Arc::new(move || now() / 1_000_000_000),
        };
        let mut followers = Vec::new();
        for (number, sink) in sinks.into_iter().enumerate() {
            let mut follower = Follower::new(
                sink,
                parts.state.clone(),
                Arc::clone(&published),
                (Arc::clone(&acks), number),
                config.clone(),
            )
            .with_metrics(&parts.sink_metrics);
            follower.admit()?;
            followers.push(follower);
        }
        let job = Job {
            config: parts.config,
            topic: parts.topic,
            tables: parts.tables,
            state: parts.state,
            published: Arc::clone(&published),
            acks,
            metrics: parts.job_metrics,
            status: Arc::clone(&status),
            clock: parts.clock,
            id,
            attempt: random(),
            stop: Arc::clone(&stop),
        };
        let followers = followers
            .into_iter()
            .map(|follower| follow(follower, Arc::clone(&stop)))
            .collect::<Result<_, _>>()?;
        let job = thread::Builder::new()
            .name("job".to_owned())
            .spawn(move || job.run())?;
        Ok(Running {
            status,
            job,
            followers,
            published,
            stop,
        })
    }

    /// Asks for the end: one more checkpoint, then the sinks catch up.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether the dataflow has ended, by itself or because it was told to.
    pub(crate) fn is_finished(&self) -> bool {
        self.job.is_finished()
    }

    /// Waits for the end of the dataflow and of every sink.
    pub(crate) fn join(self) -> Result<Snapshot, Failure> {
        let died = |_| Failure::new(Exit::Bug, "a thread of the job has died");
        let job = self.job.join().map_err(died)?;
        let mut left = CATCH_UP;
        while !left.is_zero() && !self.followers.iter().all(JoinHandle::is_finished) {
            thread::sleep(LOOK); // threads can't be joined with a limit of time
            left = left.saturating_sub(LOOK);
        }
        self.published.abandon();
        let mut sinks = Ok(());
        for follower in self.followers {
            let result = follower.join().map_err(died)?;
            sinks = sinks.and(result);
        }
        // A sink's failure is why the job was told to stop: it comes first.
        sinks?;
        Ok(job?)
    }
}

fn follow(
    follower: Follower,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<Result<(), SinkError>>, Failure> {
    let name = format!("sink-{}", follower.sink_name());
    let thread = thread::Builder::new().name(name.chars().take(15).collect());
    Ok(thread.spawn(move || {
        let result = follower.run();
        if result.is_err() {
            stop.store(true, Ordering::Release);
        }
        result
    })?)
}

/// 64 bits that no other start has: the standard library seeds its hasher from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
