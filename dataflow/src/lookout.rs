//! The lookout: asks the topic now and then how many partitions it has.
//!
//! A thread of its own, since the answer comes over a network. What it finds only says from which tick on a partition
//! is read; law 1: a partition begins at its first record and with a clock of its own, whenever it is found.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use flow_topic::Topic;

/// How many partitions are known. The thread ends, after the question under way, when this is dropped.
pub(crate) struct Lookout {
    found: Arc<AtomicU32>,
    /// Never sent into: the thread hears when it is dropped.
    _alive: mpsc::Sender<()>,
}

impl Lookout {
    /// Asks every `pause`.
    pub(crate) fn start(topic: Arc<dyn Topic>, pause: Duration) -> std::io::Result<Lookout> {
        let found = Arc::new(AtomicU32::new(0));
        let (alive, ended) = mpsc::channel::<()>();
        let seen = Arc::downgrade(&found);
        thread::Builder::new()
            .name("lookout".to_owned())
            .spawn(move || {
                while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    look(topic.as_ref(), &seen);
                }
            })?;
        Ok(Lookout {
            found,
            _alive: alive,
        })
    }

    /// Partitions found so far; 0 if there was no answer yet.
    pub(crate) fn found(&self) -> u32 {
        self.found.load(Ordering::Acquire)
    }
}

fn look(topic: &dyn Topic, found: &Weak<AtomicU32>) {
    match topic.partitions() {
        Ok(count) => {
            if let Some(found) = found.upgrade() {
                found.fetch_max(count, Ordering::AcqRel);
            }
        }
        // Whoever reads the topic tells that it is away.
        Err(error) => tracing::debug!(%error, "the topic does not say how many partitions it has"),
    }
}
