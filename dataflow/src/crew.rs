//! The crew: what one process of a job is made of beside timely, each part ready to be driven.
//!
//! `Job::run` gives each part a thread; a simulation gives each its turns, in an order of its own. Law 1: rows do not
//! depend on that order.

use std::sync::Arc;
use std::time::Duration;

use crate::committer::{CommitDesk, Committer};
use crate::config::broken;
use crate::failure::{Failure, JobError};
use crate::job::Job;
use crate::loader::{LoadDesk, Loader};
use crate::lookout::{LookDesk, Lookout};
use crate::plan::Plan;
use crate::relay::{RelayDesk, Relayed};
use crate::restore::{self, Start};
use crate::segment_writer::{SegmentDesk, SegmentWriter};
use crate::swaps::{SwapDesk, SwapLookout};
use crate::turns::Turns;

/// One process of a job.
pub struct Crew {
    /// What each of its workers is built from, in their order.
    pub workers: Vec<WorkerKit>,
    /// What is to be driven beside the workers, each under its name.
    pub desks: Vec<(&'static str, Box<dyn Turns + Send>)>,
    /// What the other processes go by.
    pub plan: Plan,
    pub(crate) failure: Failure,
}

/// One worker to be, for the thread that it is going to live on.
pub struct WorkerKit {
    pub(crate) index: usize,
    pub(crate) job: Job,
    pub(crate) start: Arc<Start>,
    pub(crate) writer: SegmentWriter,
    pub(crate) failure: Failure,
    pub(crate) office: Option<Office>,
    /// The first worker of a process has it, unless tables can't change.
    pub(crate) loader: Option<Loader>,
}

/// What the first worker of a process has to do beside its own work.
pub(crate) enum Office {
    /// In process 0: drives the job.
    Chief(Committer, Lookouts),
    /// In another one: tells its process of the ticks.
    Relayed(Relayed),
}

/// What worker 0 hears from desks that look for news.
pub(crate) struct Lookouts {
    /// Partitions of the topic; `None` for a job that reads to an end.
    pub(crate) partitions: Option<Lookout>,
    /// Requests for other tables; `None` for a replay.
    pub(crate) swaps: Option<SwapLookout>,
}

impl Crew {
    /// Process 0: reads the newest checkpoint and checks it against topic, tables and options.
    ///
    /// # Errors
    /// What does not fit, or cannot be read.
    pub fn lead(job: &Job) -> Result<Crew, JobError> {
        let start = restore::start(job)?;
        if job.config.processes > 1 {
            job.state.leave_proof(start.attempt)?;
        }
        Ok(Crew::of(job, start))
    }

    /// Another process: goes by what process 0 has decided.
    ///
    /// # Errors
    /// If the state does not hold what the plan says.
    pub fn follow(job: &Job, plan: Plan) -> Result<Crew, JobError> {
        Ok(Crew::of(job, restore::follow(job, plan)?))
    }

    fn of(job: &Job, start: Start) -> Crew {
        let config = &job.config;
        if start.base.number > 0 {
            job.published.publish(Arc::clone(&start.base));
        }
        let failure = Failure::default();
        let process = u32::try_from(config.process).unwrap_or(u32::MAX);
        let shape = (process, config.workers);
        let failed = &job.metrics.failed_writes;
        let named = segments_named(job, start.attempt);
        let shows = || (failed.clone(), Arc::clone(&job.status));
        let (writer, segments) = SegmentDesk::new(job.state.clone(), named, shape, shows());
        let mut desks: Vec<(&'static str, Box<dyn Turns + Send>)> = Vec::new();
        desks.push(("segment-writer", Box::new(segments)));
        let published = Arc::clone(&job.published);
        let mut office = Some(if config.process == 0 {
            let told = (published, Arc::clone(&job.acks));
            let (committer, desk) = CommitDesk::new(
                job.state.clone(),
                told,
                (Arc::clone(&job.topic), config.clone()),
                shows(),
            );
            desks.push(("committer", Box::new(desk)));
            let partitions = (!config.until_end).then(|| {
                let pause = Duration::from_millis(config.partitions_millis);
                let (lookout, desk) = LookDesk::new(Arc::clone(&job.topic), pause);
                desks.push(("lookout", Box::new(desk)));
                lookout
            });
            let swaps = config.replay.is_none().then(|| {
                let pause = Duration::from_millis(config.swaps_millis);
                let decided = start.swaps.decided;
                let (lookout, desk) = SwapDesk::new(job.state.clone(), decided, pause);
                desks.push(("swaps", Box::new(desk)));
                lookout
            });
            Office::Chief(committer, Lookouts { partitions, swaps })
        } else {
            let shown = (published, Arc::clone(&job.status));
            let base = if broken!(config, RelayOfAnyAttempt) {
                u64::MAX
            } else {
                start.base.number
            };
            let from = (start.attempt, base);
            let (relayed, desk) = RelayDesk::new(job.state.clone(), from, shown, failure.clone());
            desks.push(("relay", Box::new(desk)));
            Office::Relayed(relayed)
        });
        let mut loader = config.replay.is_none().then(|| {
            let (loader, desk) = LoadDesk::new(job.tables.clone());
            desks.push(("loader", Box::new(desk)));
            loader
        });
        let (plan, start) = (Plan::of(&start), Arc::new(start));
        let kit = |local| WorkerKit {
            index: config.process * config.workers + local,
            job: job.clone(),
            start: Arc::clone(&start),
            writer: writer.clone(),
            failure: failure.clone(),
            office: office.take(),
            loader: loader.take(),
        };
        Crew {
            workers: (0..config.workers).map(kit).collect(),
            desks,
            plan,
            failure,
        }
    }

    /// Why the job has ended before its time, once workers and desks are through.
    ///
    /// # Errors
    /// The first reason there was.
    pub fn end(&self) -> Result<(), JobError> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

/// The attempt that the names of a job's segments say, so that no two attempts write one file.
pub(crate) fn segments_named(job: &Job, attempt: u64) -> u64 {
    if broken!(job.config, FileNamedByNumber) {
        0
    } else {
        attempt
    }
}
