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

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: u64) -> Arc<Checkpoint> {
        Arc::new(Checkpoint {
            number,
            attempt: 1,
            job: String::new(),
            config: Default::default(),
            cut: Default::default(),
            watermark_ns: i64::MIN,
            timeline: Default::default(),
            complete: Default::default(),
            slots: Default::default(),
            partial: Vec::new(),
            segments: Default::default(),
            starts: Default::default(),
            gaps: Vec::new(),
            generations: Vec::new(),
            swaps: crate::Swaps::default(),
        })
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_waiter_wakes_for_what_is_above_its_number_only() {
        let published = Published::new();
        assert!(published.wait_beyond(0, Duration::ZERO).is_none());
        published.publish(numbered(3));
        published.publish(numbered(2));
        assert_eq!(published.newest().unwrap().number, 3);
        assert_eq!(published.wait_beyond(2, LONG).unwrap().number, 3);
        let waiter = Arc::clone(&published);
        let thread = std::thread::spawn(move || waiter.wait_beyond(3, LONG).map(|c| c.number));
        published.publish(numbered(5));
        assert_eq!(thread.join().unwrap(), Some(5));
    }

    #[test]
    fn the_end_wakes_every_waiter_and_the_newest_stays() {
        let published = Published::new();
        published.publish(numbered(1));
        let waiter = Arc::clone(&published);
        let thread = std::thread::spawn(move || waiter.wait_beyond(1, LONG).is_none());
        published.close();
        assert!(thread.join().unwrap() && published.is_closed());
        assert_eq!(published.wait_beyond(0, LONG).unwrap().number, 1);
        assert!(!published.wait_abandoned(Duration::ZERO));
        published.abandon();
        assert!(published.wait_abandoned(LONG));
    }
}
