//! Turns at one database file: SQLite has one writer at a time, and here two threads write, rows and raw flows.
//!
//! Each waits for the other here instead of at the file's lock, where whoever asks more often would starve the other and
//! every wait would be told as a failure. Law: first come, first served.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queue: Mutex<Queue>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    given: u64,
    served: u64,
}

/// Whoever has it may write.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    /// Waits for a turn.
    pub(super) fn take(&self) -> Turn<'_> {
        let mut queue = self.lock();
        let mine = queue.given;
        queue.given += 1;
        while queue.served != mine {
            let waited = self.moved.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Turn(self)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that can panic runs under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().served += 1;
        self.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    #[test]
    fn one_at_a_time_in_the_order_of_asking() {
        let (turns, order) = (Arc::new(Turns::default()), Arc::new(AtomicU64::new(0)));
        let first = turns.take();
        let waiting: Vec<_> = (0..4)
            .map(|n| {
                let (at, order) = (Arc::clone(&turns), Arc::clone(&order));
                let thread = thread::spawn(move || {
                    let _turn = at.take();
                    order.fetch_add(1, Ordering::SeqCst)
                });
                while turns.lock().given != n + 2 {
                    thread::yield_now();
                }
                thread
            })
            .collect();
        assert_eq!(order.load(Ordering::SeqCst), 0, "the first still writes");
        drop(first);
        let served: Vec<u64> = waiting.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(served, [0, 1, 2, 3]);
    }
}
