//! `Batch`: the datagrams that one receive call took from a socket.
//!
//! One allocation for all of them and one place in the queue: handing over single datagrams costs more than
//! receiving them. Law: datagrams leave it in the order in which the socket gave them.

use std::net::SocketAddr;

/// What a queued datagram costs beside its payload.
const OVERHEAD_BYTES: usize = 64;

/// Datagrams of one socket, received at one time.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// When they were taken from the socket: ns since 1970.
    pub(super) received_ns: u64,
    /// Who sent each, and where its payload ends.
    datagrams: Vec<(SocketAddr, usize)>,
    bytes: Vec<u8>,
}

impl Batch {
    /// For about so many.
    pub(super) fn with_capacity(datagrams: usize, bytes: usize) -> Batch {
        Batch {
            received_ns: 0,
            datagrams: Vec::with_capacity(datagrams),
            bytes: Vec::with_capacity(bytes),
        }
    }

    pub(super) fn push(&mut self, source: SocketAddr, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        self.datagrams.push((source, self.bytes.len()));
    }

    /// How many datagrams.
    pub(super) fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Bytes of all payloads.
    pub(super) fn payload_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// What it costs to keep.
    pub(super) fn cost_bytes(&self) -> usize {
        self.bytes.capacity() + OVERHEAD_BYTES * (1 + self.datagrams.capacity())
    }

    /// Sender and payload of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let mut begin = 0;
        self.datagrams.iter().map(move |(source, end)| {
            let payload = self.bytes.get(begin..*end).unwrap_or(&[]);
            begin = *end;
            (*source, payload)
        })
    }
}
