//! One computation: the job itself, over a part of the topic, into a scratch state, in this process.
//!
//! Law 8: it ends when it is asked to, and when the scratch cannot be written, rather than wait for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flow_dataflow::{
    Job, JobConfig, JobError, Metrics, Peers, Plan, Replay, Snapshot, Status, TableShelf,
};
use flow_state::{Acks, Published, StateStore};
use flow_topic::Topic;

use super::base::{Base, Slots};
use super::throttled::Throttled;
use crate::failure::{Exit, Failure};
use crate::progress::LiveLine;
use crate::running::random;
use crate::watchdog::Watchdog;
use crate::{cli, clock};

/// Between two looks at the job.
const LOOK: Duration = Duration::from_millis(100);
/// So often a scratch that cannot be written is tried.
const TRIES: u64 = 4;

/// What is to be computed.
pub(super) struct Computation {
    job: Job,
    replay: Arc<Replay>,
    progress: Progress,
}

impl Computation {
    /// Of this replay of the job of `base`, into a scratch state.
    pub(super) fn new(
        base: &Base,
        range: &cli::Range,
        replay: Replay,
        state: StateStore,
    ) -> Computation {
        let (processes, process) = (range.cluster.processes, range.cluster.process);
        let (workers, replay) = (range.workers, Arc::new(replay));
        let config = JobConfig {
            workers,
            processes,
            process,
            rows: base.rows.clone(),
            until_end: true,
            replay: Some(Arc::clone(&replay)),
            ..JobConfig::default()
        };
        let job = Job {
            config,
            topic: topic(base, range),
            tables: TableShelf::new(state.clone(), Arc::default()),
            state,
            published: Published::new(),
            // Of a sink that never follows: every row stays on disk.
            acks: match (processes, process) {
                (1, _) | (_, 1..) => Acks::new(1),
                _ => Acks::beside(1, 0, processes),
            },
            metrics: Metrics::default(),
            status: Arc::new(Status::default()),
            clock: clock::system(),
            id: format!("{:016x}", random()),
            attempt: random(),
            stop: Arc::default(),
        };
        let progress = Progress {
            slots: replay.slots(),
            window_secs: base.rows.window_secs,
            records: replay.records((process * workers, workers, processes * workers)),
            begun: Instant::now(),
        };
        Computation {
            job,
            replay,
            progress,
        }
    }

    /// Runs to its end; the others, if there are some, are connected, and this process goes by a plan, or makes it.
    ///
    /// # Errors
    /// What has ended it before that.
    pub(super) fn run(
        self,
        (peers, plan): (Peers, Option<Plan>),
        addresses: Vec<String>,
        asked: &AtomicBool,
    ) -> Result<Arc<Replay>, Failure> {
        let Computation {
            job,
            replay,
            progress,
        } = self;
        let (metrics, status) = (job.metrics.clone(), Arc::clone(&job.status));
        let process = job.config.process;
        let watchdog = (!addresses.is_empty())
            .then(|| Watchdog::start(process, addresses, Arc::clone(&status)))
            .transpose()?;
        let running = thread::Builder::new()
            .name("replay".to_owned())
            .spawn(move || job.run_with(peers, plan))?;
        let mut line = LiveLine::of(progress.records);
        while !running.is_finished() {
            if asked.load(Ordering::Acquire) {
                let what = "asked to end before the slots were computed";
                return Err(Failure::new(Exit::Io, what));
            }
            let look = status.look();
            // A job waits until there is room; whoever waits for this would rather know.
            let given_up = look.undone.values().find(|undone| undone.failed >= TRIES);
            if let Some(error) = given_up.and_then(|undone| undone.error.as_deref()) {
                return Err(Failure::from_error(Exit::Io, error).hint(
                    "--scratch names a directory with room for the rows of all slots of the range",
                ));
            }
            line.at(metrics.records.get());
            line.show(|| progress.describe(&look, &metrics));
            thread::sleep(LOOK); // the job has its own threads; this one only shows what they do
        }
        let died = |_| Failure::new(Exit::Bug, "the thread of the replay has died");
        running.join().map_err(died)?.map_err(overtaken)?;
        drop(watchdog);
        line.end(&progress.done(&metrics));
        Ok(replay)
    }
}

/// Retention goes on while a replay reads.
fn overtaken(error: JobError) -> Failure {
    match error {
        JobError::Gap { .. } => Failure::from_error(Exit::Config, &error)
            .hint("retention has overtaken this replay: name later slots, or give --partial"),
        error => error.into(),
    }
}

/// The topic, at this process's part of the rate that all of them may have together.
fn topic(base: &Base, range: &cli::Range) -> Arc<dyn Topic> {
    let topic = Arc::clone(&base.topic);
    let processes = u64::try_from(range.cluster.processes).unwrap_or(1);
    match range.throttle {
        Some(rate) => Arc::new(Throttled::new(topic, (rate / processes).max(1))),
        None => topic,
    }
}

/// How far a replay is, and of how much.
struct Progress {
    slots: Slots,
    window_secs: u64,
    /// Records that may have to be read by this process.
    records: u64,
    begun: Instant,
}

impl Progress {
    /// In one line.
    fn describe(&self, look: &Snapshot, metrics: &Metrics) -> String {
        let (flows, read) = (metrics.flows.get(), metrics.records.get());
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let millis = millis.max(1);
        let (first, end) = self.slots;
        let through = look.retired_secs.clamp(first, end);
        let left = match read {
            0 => "-".to_owned(),
            _ => {
                let records = self.records.saturating_sub(read);
                format!("{} s", records.saturating_mul(millis) / read / 1_000)
            }
        };
        format!(
            "{} of {} slots, {} flows/s, at most {left} left, {flows} flows in {read} of at most {} records",
            (through - first) / self.window_secs,
            (end - first) / self.window_secs,
            flows.saturating_mul(1_000) / millis,
            self.records,
        )
    }

    /// When all is read.
    fn done(&self, metrics: &Metrics) -> String {
        let (flows, secs) = (metrics.flows.get(), self.begun.elapsed().as_secs_f64());
        format!(
            "{} slots computed of {flows} flows in {} records, {secs:.1} s",
            (self.slots.1 - self.slots.0) / self.window_secs,
            metrics.records.get(),
        )
    }
}
