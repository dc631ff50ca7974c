//! The other processes that compute: process 0 tells them what, and each does its part of it.
//!
//! Law 1: process 0 decides what is computed, and where it is put; the others are told. They show nothing and write no store.
//! A way to each of them stays open for as long as the command runs, so that none is left behind.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flow_dataflow::{Peers, Plan, Replay, receive, send};
use flow_peers::{Hosts, Token};
use flow_state::{StateError, StateStore};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::base::Base;
use super::computation::Computation;
use crate::cluster;
use crate::failure::{Exit, Failure};
use crate::{cli, signals};

/// How often a process that waits looks whether process 0 is still there.
const LOOK: Duration = Duration::from_millis(50);

/// What process 0 tells.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// Connect, and compute this in the scratch state there.
    Compute(Box<Replay>, PathBuf),
    /// All is computed.
    End,
}

/// What the others tell process 0: their part of it is done.
#[derive(Debug, Serialize, Deserialize)]
struct Computed;

/// The processes of one command.
pub(super) struct Others {
    hosts: Hosts,
    token: Token,
    process: usize,
    alike: String,
    /// To each of them.
    told: Peers,
}

impl Others {
    /// Finds them. `None`: there are none.
    ///
    /// # Errors
    /// If this process can't be one of them, or a signal came first.
    pub(super) fn gather(
        range: &cli::Range,
        (state, topic): (&Path, &str),
        asked: &AtomicBool,
    ) -> Result<Option<Others>, Failure> {
        let Some((hosts, token)) = cluster::given(&range.cluster)? else {
            return Ok(None);
        };
        let alike = format!(
            "processes={}\nworkers={}\nstate={}\ntopic={}",
            range.cluster.processes,
            range.workers,
            state.display(),
            flow_topic::shown(topic)
        );
        let mut others = Others {
            hosts,
            token,
            process: range.cluster.process,
            alike,
            told: Peers::new(),
        };
        others.told = others.connect("told", asked)?;
        Ok(Some(others))
    }

    fn connect(&self, purpose: &str, asked: &AtomicBool) -> Result<Peers, Failure> {
        let alike = format!("{}\nfor={purpose}", self.alike);
        let found = cluster::connect((&self.hosts, &self.token), self.process, alike, asked)?;
        found.ok_or_else(|| Failure::new(Exit::Io, "ended before all processes were there"))
    }

    /// A connection to each, to compute by, unless one goes meanwhile: it would be waited for without end.
    fn connect_again(&self, asked: &AtomicBool) -> Result<Peers, Failure> {
        let [over, done, gone] = [const { AtomicBool::new(false) }; 3];
        let connected = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    if self
                        .told
                        .iter()
                        .flatten()
                        .any(|other| said(other) == Said::Gone)
                    {
                        gone.store(true, Ordering::Release);
                    }
                    if gone.load(Ordering::Acquire) || asked.load(Ordering::Acquire) {
                        over.store(true, Ordering::Release);
                    }
                    thread::sleep(LOOK); // neither a signal nor a lost connection wakes anybody
                }
            });
            let connected = self.connect("compute", &over);
            done.store(true, Ordering::Release);
            connected
        });
        match gone.load(Ordering::Acquire) {
            true => Err(lost(&ErrorKind::UnexpectedEof.into())),
            false => connected,
        }
    }

    /// Where each of them is, for messages.
    pub(super) fn addresses(&self) -> Vec<String> {
        cluster::addresses(&self.hosts)
    }

    /// Has all of them compute; returns the connections for it.
    ///
    /// # Errors
    /// If one is lost.
    pub(super) fn compute(
        &mut self,
        replay: &Replay,
        scratch: &Path,
        asked: &AtomicBool,
    ) -> Result<Peers, Failure> {
        self.tell(&Order::Compute(
            Box::new(replay.clone()),
            scratch.to_path_buf(),
        ))?;
        self.connect_again(asked)
    }

    /// Waits until all of them are through with it: they look into the scratch state until then.
    ///
    /// # Errors
    /// If one is lost, or a signal came first.
    pub(super) fn computed(&mut self, asked: &AtomicBool) -> Result<(), Failure> {
        for other in self.told.iter_mut().flatten() {
            let Computed = hear(other, asked)?;
        }
        Ok(())
    }

    /// Lets them go.
    ///
    /// # Errors
    /// If one is lost.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        self.tell(&Order::End)
    }

    fn tell(&mut self, order: &Order) -> Result<(), Failure> {
        for other in self.told.iter_mut().flatten() {
            send(other, order).map_err(|error| lost(&error))?;
        }
        Ok(())
    }
}

/// Waits for what a process has to say.
fn hear<T: DeserializeOwned>(other: &mut TcpStream, asked: &AtomicBool) -> Result<T, Failure> {
    while said(other) == Said::Nothing {
        if asked.load(Ordering::Acquire) {
            let what = "asked to end before all was computed";
            return Err(Failure::new(Exit::Io, what));
        }
        thread::sleep(LOOK); // a signal raises a flag and wakes nobody
    }
    receive(other).map_err(|error| lost(&error))
}

fn lost(error: &std::io::Error) -> Failure {
    let what = format!("another process of this replay is lost ({error})");
    Failure::new(Exit::PeerLost, what).hint("start all of them again")
}

/// Another process than 0: computes what it is told until it is let go.
///
/// # Errors
/// If process 0 is lost, or something cannot be computed.
pub(super) fn follow(range: &cli::Range, (state, topic): (&Path, &str)) -> Result<(), Failure> {
    let asked = signals::install()?;
    let base = Base::open(state, topic, range)?;
    let Some(mut others) = Others::gather(range, (state, topic), &asked)? else {
        return Ok(());
    };
    loop {
        match hear(way(&mut others.told)?, &asked)? {
            Order::End => return Ok(()),
            Order::Compute(replay, scratch) => {
                let mut peers = others.connect_again(&asked)?;
                let plan: Plan = receive(way(&mut peers)?).map_err(|error| lost(&error))?;
                let state = StateStore::join(&scratch).map_err(|error| match error {
                    StateError::Missing { .. } => elsewhere(&scratch),
                    error => error.into(),
                })?;
                let computation = Computation::new(&base, range, *replay, state);
                computation.run((peers, Some(plan)), others.addresses(), &asked)?;
                send(way(&mut others.told)?, &Computed).map_err(|error| lost(&error))?;
            }
        }
    }
}

/// The one to process 0.
fn way(peers: &mut Peers) -> Result<&mut TcpStream, Failure> {
    let first = peers.first_mut().and_then(Option::as_mut);
    first.ok_or_else(|| Failure::new(Exit::Bug, "there is no way to process 0"))
}

fn elsewhere(scratch: &Path) -> Failure {
    let what = format!(
        "{}: process 0 computes there, and this process does not find it",
        scratch.display()
    );
    Failure::new(Exit::Config, what).hint("--scratch names a directory that all processes share")
}

/// What a look at a connection shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Something,
    Gone,
}

/// Does not wait.
fn said(other: &TcpStream) -> Said {
    let looked = other
        .set_nonblocking(true)
        .and_then(|()| other.peek(&mut [0]));
    let back = other.set_nonblocking(false);
    match looked {
        Ok(0) => Said::Gone,
        Ok(_) => Said::Something,
        Err(error) if error.kind() == ErrorKind::WouldBlock && back.is_ok() => Said::Nothing,
        Err(_) => Said::Gone,
    }
}
