//! Options of the connections between processes.
//!
//! Law: a host that vanishes without a word is noticed within some 11 s: unanswered data by the time-out of its
//! acknowledgement, an idle connection by keep-alives.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Data that is not acknowledged for so long ends the connection.
const UNANSWERED: Duration = Duration::from_secs(10);

/// For a connection of a start: looked at without waiting.
pub(crate) fn watch(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(UNANSWERED))?;
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2))
        .with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    stream.set_nonblocking(true)
}

/// For the job: the connection blocks from now on, without a limit of time.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)
}
