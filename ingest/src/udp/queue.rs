//! The queue between a socket and its decoder.
//!
//! UDP cannot wait: when the decoder (or the topic behind it) falls behind, what does not fit is dropped and
//! counted here, where it is known, instead of in the kernel's buffer. One budget of bytes for all sockets, so
//! that the busiest may take what the others leave.
//! Law: a batch is taken, or counted as dropped by its receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::batch::Batch;

/// The bytes that all queues may hold together.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    used: Arc<AtomicUsize>,
    limit_bytes: usize,
}

impl Budget {
    pub(super) fn new(limit_bytes: usize) -> Budget {
        Budget {
            used: Arc::default(),
            limit_bytes,
        }
    }

    /// Bytes queued now.
    pub(super) fn used_bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// The receiver's end.
#[derive(Debug)]
pub(super) struct Entrance {
    /// Not bounded itself: the budget is, and a batch costs something.
    sender: Sender<Batch>,
    budget: Budget,
}

/// The decoder's end.
#[derive(Debug)]
pub(super) struct Exit {
    receiver: Receiver<Batch>,
    budget: Budget,
}

/// A queue on that budget.
pub(super) fn queue(budget: Budget) -> (Entrance, Exit) {
    let (sender, receiver) = channel();
    let entrance = Entrance {
        sender,
        budget: budget.clone(),
    };
    (entrance, Exit { receiver, budget })
}

impl Entrance {
    /// Takes the batch, unless the budget is spent: false then.
    pub(super) fn offer(&self, batch: Batch) -> bool {
        let cost = batch.cost_bytes();
        // Relaxed: the number alone decides, nothing is read through it.
        if self.budget.used.fetch_add(cost, Ordering::Relaxed) + cost > self.budget.limit_bytes
            || self.sender.send(batch).is_err()
        {
            self.budget.used.fetch_sub(cost, Ordering::Relaxed);
            return false;
        }
        true
    }
}

impl Exit {
    /// The next batch; waits for at most `wait`. `Err(Disconnected)`: the receiver has ended.
    pub(super) fn take(&self, wait: Duration) -> Result<Batch, RecvTimeoutError> {
        let batch = self.receiver.recv_timeout(wait)?;
        self.budget
            .used
            .fetch_sub(batch.cost_bytes(), Ordering::Relaxed);
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(datagrams: usize, length: usize) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..datagrams {
            batch.push(([127, 0, 0, 1], 9).into(), &vec![7; length]);
        }
        batch
    }

    #[test]
    fn offered_is_taken_plus_refused_and_bytes_are_bounded() {
        for (datagrams, length) in [(1, 0), (1, 100), (32, 1400), (3, 9000)] {
            let budget = Budget::new(64 << 10);
            let (busy, exit) = queue(budget.clone());
            let (other, _other_exit) = queue(budget.clone());
            let mut refused = 0;
            for turn in 0..1000 {
                let entrance = if turn % 50 == 49 { &other } else { &busy };
                refused += usize::from(!entrance.offer(batch(datagrams, length)));
                assert!(budget.used_bytes() <= 64 << 10);
            }
            assert!(refused > 0);
            drop(busy);
            let mut taken = 0;
            while let Ok(batch) = exit.take(Duration::ZERO) {
                assert_eq!(batch.iter().count(), datagrams);
                assert!(batch.iter().all(|(_, payload)| payload == vec![7; length]));
                taken += 1;
            }
            let at_other = 1000 - taken - refused;
            let left = budget.used_bytes() / batch(datagrams, length).cost_bytes();
            assert_eq!(at_other, left, "{datagrams} of {length}");
        }
    }

    #[test]
    fn room_comes_back() {
        let (entrance, exit) = queue(Budget::new(2000));
        assert!(entrance.offer(batch(1, 1300)) && !entrance.offer(batch(1, 1300)));
        exit.take(Duration::ZERO).expect("one");
        assert!(entrance.offer(batch(1, 1300)));
    }
}
