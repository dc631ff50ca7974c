//! The job: wiring of the dataflow on every worker, and the loop that drives it.
//!
//! ```text
//! topic -> source (decode, enrich, pre-aggregate) -exchange by shard-> windows -> checkpoint -> followers
//!             ^------------- ticks, L, R (broadcast) ------------------^
//! ```
//! There is no cycle: sources report to worker 0 through an ordinary stream, and worker 0's loop reads the reports
//! between two steps.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flow_state::{Acks, Group, Published, StateDir};
use flow_tables::TableSet;
use flow_topic::Topic;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::{Broadcast, Input};
use timely::progress::frontier::MutableAntichain;
use timely::worker::Worker;

use crate::chief::{Chief, Heard};
use crate::committer::Committer;
use crate::config::{JobConfig, broken};
use crate::driver::Driver;
use crate::enrich::Enricher;
use crate::failure::{Failure, JobError};
use crate::ledger::Ledger;
use crate::lookout::Lookout;
use crate::metrics::Metrics;
use crate::partition::{Downstream, Partition};
use crate::preaggregate::PreAggregate;
use crate::restore::{self, Start};
use crate::segment_writer::SegmentWriter;
use crate::source::{Finished, Source, source};
use crate::status::{Snapshot, Status};
use crate::tick::{Closed, Report, Sealed, Tick};
use crate::windows::{Windows, windows};

/// Nanoseconds since 1970 (UTC), injected: decides when ticks open and checkpoints are due, never what a row holds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Everything a job works with.
#[derive(Clone)]
pub struct Job {
    /// What it is told.
    pub config: JobConfig,
    /// What it reads.
    pub topic: Arc<dyn Topic>,
    /// Today's tables.
    pub tables: Arc<TableSet>,
    /// Where its checkpoints are.
    pub state: StateDir,
    /// Where it tells the followers of durable checkpoints.
    pub published: Arc<Published>,
    /// How far the sinks have followed.
    pub acks: Arc<Acks>,
    /// What it counts.
    pub metrics: Metrics,
    /// Where it shows what it is doing.
    pub status: Arc<Status>,
    /// The injected clock.
    pub clock: Clock,
    /// Id of a job that starts anew; a restored one keeps its own.
    pub id: String,
    /// Id of this attempt: another one at every start.
    pub attempt: u64,
    /// Set from outside: one more checkpoint, then the end.
    pub stop: Arc<AtomicBool>,
}

/// Longest sleep of a worker: a stop from outside is noticed within it.
const NAP: Duration = Duration::from_millis(100);

impl Job {
    /// Runs until told to stop, or with `until_end` until the topic's end. Publishes every durable checkpoint, the
    /// restored one first, and closes `published` when it returns.
    ///
    /// # Errors
    /// Whatever ends it before its time; what is durable stays as it is.
    pub fn run(self) -> Result<Snapshot, JobError> {
        let result = self.run_inner();
        self.published.close();
        result.map(|()| self.status.look())
    }

    fn run_inner(&self) -> Result<(), JobError> {
        let Job {
            config,
            topic,
            tables,
            state,
            ..
        } = self;
        let start = restore::start(config, topic.as_ref(), Arc::clone(tables), state, &self.id)?;
        if start.base.number > 0 {
            self.published.publish(Arc::clone(&start.base));
        }
        let failure = Failure::default();
        let thread = |error: std::io::Error| JobError::Dataflow(error.to_string());
        let (writer, writing) =
            SegmentWriter::start(state.clone(), self.attempt, config.workers).map_err(thread)?;
        let (shared, job, failed) = (Arc::new(start), self.clone(), failure.clone());
        let guards = timely::execute(timely::Config::process(config.workers), move |worker| {
            if let Err(error) = work(worker, &job, &shared, &writer, &failed) {
                failed.set(error);
            }
        })
        .map_err(JobError::Dataflow)?;
        for result in guards.join() {
            result.map_err(JobError::Dataflow)?;
        }
        // The last way to the writer went with the workers' closure.
        drop(writing.join());
        failure.take().map_or(Ok(()), Err)
    }
}

/// What worker 0's loop hears from the dataflow between two steps.
struct Ears {
    heard: Rc<RefCell<Heard>>,
    finished: Rc<Finished>,
}

/// One worker, from restore to the end of the ticks.
fn work(
    worker: &mut Worker,
    job: &Job,
    start: &Start,
    writer: &SegmentWriter,
    failure: &Failure,
) -> Result<(), JobError> {
    let me = worker.index();
    let built = parts(me, job, start, writer, failure);
    // A worker that can't start still builds the dataflow, so that the others come to their end.
    let (source_part, windows_part) = match built {
        Ok(parts) => parts,
        Err(error) => {
            failure.set(error);
            job.stop.store(true, Ordering::Release);
            let down = Downstream {
                enricher: Enricher::new(start.versions.clone()),
                sums: PreAggregate::new(),
            };
            let state =
                crate::window_state::WindowState::new(job.config.rows.window_secs, BTreeSet::new());
            (
                Source::new(me, job, (Vec::new(), u32::MAX), down, failure),
                Windows::new(me, state, writer.clone(), false),
            )
        }
    };
    let ears = Ears {
        heard: Rc::default(),
        finished: Rc::default(),
    };
    let handle = build(worker, source_part, windows_part, &ears);
    let mut chief = None;
    if me == 0 {
        let committer = Committer::start(
            job.state.clone(),
            (Arc::clone(&job.published), Arc::clone(&job.acks)),
            Arc::clone(&job.topic),
            std::thread::current(),
        )
        .map_err(|error| JobError::Dataflow(error.to_string()))?;
        let ledger = Ledger::new(
            &start.base,
            start.positions.clone(),
            start.timeline.clone(),
            job.config.rows.window_secs,
        );
        let now = (job.clock)() / 1_000_000;
        let driver = Driver::new(job.config.clone(), ledger, start.next_number, now);
        let pause = Duration::from_millis(job.config.partitions_millis);
        let lookout = (!job.config.until_end)
            .then(|| Lookout::start(Arc::clone(&job.topic), pause))
            .transpose()
            .map_err(|error| JobError::Dataflow(error.to_string()))?;
        let helpers = (committer, lookout);
        chief = Some(Chief::new(job.clone(), driver, helpers, start, handle));
    } else {
        drop(handle);
    }
    loop {
        let mut nap = None;
        if let Some(chief) = &mut chief {
            let first_open = ears.finished.first_open.get();
            chief.turn(&mut ears.heard.borrow_mut(), first_open, failure);
            nap = Some(chief.nap().min(NAP));
        }
        worker.step_or_park(nap);
        if !worker.has_dataflows() {
            break;
        }
    }
    if let Some(chief) = chief {
        chief.finish(&mut ears.heard.borrow_mut(), failure);
    }
    Ok(())
}

/// This worker's partitions and shards.
fn parts(
    me: usize,
    job: &Job,
    start: &Start,
    writer: &SegmentWriter,
    failure: &Failure,
) -> Result<(Source, Windows), JobError> {
    let config = &job.config;
    let mut partitions = Vec::new();
    for (id, position) in &start.positions {
        if usize::try_from(*id).is_ok_and(|id| id % config.workers == me) {
            let reader = job.topic.reader(*id, position.offset)?;
            let end = start.ends.get(id).copied();
            partitions.push(Partition::new(*id, reader, *position, end));
        }
    }
    #[cfg_attr(
        not(feature = "mutants"),
        expect(unused_mut, reason = "changed by mutants only")
    )]
    let mut sums = PreAggregate::new();
    #[cfg(feature = "mutants")]
    {
        sums.lose_evicted = config.broken(crate::Mutant::EvictedRowLost);
    }
    let down = Downstream {
        enricher: Enricher::new(start.versions.clone()),
        sums,
    };
    let known = u32::try_from(start.positions.len()).unwrap_or(u32::MAX);
    let source = Source::new(me, job, (partitions, known), down, failure);
    let state = restore::windows(config, &start.base, &job.state, me)?;
    let early = broken!(config, NextTickFolded);
    Ok((source, Windows::new(me, state, writer.clone(), early)))
}

/// The handle by which worker 0 opens ticks.
pub(crate) type Ticks = timely::dataflow::operators::vec::input::Handle<u64, Tick>;

/// Builds the dataflow; alike on every worker.
fn build(worker: &mut Worker, source_part: Source, windows_part: Windows, ears: &Ears) -> Ticks {
    worker.dataflow::<u64, _, _>(|scope| {
        let (handle, ticks) = scope.new_input::<Tick>();
        let ticks = ticks.broadcast();
        let finished = Rc::clone(&ears.finished);
        let (rows, reports) = source(scope, ticks.clone(), source_part, Rc::clone(&finished));
        let (closed, sealed) = windows(scope, rows, ticks, windows_part);
        let heard = Rc::clone(&ears.heard);
        reports.sink(
            Exchange::new(|_: &Report| 0),
            "reports",
            move |(input, frontier)| {
                let mut heard = heard.borrow_mut();
                input.for_each(|_, reports| heard.reports.append(reports));
                heard.reported_to = low(frontier);
            },
        );
        let heard = Rc::clone(&ears.heard);
        sealed.sink(
            Exchange::new(|_: &Sealed| 0),
            "sealed",
            move |(input, frontier)| {
                let mut heard = heard.borrow_mut();
                input.for_each(|_, sealed| heard.sealed.append(sealed));
                heard.sealed_to = low(frontier);
            },
        );
        let heard = Rc::clone(&ears.heard);
        let seen = Cell::new(0);
        // The counts go to worker 0; the frontier is needed by every worker, for its own source.
        closed.clone().sink(
            Exchange::new(|_: &Closed| 0),
            "closed",
            move |(input, _)| {
                let mut heard = heard.borrow_mut();
                input.for_each(|_, closed| {
                    for closed in closed.drain(..) {
                        heard.open_keys.insert(closed.worker, closed.open_keys);
                    }
                });
            },
        );
        closed.sink(Pipeline, "finished", move |(input, frontier)| {
            input.for_each(|_, closed| closed.clear());
            let first_open = low(frontier);
            if seen.replace(first_open) != first_open {
                finished.first_open.set(first_open);
                if let Some(wake) = finished.wake.borrow().as_ref() {
                    wake.activate();
                }
            }
        });
        handle
    })
}

/// The frontier's element; the highest number when it is empty.
fn low(frontier: &MutableAntichain<u64>) -> u64 {
    frontier.frontier().first().copied().unwrap_or(u64::MAX)
}

/// Groups of a seal, from all processes.
pub(crate) fn groups_of(sealed: &mut Vec<Sealed>, number: u64) -> BTreeSet<Group> {
    let mut groups = BTreeSet::new();
    sealed.retain(|part| {
        if part.number == number {
            groups.extend(part.groups.iter().copied());
        }
        part.number > number
    });
    groups
}
