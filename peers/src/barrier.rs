//! What connected processes say to each other until all of them are connected: one byte at a time.
//!
//! A process that has found all others says so to process 0, which gives the word once everybody has. Law: none goes on
//! before all are connected, and one that goes away meanwhile is waited for again.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// "I have found all others."
pub(crate) const READY: u8 = 1;
/// "I have lost one again."
pub(crate) const NOT_READY: u8 = 2;
/// Process 0: "All have found all."
pub(crate) const GO: u8 = 3;

/// What a look at a connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It stands.
    Quiet,
    /// The other process has said this.
    Said(u8),
    /// The other process has gone.
    Gone,
}

/// Looks without waiting; the connection must not be a blocking one.
pub(crate) fn look(mut stream: &TcpStream) -> Look {
    let mut byte = [0];
    let read = stream.read(&mut byte);
    seen(&read, Look::Said(byte[0]))
}

/// Looks whether the other process is still there, and takes nothing from it: of those that do not speak here the first byte
/// is already the job's, once they have the word.
pub(crate) fn watch(stream: &TcpStream) -> Look {
    seen(&stream.peek(&mut [0]), Look::Quiet)
}

/// `something`: what it means that there is a byte.
fn seen(read: &io::Result<usize>, something: Look) -> Look {
    match read {
        Ok(0) => Look::Gone,
        Ok(_) => something,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) =>
        {
            Look::Quiet
        }
        Err(_) => Look::Gone,
    }
}

/// Says one byte. That it can't be said will be seen at the next look.
pub(crate) fn say(mut stream: &TcpStream, byte: u8) {
    drop(stream.write_all(&[byte]));
}
