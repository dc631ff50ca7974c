//! Datagrams that the kernel dropped before we could read them.
//!
//! Linux counts them per socket, and tells the count in two places. The control message SO_RXQ_OVFL comes with the
//! datagrams, at no cost, but tells only what was dropped before them: a last burst before a silence would never be
//! known. `/proc/net/udp` and `udp6` show the same counter whenever they are read, but reading them costs a walk over
//! all sockets. So the message is believed while datagrams come, and the table is read in silence and at the end.
//! Law: the count never goes back, and is exact after a silence of a second and at the end.

use std::fs;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};

/// The drop counter of one socket.
#[derive(Debug)]
pub(super) struct KernelDrops {
    /// The socket's inode: its key in the table; `None` if the system did not tell.
    inode: Option<u64>,
    table: &'static str,
    /// The kernel's counter as known; it has 32 bits and may wrap.
    counted: u32,
    /// Whether the kernel tells it with the datagrams.
    with_datagrams: bool,
}

impl KernelDrops {
    /// For `socket`, of IPv6 if `v6`.
    pub(super) fn of(socket: &impl AsFd, v6: bool) -> KernelDrops {
        let inode = nix::sys::stat::fstat(socket.as_fd())
            .ok()
            .map(|stat| stat.st_ino);
        KernelDrops {
            inode,
            table: if v6 {
                "/proc/net/udp6"
            } else {
                "/proc/net/udp"
            },
            counted: 0,
            with_datagrams: setsockopt(&socket.as_fd(), sockopt::RxqOvfl, &1).is_ok(),
        }
    }

    /// Whether the count comes with the datagrams.
    pub(super) fn is_told(&self) -> bool {
        self.with_datagrams
    }

    /// A control message told the counter; how many more that are.
    pub(super) fn told(&mut self, counter: u32) -> u64 {
        // A datagram that waited while the table was read tells an older number.
        let more = counter.wrapping_sub(self.counted);
        if more > u32::MAX / 2 {
            return 0;
        }
        self.counted = counter;
        u64::from(more)
    }

    /// Asks the table; how many more there are. Nothing where the system does not say (no `/proc`).
    pub(super) fn ask(&mut self) -> u64 {
        self.read().map_or(0, |counter| self.told(counter))
    }

    fn read(&self) -> Option<u32> {
        let drops = drops(&fs::read_to_string(self.table).ok()?, self.inode?)?;
        u32::try_from(drops & u64::from(u32::MAX)).ok()
    }
}

/// Column `drops` (the last) of the row whose column `inode` (the tenth) it is.
fn drops(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let found: u64 = columns.nth(9)?.parse().ok()?;
        (found == inode)
            .then(|| columns.last()?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn the_row_is_found_by_inode() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode \
                     ref pointer drops\n 5664: 00000000:BC55 00000000:0000 07 00000000:00000000 00:00000000 00000000 \
                     0 0 41645 2 000000003a45b000 0\n10706: 0100007F:9007 00000000:0000 07 00000000:00001B00 \
                     00:00000000 00000000     0        0 41644 2 00000000d3706750 97\n";
        assert_eq!(drops(table, 41_644), Some(97));
        assert_eq!(drops(table, 41_645), Some(0));
        assert_eq!(drops(table, 1), None);
    }

    #[test]
    fn sent_is_read_plus_dropped() {
        for (address, v6) in [("127.0.0.1:0", false), ("[::1]:0", true)] {
            let Ok(receiver) = UdpSocket::bind(address) else {
                eprintln!("SKIPPED: {address} cannot be bound here");
                continue;
            };
            socket2::SockRef::from(&receiver)
                .set_recv_buffer_size(4096)
                .expect("a small buffer");
            let mut counter = KernelDrops::of(&receiver, v6);
            let sender = UdpSocket::bind(address).expect("a sender");
            let target = receiver.local_addr().expect("bound");
            for _ in 0..100 {
                sender.send_to(&[0; 1000], target).expect("sent");
            }
            receiver.set_nonblocking(true).expect("nonblocking");
            let mut read = 0;
            while receiver.recv(&mut [0; 1500]).is_ok() {
                read += 1;
            }
            let dropped = counter.ask();
            assert_eq!(counter.ask(), 0, "told once");
            assert!(
                dropped > 0 && read + dropped == 100,
                "{read} read, {dropped} dropped"
            );
        }
    }

    #[test]
    fn the_count_never_goes_back_and_survives_the_wrap() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let mut counter = KernelDrops::of(&socket, false);
        counter.counted = u32::MAX - 10;
        assert_eq!([4, 1, 4, 9].map(|n| counter.told(n)), [15, 0, 0, 5]);
    }
}
