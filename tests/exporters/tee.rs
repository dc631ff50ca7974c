//! One exporter's datagrams to two collectors: every datagram goes on as it is to ours and to nfdump's.
//!
//! Why: an exporter that samples would send something else at a second run.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Silence after the exporter has ended.
const SILENCE: Duration = Duration::from_millis(500);

/// The point between an exporter and two collectors.
pub(crate) struct Tee {
    socket: UdpSocket,
}

impl Tee {
    pub(crate) fn new() -> Tee {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(SILENCE)).expect("set");
        Tee { socket }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Passes datagrams on until `ended` says so and nothing comes any more; returns their number.
    pub(crate) fn pass(&self, to: [SocketAddr; 2], mut ended: impl FnMut() -> bool) -> u64 {
        let (mut passed, mut datagram) = (0, [0; 65_535]);
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(length) => {
                    for address in to {
                        self.socket
                            .send_to(&datagram[..length], address)
                            .expect("sent");
                    }
                    passed += 1;
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if ended() {
                        return passed;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("bound").port()
}

/// Bytes that wait in the receive buffer of the socket bound to this port; `None`: nobody has bound it.
pub(crate) fn waiting_bytes(port: u16) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/udp").expect("the kernel's table");
    let local = format!("0100007F:{port:04X}");
    let mut queues = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let found = words.next()? == local;
        let (_, waiting) = words.nth(2)?.split_once(':')?;
        found.then(|| u64::from_str_radix(waiting, 16).expect("hex"))
    });
    let first = queues.next()?;
    Some(first + queues.sum::<u64>())
}
