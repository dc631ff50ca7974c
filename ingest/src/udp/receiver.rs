//! One thread per socket: takes datagrams, many in a call, stamps them, queues them.
//!
//! It does nothing else, so that the kernel's buffer is emptied as fast as can be. The receive time is read
//! right after the receive call, which waits for the first datagram only. Law: taken = queued + `queue_drops`; what
//! the kernel dropped is counted until the thread's end.

use std::io::{ErrorKind, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

use super::Clock;
use super::batch::Batch;
use super::kernel::KernelDrops;
use super::listen::{Listener, RECEIVE_WAIT};
use super::queue::Entrance;
use crate::metrics::Metrics;

/// Larger than any UDP payload.
const BUFFER_BYTES: usize = 65_536;
/// Datagrams of one receive call.
const BATCH: usize = 32;
/// A socket that had less than a batch is left alone this long, so that datagrams come many at a time: waking a thread
/// costs more than receiving does. The kernel's default buffer holds what a gigabit brings in that time.
const PAUSE: Duration = Duration::from_micros(500);
/// How often a silent socket is asked what it dropped.
const KERNEL_EVERY_NS: u64 = 1_000_000_000;

/// What a receiving thread owns.
pub(super) struct Receiver {
    pub(super) listener: Listener,
    pub(super) entrance: Entrance,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
}

/// What a receive call brought.
enum Taken {
    /// So many datagrams and bytes.
    Some(usize, usize),
    /// Nothing there.
    Nothing,
}

impl Receiver {
    /// Receives until told to stop, then takes what the kernel has in store.
    pub(super) fn run(self) {
        let v6 = self.listener.listen.address.is_ipv6();
        let mut kernel = KernelDrops::of(&self.listener.socket, v6);
        let mut asked_ns = (self.clock)();
        let mut buffer = vec![0; BATCH * BUFFER_BYTES];
        while !self.stop.load(Ordering::Relaxed) {
            if let Taken::Some(datagrams, _) = self.receive(&mut buffer, &mut kernel) {
                if datagrams < BATCH {
                    std::thread::sleep(PAUSE);
                }
                if kernel.is_told() {
                    continue;
                }
            }
            let now_ns = (self.clock)();
            if now_ns.saturating_sub(asked_ns) >= KERNEL_EVERY_NS {
                asked_ns = now_ns;
                self.metrics.kernel_drops.inc_by(kernel.ask());
            }
        }
        self.drain(&mut buffer, &mut kernel);
        self.metrics.kernel_drops.inc_by(kernel.ask());
    }

    /// One receive call: waits for a datagram and takes those that are there already.
    fn receive(&self, buffer: &mut [u8], kernel: &mut KernelDrops) -> Taken {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffer
            .chunks_exact_mut(BUFFER_BYTES)
            .map(|chunk| [IoSliceMut::new(chunk)])
            .collect();
        // Made anew for each call: the kernel cuts the room for control messages to what it last used.
        let control = nix::cmsg_space!(u32);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slices.len(), Some(control));
        let socket = self.listener.socket.as_raw_fd();
        let wait = MsgFlags::MSG_WAITFORONE;
        let mut batch = match recvmmsg(socket, &mut headers, slices.iter_mut(), wait, None) {
            Ok(received) => {
                let received: Vec<_> = received.collect();
                let bytes = received.iter().map(|message| message.bytes).sum();
                let mut batch = Batch::with_capacity(received.len(), bytes);
                for message in &received {
                    let source = message.address.as_ref().and_then(socket_address);
                    let payload = message.iovs().next().unwrap_or(&[]);
                    batch.push(source.unwrap_or(UNKNOWN), payload);
                    for control in message.cmsgs().into_iter().flatten() {
                        if let ControlMessageOwned::RxqOvfl(dropped) = control {
                            self.metrics.kernel_drops.inc_by(kernel.told(dropped));
                        }
                    }
                }
                batch
            }
            Err(error) => return self.failed(&error.into()),
        };
        batch.received_ns = (self.clock)();
        let (datagrams, bytes) = (batch.len(), batch.payload_bytes());
        self.metrics.received_datagrams.inc_by(datagrams as u64);
        self.metrics.received_bytes.inc_by(bytes as u64);
        if !self.entrance.offer(batch) {
            self.metrics.queue_drops.inc_by(datagrams as u64);
        }
        Taken::Some(datagrams, bytes)
    }

    fn failed(&self, error: &std::io::Error) -> Taken {
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
        Taken::Nothing
    }

    /// What was in the kernel's buffer when we were told to stop, and no more: senders need not stop for us.
    fn drain(&self, buffer: &mut [u8], kernel: &mut KernelDrops) {
        let mut left = self.listener.receive_buffer_bytes;
        if self.listener.socket.set_nonblocking(true).is_err() {
            return;
        }
        while let Taken::Some(_, bytes) = self.receive(buffer, kernel) {
            left = left.saturating_sub(bytes.max(1));
            if left == 0 {
                return;
            }
        }
    }
}

/// A datagram's sender if the kernel did not tell, which it always does for UDP.
const UNKNOWN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddrV4::from(*v4));
    let v6 = address.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6));
    v4.map(SocketAddr::V4).or(v6.map(SocketAddr::V6))
}
