//! The loader: gets a table set from the archive into its process before it is announced, beside the workers.
//!
//! The first worker of each process hands it what a tick asks for, and tells worker 0 what has become of it when a tick
//! ends. Law 3: a set is announced only when every process has it, so that no worker ever waits for one; a process that
//! can't load it says why, and the old one stays in force everywhere.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use flow_state::TableVersion;

use crate::shelf::TableShelf;
use crate::tick::Asked;
use crate::turns::{self, Did, Turns};

/// Tries before it is given up: with the pause between two of them, 10 s.
const TRIES: u32 = 20;
/// How long a set that nobody holds stays at least.
const IDLE: Duration = Duration::from_secs(60);

/// What became of a request in this process.
pub(crate) struct Loaded {
    pub(crate) request: u64,
    /// Why the tables can't be loaded.
    pub(crate) error: Option<String>,
}

/// The first worker's way to the loader, and back.
pub(crate) struct Loader {
    orders: mpsc::Sender<Asked>,
    done: mpsc::Receiver<Loaded>,
}

impl Loader {
    /// Hands over what is to be loaded.
    pub(crate) fn load(&self, asked: Asked) {
        // It ends only with the process or with this sender.
        let _ = self.orders.send(asked);
    }

    /// What has been loaded, or not, since.
    pub(crate) fn done(&self) -> impl Iterator<Item = Loaded> + '_ {
        self.done.try_iter()
    }
}

/// The loader itself, turn by turn.
pub(crate) struct LoadDesk {
    shelf: TableShelf,
    orders: mpsc::Receiver<Asked>,
    done: mpsc::Sender<Loaded>,
    due: Option<Asked>,
    tries: u32,
}

impl LoadDesk {
    pub(crate) fn new(shelf: TableShelf) -> (Loader, LoadDesk) {
        let (to_desk, orders) = mpsc::channel();
        let (outgoing, done) = mpsc::channel();
        let desk = LoadDesk {
            shelf,
            orders,
            done: outgoing,
            due: None,
            tries: 0,
        };
        let loader = Loader {
            orders: to_desk,
            done,
        };
        (loader, desk)
    }

    fn one(&mut self, asked: Asked) -> Did {
        let version = TableVersion {
            number: asked.version,
            hash: asked.hash(),
        };
        let error = match self.shelf.prepare(&version) {
            Ok(()) => None,
            Err(error) => {
                self.tries += 1;
                if self.tries < TRIES {
                    tracing::warn!(%error, "tables that are to be swapped in can't be loaded yet");
                    self.due = Some(asked);
                    return Did::Failed;
                }
                Some(error.to_string())
            }
        };
        self.tries = 0;
        let request = asked.request;
        match self.done.send(Loaded { request, error }) {
            Ok(()) => Did::Something,
            Err(_) => Did::Over,
        }
    }
}

impl Turns for LoadDesk {
    fn turn(&mut self, wait: bool) -> Did {
        if let Some(asked) = self.due.take() {
            return self.one(asked);
        }
        let next = match wait {
            true => self.orders.recv_timeout(IDLE).map_err(|none| match none {
                RecvTimeoutError::Timeout => Did::Nothing,
                RecvTimeoutError::Disconnected => Did::Over,
            }),
            false => turns::next(&self.orders, false),
        };
        match next {
            Ok(asked) => {
                self.due = Some(asked);
                Did::Something
            }
            Err(none) => {
                self.shelf.tidy();
                none
            }
        }
    }
}
