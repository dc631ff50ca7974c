//! Turns: how the threads beside the workers are driven, by a thread of their own or by a schedule.
//!
//! Law 10: what such a thread does is a function of what it was handed; when it does it is its caller's business. So a
//! test can let every one of them, and every worker, take its turns in an order of its own.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between two tries of what has failed.
const RETRY: Duration = Duration::from_millis(500);

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// There was nothing to do.
    Nothing,
    /// One step was done.
    Something,
    /// It did not succeed, and will be tried again.
    Failed,
    /// Nothing can come any more.
    Over,
}

/// What takes turns.
pub trait Turns {
    /// One step. With `wait`, sleeps until there is something to do.
    fn turn(&mut self, wait: bool) -> Did;
}

/// What comes next; with `wait`, as soon as there is something. The error says why there is nothing.
pub(crate) fn next<T>(incoming: &Receiver<T>, wait: bool) -> Result<T, Did> {
    let next = if wait {
        incoming.recv().map_err(TryRecvError::from)
    } else {
        incoming.try_recv()
    };
    next.map_err(|error| match error {
        TryRecvError::Empty => Did::Nothing,
        TryRecvError::Disconnected => Did::Over,
    })
}

/// Gives it a thread of its own, until nothing can come any more.
pub(crate) fn start(
    name: &str,
    mut turns: Box<dyn Turns + Send>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        loop {
            match turns.turn(true) {
                Did::Nothing | Did::Something => {}
                // Nothing tells when a disk has room again or a store answers: it can only be tried.
                Did::Failed => thread::sleep(RETRY),
                Did::Over => return,
            }
        }
    })
}
