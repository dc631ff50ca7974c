//! `Published`: how the job tells the followers that a new checkpoint is durable.
//!
//! Followers are plain threads, each at its own pace: they take the newest checkpoint there is and skip what lies
//! between. Law 6: only a checkpoint that was put with `Won` is published; nothing else reaches a sink.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Checkpoint;

/// The newest durable checkpoint, and whether more are to come.
#[derive(Debug, Default)]
pub struct Published {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    newest: Option<Arc<Checkpoint>>,
    closed: bool,
    abandoned: bool,
}

impl Published {
    /// Nothing published yet. At a restart publish the restored checkpoint first.
    pub fn new() -> Arc<Published> {
        Arc::new(Published::default())
    }

    /// Tells all followers of a checkpoint that is durable. One that is not newer changes nothing.
    pub fn publish(&self, checkpoint: Arc<Checkpoint>) {
        let mut inner = self.lock();
        if inner
            .newest
            .as_ref()
            .is_none_or(|held| held.number < checkpoint.number)
        {
            inner.newest = Some(checkpoint);
        }
        self.changed.notify_all();
    }

    /// The newest one.
    pub fn newest(&self) -> Option<Arc<Checkpoint>> {
        self.lock().newest.clone()
    }

    /// The newest one if it is above `number`, waiting for it up to `timeout`; `None` at the timeout, or at once if
    /// there is none and no more are to come.
    pub fn wait_beyond(&self, number: u64, timeout: Duration) -> Option<Arc<Checkpoint>> {
        let beyond = |inner: &Inner| {
            inner
                .newest
                .clone()
                .filter(|checkpoint| checkpoint.number > number)
        };
        let inner = self.wait(timeout, |inner| inner.closed || beyond(inner).is_some());
        beyond(&inner)
    }

    /// The job has ended: no more are to come. Followers catch up with the newest one and stop.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Whether no more are to come.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// The caller's deadline has passed: followers stop where they are. What they have not written stays due.
    pub fn abandon(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.abandoned = true;
        self.changed.notify_all();
    }

    /// Waits up to `timeout`, or until `abandon`; returns whether it was called.
    pub fn wait_abandoned(&self, timeout: Duration) -> bool {
        self.wait(timeout, |inner| inner.abandoned).abandoned
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&Inner) -> bool) -> MutexGuard<'_, Inner> {
        let deadline = Instant::now().checked_add(timeout);
        let mut inner = self.lock();
        while !done(&inner) {
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => timeout,
            };
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(inner, left);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under this lock, so what a poisoned one guards is sound.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
