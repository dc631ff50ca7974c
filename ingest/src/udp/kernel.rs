//! Datagrams that the kernel dropped before we could read them.
//!
//! Linux counts them per socket and shows the count in `/proc/net/udp` and `udp6`. The control message
//! SO_RXQ_OVFL tells the same number, but only with a later datagram: what is lost in the last burst before a
//! silence would never be known. Law: the count is exact whenever it is asked for, at the end too.

use std::fs;
use std::os::fd::AsFd;

/// The drop counter of one socket.
#[derive(Debug)]
pub(super) struct KernelDrops {
    /// The socket's inode: its key in the table; `None` if the system did not tell.
    inode: Option<u64>,
    table: &'static str,
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
        }
    }

    /// Dropped since the socket was opened; `None` where the system does not say (no `/proc`).
    pub(super) fn read(&self) -> Option<u64> {
        drops(&fs::read_to_string(self.table).ok()?, self.inode?)
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
            let counter = KernelDrops::of(&receiver, v6);
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
            let dropped = counter.read().expect("Linux tells");
            assert!(
                dropped > 0 && read + dropped == 100,
                "{read} read, {dropped} dropped"
            );
        }
    }
}
