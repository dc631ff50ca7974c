//! The job: wiring of the dataflow on every worker, and the loop that drives it.
//!
//! ```text
//! topic -> source (decode, enrich, pre-aggregate) -exchange by shard-> windows -> checkpoint -> followers
//!             ^------------- ticks, L, R (broadcast) ------------------^
//! ```
//! There is no cycle: sources report to worker 0 through an ordinary stream, and worker 0's loop reads the reports
//! between two steps.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use flow_state::{Acks, Group, Published, StateStore};
use flow_topic::Topic;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::{Broadcast, Input};
use timely::progress::frontier::MutableAntichain;
use timely::worker::Worker;

use crate::config::JobConfig;
use crate::crew::{Crew, WorkerKit};
use crate::failure::JobError;
use crate::message;
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::relay::Relayed;
use crate::sealed::Row;
use crate::shelf::TableShelf;
use crate::source::{Source, source};
use crate::status::{Snapshot, Status};
use crate::tick::{Closed, Report, Sealed, Tick};
use crate::turns;
use crate::windows::{Windows, windows};
use crate::worker_loop::{Ears, WorkerLoop};

/// Nanoseconds since 1970 (UTC), injected: decides when ticks open and checkpoints are due, never what a row holds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Everything a job works with.
#[derive(Clone)]
pub struct Job {
    /// What it is told.
    pub config: JobConfig,
    /// What it reads.
    pub topic: Arc<dyn Topic>,
    /// Its tables: those that it is given, and every version that its state holds.
    pub tables: TableShelf,
    /// Where its checkpoints are.
    pub state: StateStore,
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
    /// Id of the job: that of the state's newest checkpoint, or a new one where there is none.
    pub id: String,
    /// Id of this attempt: another one at every start.
    pub attempt: u64,
    /// Set from outside: one more checkpoint, then the end.
    pub stop: Arc<AtomicBool>,
}

/// The processes of a job: a connection to each, in their order, none to oneself.
pub type Peers = Vec<Option<TcpStream>>;

impl Job {
    /// Runs alone until told to stop, or with `until_end` until the topic's end. Publishes every durable checkpoint, the
    /// restored one first, and closes `published` when it returns.
    ///
    /// # Errors
    /// Whatever ends it before its time; what is durable stays as it is.
    pub fn run(self) -> Result<Snapshot, JobError> {
        self.run_with(Vec::new(), None)
    }

    /// Runs as one of several processes, as `run`. Process 0 makes the plan and sends it to the others, which give what
    /// they have received.
    ///
    /// # Errors
    /// As `run`.
    pub fn run_with(self, peers: Peers, plan: Option<Plan>) -> Result<Snapshot, JobError> {
        let result = self.run_inner(peers, plan);
        self.published.close();
        result.map(|()| self.status.look())
    }

    fn run_inner(&self, mut peers: Peers, plan: Option<Plan>) -> Result<(), JobError> {
        let mut crew = match plan {
            Some(plan) => Crew::follow(self, plan)?,
            None => Crew::lead(self)?,
        };
        if self.config.process == 0 {
            for peer in peers.iter_mut().flatten() {
                message::send(peer, &crew.plan).map_err(|error| JobError::lost(&error))?;
            }
        }
        let broken = |error: std::io::Error| JobError::Dataflow(error.to_string());
        let desks = std::mem::take(&mut crew.desks).into_iter();
        let desks: Vec<_> = desks
            .map(|(name, desk)| turns::start(name, desk).map_err(broken))
            .collect::<Result<_, _>>()?;
        let first = self.config.process * self.config.workers;
        let kits = std::mem::take(&mut crew.workers).into_iter().map(Some);
        // Each worker takes its own; no code that can panic runs under the lock.
        let kits: Mutex<Vec<Option<WorkerKit>>> = Mutex::new(kits.collect());
        let (builders, guard) = allocators(&self.config, peers).map_err(broken)?;
        let guards = timely::execute::execute_from(
            builders,
            guard,
            timely::WorkerConfig::default(),
            move |worker| {
                let mut kits = kits.lock().unwrap_or_else(PoisonError::into_inner);
                let kit = kits.get_mut(worker.index() - first).and_then(Option::take);
                drop(kits);
                if let Some(kit) = kit {
                    WorkerLoop::build(kit, worker).run(worker);
                }
            },
        )
        .map_err(JobError::Dataflow)?;
        for result in guards.join() {
            result.map_err(JobError::Dataflow)?;
        }
        // The last ways to the desks went with the workers.
        for desk in desks {
            drop(desk.join());
        }
        crew.end()
    }
}

/// Channels between this process's workers, and to those of the others.
fn allocators(
    config: &JobConfig,
    peers: Peers,
) -> std::io::Result<(Vec<AllocatorBuilder>, Box<dyn std::any::Any + Send>)> {
    let hooks = Hooks::default();
    let (refill, spill) = (hooks.refill.clone(), hooks.spill.clone());
    let local = ProcessBuilder::new_typed_vector(config.workers, refill, spill);
    if peers.len() < 2 {
        let alone = local.into_iter().map(AllocatorBuilder::Process).collect();
        return Ok((alone, Box::new(())));
    }
    let (process, workers) = (config.process, config.workers);
    let (tcp, guard) = initialize_networking_from_sockets(local, peers, process, workers, hooks)?;
    let tcp = tcp.into_iter().map(AllocatorBuilder::Tcp).collect();
    Ok((tcp, Box::new(guard)))
}

/// The handle by which worker 0 opens ticks.
pub(crate) type Ticks = timely::dataflow::operators::vec::input::Handle<u64, Tick>;

/// Builds the dataflow; alike on every worker.
pub(crate) fn build<R: Row>(
    worker: &mut Worker,
    source_part: Source<R>,
    windows_part: Windows<R>,
    ears: &Ears,
    mut relayed: Option<Relayed>,
) -> Ticks {
    worker.dataflow::<u64, _, _>(|scope| {
        let (handle, ticks) = scope.new_input::<Tick>();
        let ticks = ticks.broadcast();
        ticks
            .clone()
            .sink(Pipeline, "relayed", move |(input, frontier)| {
                input.for_each(|_, ticks| {
                    if let Some(relayed) = &mut relayed {
                        ticks.iter().for_each(|tick| relayed.see(tick));
                    }
                });
                if frontier.is_empty()
                    && let Some(relayed) = relayed.take()
                {
                    relayed.end();
                }
            });
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

/// Groups of a seal, by the process that has written them.
pub(crate) fn groups_of(sealed: &mut Vec<Sealed>, number: u64) -> BTreeMap<u32, Vec<Group>> {
    let mut groups: BTreeMap<u32, Vec<Group>> = BTreeMap::new();
    sealed.retain(|part| {
        if part.number == number && !part.groups.is_empty() {
            groups.entry(part.process).or_default().extend(&part.groups);
        }
        part.number > number
    });
    groups
}
