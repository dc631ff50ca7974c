//! The source operator: reads this worker's partitions inside the open tick, to pre-aggregated rows.
//!
//! Input: ticks. Outputs: rows by (rollup, slot, key), and reports to worker 0. State: the partitions and the cache
//! of pre-aggregation, empty between ticks. The right to send comes only from the ticks' own messages: tick n's
//! capability is kept until n+1's message or the end of the ticks, and with it go n's cuts (law 4).
//! Law 8: it stops at a bound of bytes in unfinished ticks, and is woken when a tick is finished. Where records come
//! over a network, it is woken when there are some.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flow_state::{Acks, Position};
use flow_topic::{Topic, Wake};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream};
use timely::scheduling::Activator;

use crate::config::JobConfig;
use crate::failure::{Failure, JobError};
use crate::job::Job;
use crate::loader::Loader;
use crate::metrics::Metrics;
use crate::operator;
use crate::partition::{Downstream, Partition, Stop};
use crate::sealed::Row;
use crate::shelf::TableShelf;
use crate::tick::{Report, Tick};

pub(crate) type Builder<T> = CapacityContainerBuilder<Vec<T>>;
pub(crate) type Flowing<'s, T> = Stream<'s, u64, Vec<T>>;

/// Bytes one partition reads in an activation before the others have their turn.
const TURN_BYTES: u64 = 1 << 20;

/// How a worker's source learns that ticks are finished.
#[derive(Default)]
pub(crate) struct Finished {
    /// First tick not finished yet.
    pub(crate) first_open: Cell<u64>,
    /// Wakes the source: a frontier that moves activates the operators downstream of it, never the source.
    pub(crate) wake: RefCell<Option<Activator>>,
}

/// The open tick and the right to send in it: rows, reports.
type Open = (Tick, Capability<u64>, Capability<u64>);

/// What the operator owns.
pub(crate) struct Source<R: Row> {
    pub(crate) worker: usize,
    pub(crate) partitions: Vec<Partition>,
    /// How many the topic had when it was last told.
    known: u32,
    topic: Arc<dyn Topic>,
    /// Wakes this operator; `None` until it is built.
    wake: Option<Wake>,
    pub(crate) down: Downstream<R>,
    pub(crate) config: JobConfig,
    pub(crate) metrics: Metrics,
    pub(crate) failure: Failure,
    acks: Arc<Acks>,
    stop: Arc<AtomicBool>,
    /// Bytes read in unfinished ticks, oldest first.
    flight: VecDeque<(u64, u64)>,
    told_bytes: u64,
    /// Of the first worker of a process: loads tables that are to be swapped in.
    loader: Option<Loader>,
    tables: TableShelf,
    /// It could not be restored: told with its first tick, before that tick's cuts can be known.
    failed: bool,
}

impl<R: Row> Source<R> {
    /// Over these partitions, out of so many that the topic has.
    pub(crate) fn new(
        worker: usize,
        job: &Job,
        (partitions, known): (Vec<Partition>, u32),
        down: Downstream<R>,
        failure: &Failure,
    ) -> Source<R> {
        Source {
            worker,
            partitions,
            known,
            topic: Arc::clone(&job.topic),
            wake: None,
            down,
            config: job.config.clone(),
            metrics: job.metrics.clone(),
            failure: failure.clone(),
            acks: Arc::clone(&job.acks),
            stop: Arc::clone(&job.stop),
            flight: VecDeque::new(),
            told_bytes: 0,
            loader: None,
            tables: job.tables.clone(),
            failed: false,
        }
    }

    /// The one that loads tables for its process.
    pub(crate) fn loading(self, loader: Option<Loader>) -> Source<R> {
        Source { loader, ..self }
    }

    /// One that reads nothing, since its worker could not be restored: the job ends without another checkpoint (law 5).
    pub(crate) fn failed(self) -> Source<R> {
        Source {
            failed: true,
            ..self
        }
    }

    /// Tells worker 0 that this process can't go on; why stands in its failure cell.
    fn failure_report(&self) -> Report {
        Report::Failed {
            process: self.config.process,
        }
    }

    /// From now on it is woken when a partition that had nothing to show may have something.
    fn wake_by(&mut self, wake: Wake) {
        for partition in &mut self.partitions {
            partition.wake_by(Arc::clone(&wake));
        }
        self.wake = Some(wake);
    }

    /// A tick begins: every partition may be read on, and those of ours that are new with it from their first record.
    fn begin_tick(&mut self, tick: &Tick, reports: &mut Vec<Report>) {
        self.partitions.iter_mut().for_each(|p| p.waits = false);
        self.swap(tick, reports);
        if std::mem::take(&mut self.failed) {
            reports.push(self.failure_report());
        }
        let new = self.known..tick.partitions;
        self.known = self.known.max(tick.partitions);
        for id in new {
            if !self.config.reads(self.worker, id) {
                continue;
            }
            match self.topic.reader(id, 0) {
                Ok(reader) => {
                    tracing::info!(partition = id, "a new partition is read");
                    let mut new = Partition::new(id, reader, Position::beginning(0), None);
                    if let Some(wake) = &self.wake {
                        new.wake_by(Arc::clone(wake));
                    }
                    self.partitions.push(new);
                }
                Err(error) => {
                    self.failure.set(error.into());
                    reports.push(self.failure_report());
                }
            }
        }
    }

    /// What a tick says of tables. The announced ones are at hand, since every process has said so.
    fn swap(&mut self, tick: &Tick, reports: &mut Vec<Report>) {
        if let (Some(asked), Some(loader)) = (tick.prepare, &self.loader) {
            loader.load(asked);
        }
        if let Some(announced) = tick.announce {
            match self.tables.at_hand(&announced.tables.hash()) {
                Some(set) => self.down.enricher.swap(announced.from_secs, set),
                None => {
                    self.failure.set(JobError::Tables {
                        version: announced.tables.version,
                        what: "announced before it was loaded".to_owned(),
                    });
                    reports.push(self.failure_report());
                }
            }
        }
        self.down.enricher.retire(tick.retired_secs);
    }

    /// The open tick is over: what the cache holds leaves in it, then its cuts.
    fn end_tick(&mut self, tick: u64, reports: &mut Vec<Report>) {
        self.down.enricher.flush(&mut self.down.sums);
        self.down.sums.drain();
        reports.extend(self.partitions.iter_mut().map(|p| Report::Cut(p.cut(tick))));
        self.told_bytes = 0;
        let process = self.config.process;
        let loaded = self.loader.iter().flat_map(Loader::done);
        reports.extend(loaded.map(|loaded| Report::Loaded {
            process,
            request: loaded.request,
            error: loaded.error,
        }));
        // Process 0 sees its own without being told.
        if self.config.process > 0 && self.worker.is_multiple_of(self.config.workers) {
            reports.push(Report::Followed {
                process: self.config.process,
                tick,
                rows: self.acks.lowest(),
                raw: self.acks.raw_lowest(),
            });
            if self.stop.load(Ordering::Acquire) {
                reports.push(Report::Stop);
            }
        }
    }

    /// Reads on in the open tick. True if there may be more to read at once.
    fn read(&mut self, tick: &Tick, first_open: u64, reports: &mut Vec<Report>) -> bool {
        while self.flight.front().is_some_and(|(n, _)| *n < first_open) {
            self.flight.pop_front();
        }
        let mut in_flight: u64 = self.flight.iter().map(|(_, bytes)| bytes).sum();
        let (mut read, mut more) = (0, false);
        let failed = self.failure_report();
        for partition in &mut self.partitions {
            if partition.waits || partition.ended || in_flight >= self.config.in_flight_bytes {
                continue;
            }
            let mut budget = TURN_BYTES;
            let stop = partition.poll(
                tick,
                &mut budget,
                &mut self.down,
                (&self.config, &self.metrics),
            );
            read += TURN_BYTES - budget;
            in_flight += TURN_BYTES - budget;
            match stop {
                Ok(Stop::Budget) => more = true,
                Ok(Stop::Empty) => {}
                Ok(Stop::Held(reach)) => {
                    partition.waits = true;
                    reports.push(Report::Reaches(reach));
                }
                Ok(Stop::Paused) => {
                    partition.waits = true;
                    reports.push(Report::Paused);
                }
                Ok(Stop::End) => {
                    partition.ended = true;
                    reports.push(Report::Ended);
                }
                Err(error) => {
                    partition.ended = true;
                    self.failure.set(error);
                    reports.push(failed.clone());
                }
            }
        }
        self.account(tick.n, read, in_flight, reports);
        more && in_flight < self.config.in_flight_bytes
    }

    /// Tells worker 0 what was read: every eighth of a tick, and always when the bound is reached.
    fn account(&mut self, tick: u64, read: u64, in_flight: u64, reports: &mut Vec<Report>) {
        if read == 0 {
            return;
        }
        match self.flight.back_mut() {
            Some((n, bytes)) if *n == tick => *bytes += read,
            _ => self.flight.push_back((tick, read)),
        }
        let bytes = self.flight.back().map_or(0, |(_, bytes)| *bytes);
        let full = in_flight >= self.config.in_flight_bytes;
        if full || bytes - self.told_bytes >= self.config.tick_bytes / 8 {
            self.told_bytes = bytes;
            reports.push(Report::Read {
                worker: self.worker,
                tick,
                bytes,
                full,
            });
        }
    }
}

/// Builds the operator.
pub(crate) fn source<'s, R: Row>(
    scope: Scope<'s, u64>,
    ticks: Flowing<'s, Tick>,
    mut source: Source<R>,
    finished: Rc<Finished>,
) -> (Flowing<'s, R>, Flowing<'s, Report>) {
    let mut builder = OperatorBuilder::new("source".to_owned(), scope);
    let mut input = builder.new_input(ticks, Pipeline);
    let (output, rows) = builder.new_output();
    let mut rows_out = OutputBuilder::<u64, Builder<R>>::from(output);
    let (output, reports) = builder.new_output();
    let mut reports_out = OutputBuilder::<u64, Builder<Report>>::from(output);
    let activator = scope.activator_for(builder.operator_info().address);
    *finished.wake.borrow_mut() = Some(activator.clone());
    let path = builder.operator_info().address.to_vec();
    let arrived = scope.worker().sync_activator_for(path);
    source.wake_by(Arc::new(move || {
        // Fails only when the worker has ended.
        let _ = arrived.activate();
    }));
    builder.build(move |initial| {
        drop(initial);
        let mut open: Option<Open> = None;
        let mut told: Vec<Report> = Vec::new();
        move |frontiers| {
            let _running = operator::enter("source");
            let (mut rows_out, mut reports_out) = (rows_out.activate(), reports_out.activate());
            let mut next: Vec<Option<Open>> = Vec::new();
            input.for_each(|capability, ticks| {
                for tick in ticks.drain(..) {
                    let keep = capability.retain_least(0).zip(capability.retain_least(1));
                    if let Some((rows, reports)) = keep {
                        next.push(Some((tick, rows, reports)));
                    }
                }
            });
            if frontiers[0].is_empty() {
                next.push(None); // worker 0 has closed the ticks: the open one ends, too
            }
            for following in next {
                if let Some((tick, rows, reports)) = std::mem::replace(&mut open, following) {
                    source.end_tick(tick.n, &mut told);
                    rows_out
                        .session(&rows)
                        .give_iterator(source.down.sums.leaving());
                    reports_out.session(&reports).give_iterator(told.drain(..));
                }
                if let Some((tick, ..)) = &open {
                    source.begin_tick(tick, &mut told);
                }
            }
            let Some((tick, rows, reports)) = &open else {
                return;
            };
            let more = source.read(tick, finished.first_open.get(), &mut told);
            rows_out
                .session(rows)
                .give_iterator(source.down.sums.leaving());
            reports_out.session(reports).give_iterator(told.drain(..));
            if more {
                activator.activate();
            }
        }
    });
    (rows, reports)
}
