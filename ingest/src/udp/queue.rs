//! The queue between the sockets and the decoder.
//!
//! UDP cannot wait: when the decoder (or the topic behind it) falls behind, what does not fit is dropped and
//! counted here, where it is known, instead of in the kernel's buffer. Bounded by bytes as well as by number,
//! so that a flood of large datagrams takes no more memory than one of small ones.
//! Law: a datagram is taken, or counted as dropped by its receiver.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// What a queued datagram costs beside its payload.
const OVERHEAD_BYTES: usize = 128;

/// A datagram as it was taken from a socket.
#[derive(Debug)]
pub(super) struct Datagram {
    /// Who sent it.
    pub(super) source: IpAddr,
    /// When it was taken from the socket: ns since 1970.
    pub(super) received_ns: u64,
    /// At which listener.
    pub(super) listener: usize,
    pub(super) payload: Box<[u8]>,
}

/// The receivers' end.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    sender: SyncSender<Datagram>,
    bytes: Arc<AtomicUsize>,
    limit_bytes: usize,
}

/// The decoder's end.
#[derive(Debug)]
pub(super) struct Exit {
    receiver: Receiver<Datagram>,
    bytes: Arc<AtomicUsize>,
}

/// A queue of at most `limit_bytes`.
pub(super) fn queue(limit_bytes: usize) -> (Entrance, Exit) {
    let (sender, receiver) = sync_channel((limit_bytes / (2 * OVERHEAD_BYTES)).max(1));
    let bytes = Arc::new(AtomicUsize::new(0));
    (
        Entrance {
            sender,
            bytes: Arc::clone(&bytes),
            limit_bytes,
        },
        Exit { receiver, bytes },
    )
}

impl Entrance {
    /// Takes the datagram, unless the queue is full: false then.
    pub(super) fn offer(&self, datagram: Datagram) -> bool {
        let cost = datagram.payload.len() + OVERHEAD_BYTES;
        // Relaxed: the number alone decides, nothing is read through it.
        if self.bytes.fetch_add(cost, Ordering::Relaxed) + cost > self.limit_bytes
            || self.sender.try_send(datagram).is_err()
        {
            self.bytes.fetch_sub(cost, Ordering::Relaxed);
            return false;
        }
        true
    }
}

impl Exit {
    /// The next datagram; waits for at most `wait`. `Err(Disconnected)`: all receivers have ended.
    pub(super) fn take(&self, wait: Duration) -> Result<Datagram, RecvTimeoutError> {
        let datagram = self.receiver.recv_timeout(wait)?;
        self.bytes
            .fetch_sub(datagram.payload.len() + OVERHEAD_BYTES, Ordering::Relaxed);
        Ok(datagram)
    }

    /// Bytes queued now.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(length: usize) -> Datagram {
        Datagram {
            source: IpAddr::from([127, 0, 0, 1]),
            received_ns: 0,
            listener: 0,
            payload: vec![0; length].into(),
        }
    }

    #[test]
    fn offered_is_taken_plus_refused_and_bytes_are_bounded() {
        for length in [0, 100, 1400, 9000] {
            let (entrance, exit) = queue(64 << 10);
            let mut refused = 0;
            for _ in 0..1000 {
                refused += usize::from(!entrance.offer(datagram(length)));
                assert!(exit.bytes() <= 64 << 10);
            }
            assert!(refused > 0);
            drop(entrance);
            let mut taken = 0;
            while exit.take(Duration::ZERO).is_ok() {
                taken += 1;
            }
            assert_eq!((taken + refused, exit.bytes()), (1000, 0), "{length}");
        }
    }

    #[test]
    fn room_comes_back() {
        let (entrance, exit) = queue(2000);
        assert!(entrance.offer(datagram(1500)) && !entrance.offer(datagram(1500)));
        exit.take(Duration::ZERO).expect("one");
        assert!(entrance.offer(datagram(1500)));
    }
}
