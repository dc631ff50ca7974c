//! Workers: timely wants a thread for each, the schedule wants one thing at a time. So a worker does what it is ordered,
//! answers, and waits: only one thread runs at any moment.
//!
//! All processes of a job share one set of timely's channels: worker `process * workers + local`, as over a network.
//! Law 10: between two orders a worker does nothing, and it ends between two steps, as by `kill -9`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};

use flow_dataflow::{WorkerKit, WorkerLoop};
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::execute::execute_from;
use timely::worker::Worker;

/// How a worker stands after an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It goes on.
    Lives,
    /// Its dataflow has ended, and what follows it.
    Done,
    /// It has panicked.
    Panicked(String),
}

/// The workers of a job.
pub(crate) struct Workers {
    seats: Vec<(Sender<u32>, Receiver<Told>)>,
    guards: Option<timely::communication::WorkerGuards<()>>,
}

/// What a worker's thread takes with it.
type Seat = (WorkerKit, Receiver<u32>, Sender<Told>);

impl Workers {
    /// Threads for all of them; each builds its part with its first order. `apart`: what they tell each other goes as
    /// bytes, as between processes.
    pub(crate) fn start(kits: Vec<WorkerKit>, apart: bool) -> Workers {
        let count = kits.len();
        let hooks = timely::communication::Hooks::default();
        let builders = if apart {
            ProcessBuilder::new_bytes_vector(count, hooks.refill, hooks.spill)
        } else {
            ProcessBuilder::new_typed_vector(count, hooks.refill, hooks.spill)
        };
        let builders = builders
            .into_iter()
            .map(AllocatorBuilder::Process)
            .collect();
        let (mut seats, mut theirs) = (Vec::new(), Vec::new());
        for kit in kits {
            let (order, orders) = mpsc::channel();
            let (tell, told) = mpsc::channel();
            seats.push((order, told));
            theirs.push(Some((kit, orders, tell)));
        }
        let theirs: Mutex<Vec<Option<Seat>>> = Mutex::new(theirs);
        let config = timely::WorkerConfig::default();
        let guards = execute_from(builders, Box::new(()), config, move |worker| {
            let mut theirs = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            let seat = theirs.get_mut(worker.index()).and_then(Option::take);
            drop(theirs);
            if let Some(seat) = seat {
                live(seat, worker);
            }
        });
        Workers {
            seats,
            guards: guards.ok(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.seats.len()
    }

    /// Lets a worker take so many turns.
    pub(crate) fn order(&self, worker: usize, turns: u32) -> Told {
        let (order, told) = &self.seats[worker];
        let gone = || Told::Panicked("the worker's thread has ended".to_owned());
        if order.send(turns).is_err() {
            return gone();
        }
        told.recv().unwrap_or_else(|_| gone())
    }
}

impl Drop for Workers {
    /// Between two steps: every worker lets go of everything.
    fn drop(&mut self) {
        self.seats.clear();
        if let Some(guards) = self.guards.take() {
            for result in guards.join() {
                drop(result);
            }
        }
    }
}

fn live((kit, orders, tell): Seat, worker: &mut Worker) {
    let mut kit = Some(kit);
    let mut built: Option<WorkerLoop> = None;
    while let Ok(turns) = orders.recv() {
        let done = catch_unwind(AssertUnwindSafe(|| {
            if let Some(kit) = kit.take() {
                built = Some(WorkerLoop::build(kit, worker));
                return false;
            }
            (0..turns).any(|_| built.as_mut().is_none_or(|it| turn(it, worker)))
        }));
        let told = match done {
            Ok(false) => Told::Lives,
            Ok(true) => Told::Done,
            Err(panic) => Told::Panicked(words(panic.as_ref())),
        };
        if tell.send(told).is_err() {
            break;
        }
    }
    drop(built);
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

/// One turn; true once there is nothing left to do.
fn turn(it: &mut WorkerLoop, worker: &mut Worker) -> bool {
    if !worker.has_dataflows() {
        return it.finish();
    }
    it.turn();
    worker.step();
    false
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let short = || panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(short)
        .unwrap_or_else(|| "a panic without words".to_owned())
}
