//! The worker's loop: what one worker does before and after each of timely's steps.
//!
//! Law 10: a turn never sleeps and never waits for another thread, so that whoever drives it decides when it comes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use flow_proto::{RowRecord, WideRecord, WidestRecord, Width};
use timely::worker::Worker;

use crate::chief::{Chief, Heard};
use crate::crew::{Office, WorkerKit};
use crate::driver::Driver;
use crate::enrich::Enricher;
use crate::failure::{Failure, JobError};
use crate::job::build;
use crate::ledger::Ledger;
use crate::partition::{Downstream, Partition};
use crate::preaggregate::PreAggregate;
use crate::restore;
use crate::sealed::Row;
use crate::source::{Finished, Source};
use crate::window_state::WindowState;
use crate::windows::Windows;

/// Longest sleep of a worker: a stop from outside is noticed within it.
pub(crate) const NAP: Duration = Duration::from_millis(100);

/// What a worker hears from the dataflow between two steps.
#[derive(Clone, Default)]
pub(crate) struct Ears {
    pub(crate) heard: Rc<RefCell<Heard>>,
    pub(crate) finished: Rc<Finished>,
}

/// A worker whose dataflow is built.
pub struct WorkerLoop {
    ears: Ears,
    chief: Option<Chief>,
    failure: Failure,
}

impl WorkerLoop {
    /// Restores this worker's part and builds the dataflow, on the worker's own thread. A worker that can't start still
    /// builds it, so that the others come to their end.
    pub fn build(kit: WorkerKit, worker: &mut Worker) -> WorkerLoop {
        match Width::of(kit.job.config.rows.rollups.words()) {
            Width::Narrow => WorkerLoop::build_of::<RowRecord>(kit, worker),
            Width::Wide => WorkerLoop::build_of::<WideRecord>(kit, worker),
            Width::Widest => WorkerLoop::build_of::<WidestRecord>(kit, worker),
        }
    }

    fn build_of<R: Row>(kit: WorkerKit, worker: &mut Worker) -> WorkerLoop {
        let ears = Ears::default();
        let (source, windows) = parts::<R>(&kit).unwrap_or_else(|error| {
            kit.failure.set(error);
            nothing(&kit)
        });
        let source = source.loading(kit.loader);
        let (lead, relayed) = match kit.office {
            Some(Office::Chief(committer, lookouts)) => (Some((committer, lookouts)), None),
            Some(Office::Relayed(relayed)) => (None, Some(relayed)),
            None => (None, None),
        };
        let ticks = build(worker, source, windows, &ears, relayed);
        let (job, start) = (&kit.job, &kit.start);
        let chief = lead.map(|helpers| {
            let ledger = Ledger::new(
                &start.base,
                start.positions.clone(),
                (start.timeline.clone(), start.swaps.clone()),
                job.config.rows.rollups,
            );
            let now = (job.clock)() / 1_000_000;
            let numbers = (start.base.number, start.next_number);
            let driver = Driver::new(job.config.clone(), ledger, numbers, now);
            Chief::new(job.clone(), driver, helpers, start, ticks)
        });
        WorkerLoop {
            ears,
            chief,
            failure: kit.failure,
        }
    }

    /// Before each step of the worker. Returns for how long it may sleep if there is nothing to do; `None`: until it is
    /// woken.
    pub fn turn(&mut self) -> Option<Duration> {
        let chief = self.chief.as_mut()?;
        let first_open = self.ears.finished.first_open.get();
        chief.turn(&mut self.ears.heard.borrow_mut(), first_open, &self.failure);
        Some(chief.nap().min(NAP))
    }

    /// After the dataflow has ended, until it returns true: the last checkpoint is under way.
    pub fn finish(&mut self) -> bool {
        match &mut self.chief {
            Some(chief) => chief.finish(&mut self.ears.heard.borrow_mut(), &self.failure),
            None => true,
        }
    }

    /// From the first turn to the last, on this thread.
    pub(crate) fn run(mut self, worker: &mut Worker) {
        loop {
            let nap = self.turn();
            worker.step_or_park(nap);
            if !worker.has_dataflows() {
                break;
            }
        }
        while !self.finish() {
            std::thread::park_timeout(NAP);
        }
    }
}

/// This worker's partitions and shards.
fn parts<R: Row>(kit: &WorkerKit) -> Result<(Source<R>, Windows<R>), JobError> {
    let WorkerKit {
        index: me,
        job,
        start,
        writer,
        failure,
        ..
    } = kit;
    let config = &job.config;
    let mut partitions = Vec::new();
    for (id, position) in &start.positions {
        if config.reads(*me, *id) {
            let reader = job.topic.reader(*id, position.offset)?;
            let end = start.ends.get(id).copied();
            let partition = Partition::new(*id, reader, *position, end);
            let partition = partition.ending(config.replay.as_ref());
            partitions.push(partition.knowing(&start.base.gaps));
        }
    }
    #[cfg_attr(
        not(feature = "mutants"),
        expect(unused_mut, reason = "changed by mutants only")
    )]
    let mut sums = PreAggregate::new(config.rows.rollups);
    #[cfg(feature = "mutants")]
    {
        sums.lose_evicted = config.broken(crate::Mutant::EvictedRowLost);
    }
    #[cfg_attr(
        not(feature = "mutants"),
        expect(unused_mut, reason = "changed by mutants only")
    )]
    let mut versions = start.versions.clone();
    #[cfg(feature = "mutants")]
    if config.broken(crate::Mutant::VersionByArrival) {
        versions = versions.newest();
    }
    let down = Downstream {
        enricher: Enricher::new(versions, config.rows.rollups),
        sums,
    };
    let known = u32::try_from(start.positions.len()).unwrap_or(u32::MAX);
    let source = Source::new(*me, job, (partitions, known), down, failure);
    let state = restore::windows(config, &start.base, &job.state, *me)?;
    let place = (*me, me.is_multiple_of(config.workers));
    Ok((source, Windows::new(place, state, writer.clone(), config)))
}

/// The parts of a worker that reads and holds nothing.
fn nothing<R: Row>(kit: &WorkerKit) -> (Source<R>, Windows<R>) {
    let rollups = kit.job.config.rows.rollups;
    let down = Downstream {
        enricher: Enricher::new(kit.start.versions.clone(), rollups),
        sums: PreAggregate::new(rollups),
    };
    let state = WindowState::new(rollups, BTreeSet::new());
    let none = (Vec::new(), u32::MAX);
    (
        Source::new(kit.index, &kit.job, none, down, &kit.failure).failed(),
        Windows::new(
            (kit.index, kit.index.is_multiple_of(kit.job.config.workers)),
            state,
            kit.writer.clone(),
            &kit.job.config,
        ),
    )
}
