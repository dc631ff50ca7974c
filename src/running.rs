//! A running job: its dataflow thread, and a thread for each sink that follows the checkpoints.
//!
//! Law 6: a sink that fails for good ends the job; one that is down does not. At the end every sink catches up with
//! the last checkpoint, within a limit of time; so is the last checkpoint written.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flow_dataflow::{
    Clock, Job, JobConfig, JobError, Plan, RawReader, Snapshot, Status, TableShelf, key,
};
use flow_sinks::{
    Backoff, Follower, FollowerConfig, Lag, RawFollower, RawSink, Share, Sink, SinkError, Store,
};
use flow_state::{Acks, Published, StateError, StateStore};
use flow_topic::Topic;

use crate::catch_up::{self, Look};
use crate::cluster::Place;
use crate::failure::{Exit, Failure};
use crate::last_checkpoint::LastCheckpoint;
use crate::raw_topic::JobTopic;
use crate::watchdog::Watchdog;

/// Between two looks at a job that ends.
const LOOK: Duration = Duration::from_millis(50);

/// What a job is made of.
pub(crate) struct Parts {
    pub(crate) config: JobConfig,
    pub(crate) topic: Arc<dyn Topic>,
    pub(crate) tables: TableShelf,
    pub(crate) state: StateStore,
    pub(crate) stores: Vec<Store>,
    pub(crate) job_metrics: flow_dataflow::Metrics,
    pub(crate) sink_metrics: flow_sinks::Metrics,
    pub(crate) clock: Clock,
    /// Where this process stands among those of the job.
    pub(crate) place: Place,
}

/// A job under way.
pub(crate) struct Running {
    pub(crate) status: Arc<Status>,
    job: JoinHandle<Result<Snapshot, JobError>>,
    followers: Vec<catch_up::Follower>,
    pub(crate) published: Arc<Published>,
    stop: Arc<AtomicBool>,
    until_end: bool,
    last: LastCheckpoint,
    /// What the sinks have written, and their names.
    written: Written,
    lags: Vec<Lag>,
    /// Where there are other processes.
    watchdog: Option<Watchdog>,
}

impl Running {
    /// Starts everything. A sink that belongs to another job is refused before anything is read.
    pub(crate) fn start(mut parts: Parts) -> Result<Running, Failure> {
        let place = std::mem::take(&mut parts.place);
        let (id, base) = identity(&parts.state, place.plan.as_ref())?;
        let published = Published::new();
        let (sinks, raw_sinks) = split(std::mem::take(&mut parts.stores));
        let processes = parts.config.processes;
        let acks = match place.plan {
            None => Acks::beside(sinks.len(), raw_sinks.len(), processes),
            Some(_) => Acks::with_raw(sinks.len(), raw_sinks.len()),
        };
        let status = Arc::new(Status::default());
        let stop = Arc::new(AtomicBool::new(false));
        let config = follower_config(&parts, &id, base);
        let mut threads: Vec<(String, Thread)> = Vec::new();
        let mut lags = Vec::new();
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
            lags.push(follower.lag());
            let name = follower.sink_name().to_owned();
            threads.push((name, Box::new(move || follower.run())));
        }
        for (number, sink) in raw_sinks.into_iter().enumerate() {
            let mut follower = RawFollower::new(
                (sink, Box::new(topic(&parts))),
                parts.state.clone(),
                Arc::clone(&published),
                (Arc::clone(&acks), number),
                config.clone(),
            )
            .with_metrics(&parts.sink_metrics);
            follower.admit()?;
            lags.push(follower.lag());
            let name = follower.sink_name().to_owned();
            threads.push((name, Box::new(move || follower.run())));
        }
        let names = threads.iter().map(|(name, _)| name.clone()).collect();
        let followers = threads
            .into_iter()
            .map(|(name, run)| follow(name, run, Arc::clone(&stop)))
            .collect::<Result<_, _>>()?;
        let until_end = parts.config.until_end;
        let watchdog = (processes > 1)
            .then(|| Watchdog::start(parts.config.process, place.addresses, Arc::clone(&status)))
            .transpose()?;
        let last = LastCheckpoint::new(parts.state.place(), parts.config.process);
        let written = (parts.sink_metrics, names);
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
        let job = thread::Builder::new()
            .name("job".to_owned())
            .spawn(move || job.run_with(place.peers, place.plan))?;
        Ok(Running {
            status,
            job,
            followers,
            published,
            stop,
            until_end,
            last,
            written,
            lags,
            watchdog,
        })
    }

    /// Asks for the end: one more checkpoint, then the sinks catch up.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Sets the gauges of stores that are waited for, too: to be called now and then.
    pub(crate) fn show_lags(&self) {
        show(&self.lags);
    }

    /// Whether the dataflow has ended, by itself or because it was told to, or has been waited for long enough.
    pub(crate) fn is_over(&self) -> bool {
        if self.job.is_finished() {
            return true;
        }
        let look = self.status.look();
        // Another process may have been told: its signal comes with a tick.
        let stopping = look.stopping || (look.closing && !self.until_end);
        (stopping || self.stop.load(Ordering::Acquire)) && self.last.is_given_up(&look)
    }

    /// Ends without the last checkpoint. What waits for the state is left to the end of the process.
    fn leave(self) -> Failure {
        let look = self.status.look();
        let durable = self.published.newest().map(|newest| newest.number);
        let failure = self.last.failure(&look, durable);
        drop(self.watchdog);
        self.published.abandon();
        match catch_up::join(self.followers) {
            // It is why the job was told to stop.
            Ok(Err(error)) if !error.is_retry() => error.into(),
            Ok(_) => failure,
            Err(died) => died,
        }
    }

    /// Waits for the end of the dataflow and of every sink. `asked`: raised by a signal, which leaves less time.
    pub(crate) fn join(self, asked: &AtomicBool) -> Result<Snapshot, Failure> {
        while !self.is_over() {
            thread::sleep(LOOK); // threads can't be joined with a limit of time
        }
        if !self.job.is_finished() {
            return Err(self.leave());
        }
        let died = |_| Failure::new(Exit::Bug, "a thread of the job has died");
        let job = self.job.join().map_err(died)?;
        drop(self.watchdog);
        catch_up::wait(&self.followers, self.until_end, || {
            show(&self.lags);
            Look {
                written: rows(&self.written),
                asked: asked.load(Ordering::Acquire),
            }
        });
        self.published.abandon();
        // A sink's failure is why the job was told to stop: it comes first.
        catch_up::join(self.followers)??;
        Ok(job?)
    }
}

/// Id of the job, and the checkpoint that it goes on from: as process 0 has decided, or as the state says.
fn identity(state: &StateStore, plan: Option<&Plan>) -> Result<(String, u64), StateError> {
    if let Some(plan) = plan {
        return Ok((plan.job.clone(), plan.base));
    }
    Ok(match state.newest()? {
        Some(checkpoint) => (checkpoint.job, checkpoint.number),
        None => (format!("{:016x}", random()), 0),
    })
}

fn show(lags: &[Lag]) {
    lags.iter().for_each(Lag::show);
}

/// Metrics of the sinks, and the names of these.
type Written = (flow_sinks::Metrics, Vec<String>);

/// Rows and raw flows that the sinks have written.
fn rows((metrics, names): &Written) -> u64 {
    let of = |name: &String| metrics.rows_written(name) + metrics.raw_flows_written(name);
    names.iter().map(of).sum()
}

/// A follower's loop.
type Thread = Box<dyn FnOnce() -> Result<(), SinkError> + Send>;

type Split = (Vec<Box<dyn Sink>>, Vec<Box<dyn RawSink>>);

/// What writes rollups, and what writes raw flows.
fn split(stores: Vec<Store>) -> Split {
    let (rollups, raw): (Vec<_>, Vec<_>) = stores.into_iter().map(|s| (s.rollups, s.raw)).unzip();
    (
        rollups.into_iter().flatten().collect(),
        raw.into_iter().flatten().collect(),
    )
}

fn follower_config(parts: &Parts, job: &str, base: u64) -> FollowerConfig {
    let now = Arc::clone(&parts.clock);
    FollowerConfig {
        job: job.to_owned(),
        base,
        shards: (0..key::SHARDS)
            .filter_map(|shard| u16::try_from(shard).ok())
            .collect(),
        rollups: parts.config.rows.rollups,
        share: Share {
            process: parts.config.process,
            processes: parts.config.processes,
        },
        backoff: Backoff::default(),
        now_secs: Arc::new(move || now() / 1_000_000_000),
    }
}

/// The topic, as a raw follower reads it: each has its own readers, at its own pace.
fn topic(parts: &Parts) -> JobTopic {
    JobTopic::new(RawReader::new(
        Arc::clone(&parts.topic),
        parts.config.clone(),
        parts.tables.clone(),
    ))
}

fn follow(name: String, run: Thread, stop: Arc<AtomicBool>) -> Result<catch_up::Follower, Failure> {
    let short = format!("sink-{name}").chars().take(15).collect();
    let thread = thread::Builder::new().name(short).spawn(move || {
        let result = run();
        if result.is_err() {
            stop.store(true, Ordering::Release);
        }
        result
    })?;
    Ok((name, thread))
}

/// 64 bits that no other start has: the standard library seeds its hasher from the system.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
