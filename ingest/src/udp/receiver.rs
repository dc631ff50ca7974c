//! One thread per socket: takes datagrams, stamps them, queues them.
//!
//! It does nothing else, so that the kernel's buffer is emptied as fast as can be. The receive time is read
//! right after the receive call. Law: taken = queued + `queue_drops`; what the kernel dropped is counted until
//! the thread's end.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Clock;
use super::kernel::KernelDrops;
use super::listen::{Listener, RECEIVE_WAIT};
use super::queue::{Datagram, Entrance};
use crate::metrics::Metrics;

/// Larger than any UDP payload.
const BUFFER_BYTES: usize = 65_536;
/// How often the kernel is asked what it dropped.
const KERNEL_EVERY_NS: u64 = 1_000_000_000;

/// What a receiving thread owns.
pub(super) struct Receiver {
    pub(super) listener: Listener,
    /// Its place among the listeners.
    pub(super) number: usize,
    pub(super) entrance: Entrance,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
}

impl Receiver {
    /// Receives until told to stop, then takes what the kernel has in store.
    pub(super) fn run(self) {
        let v6 = self.listener.listen.address.is_ipv6();
        let kernel = KernelDrops::of(&self.listener.socket, v6);
        let mut counted = 0;
        let mut asked_ns = (self.clock)();
        let mut buffer = vec![0; BUFFER_BYTES];
        while !self.stop.load(Ordering::Relaxed) {
            self.receive(&mut buffer);
            let now_ns = (self.clock)();
            if now_ns.saturating_sub(asked_ns) >= KERNEL_EVERY_NS {
                asked_ns = now_ns;
                counted = self.count_drops(&kernel, counted);
            }
        }
        self.drain(&mut buffer);
        self.count_drops(&kernel, counted);
    }

    /// One receive call; the datagram's length, if there was one.
    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        match self.listener.socket.recv_from(buffer) {
            Ok((length, source)) => {
                let received_ns = (self.clock)();
                self.metrics.received_datagrams.inc();
                self.metrics.received_bytes.inc_by(length as u64);
                let datagram = Datagram {
                    source: source.ip(),
                    received_ns,
                    listener: self.number,
                    payload: buffer.get(..length)?.into(),
                };
                if !self.entrance.offer(datagram) {
                    self.metrics.queue_drops.inc();
                }
                Some(length)
            }
            Err(error) => {
                let idle = [
                    ErrorKind::WouldBlock,
                    ErrorKind::TimedOut,
                    ErrorKind::Interrupted,
                ];
                if !idle.contains(&error.kind()) {
                    self.metrics.receive_errors.inc();
                    // An error that stays must not become a busy loop.
                    std::thread::sleep(RECEIVE_WAIT);
                }
                None
            }
        }
    }

    /// What was in the kernel's buffer when we were told to stop, and no more: senders need not stop for us.
    fn drain(&self, buffer: &mut [u8]) {
        let mut left = self.listener.receive_buffer_bytes;
        if self.listener.socket.set_nonblocking(true).is_err() {
            return;
        }
        while let Some(length) = self.receive(buffer) {
            left = left.saturating_sub(length.max(1));
            if left == 0 {
                return;
            }
        }
    }

    fn count_drops(&self, kernel: &KernelDrops, counted: u64) -> u64 {
        let now = kernel.read().unwrap_or(counted);
        // The kernel's counter has 32 bits and may wrap.
        let more = now.wrapping_sub(counted) & 0xffff_ffff;
        self.metrics.kernel_drops.inc_by(more);
        now
    }
}
