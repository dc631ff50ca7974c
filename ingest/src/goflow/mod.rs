//! GoFlow's metrics of the collector, for dashboards that were made for it.
//!
//! Beside our own, which count more and have fewer labels. Each decoding thread counts for itself, so that nobody waits
//! for a scrape longer than a copy takes. Law: a metric means what it means in GoFlow; where it cannot, the list in the
//! documentation says so.

mod list;
mod render;
mod summary;
mod tally;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow_proto::Flow;

use crate::udp::Listen;
use crate::wire::Outcome;
pub use list::{ALL, Declared, Kind};
use tally::Tally;

/// A datagram, and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Who sent it.
    pub source: SocketAddr,
    /// Length of its payload.
    pub bytes: usize,
    /// What the decoder says.
    pub outcome: &'a Outcome,
    /// Its flows.
    pub flows: &'a [Flow],
    /// When its decoding began: ns since 1970.
    pub begun_ns: u64,
    /// When its decoding ended.
    pub decoded_ns: u64,
    /// When its flows had been handed on.
    pub done_ns: u64,
}

/// The counts of all threads. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Goflow {
    workers: Arc<Mutex<Vec<Counts>>>,
}

/// The counts of one decoding thread.
#[derive(Clone, Debug)]
pub struct Counts(Arc<Mutex<Tally>>);

impl Goflow {
    /// Adds a thread that decodes what comes to a listener.
    pub fn worker(&self, number: usize, listen: &Listen) -> Counts {
        let counts = Counts(Arc::new(Mutex::new(Tally::new(number, listen))));
        lock(&self.workers).push(counts.clone());
        counts
    }

    /// All metrics in Prometheus' text format 0.0.4, without an end mark; quantiles are those of `now_ns`.
    pub fn text(&self, now_ns: u64) -> String {
        let workers = lock(&self.workers).clone();
        let tallies: Vec<Tally> = workers.iter().map(|c| lock(&c.0).clone()).collect();
        render::text(&tallies, now_ns)
    }
}

impl Counts {
    /// Counts a datagram.
    pub fn add(&self, arrived: &Arrived<'_>) {
        lock(&self.0).add(arrived);
    }
}

/// Counts that a panic left half done are still counts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
