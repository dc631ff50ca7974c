//! What can go wrong before the processes of a job are connected, each in one line: what, where, what to do.

use std::io;

/// Why this process can't be part of the job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeersError {
    /// The file of hosts.
    #[error("{file}: {what}")]
    Hosts {
        /// As it was given.
        file: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The token.
    #[error("the token of the job: {0}")]
    Token(String),
    /// The address of this process can't be listened on.
    #[error(
        "can't listen on {address}: {source}; line {line} of --hosts must be an address of this host with a free port"
    )]
    Listen {
        /// The address.
        address: String,
        /// Its line, from 1 on.
        line: usize,
        /// The system's error.
        source: io::Error,
    },
    /// Another process has turned this one away, and would do so again.
    #[error("process {process} at {address} turns this one away: {why}")]
    TurnedAway {
        /// Which one.
        process: usize,
        /// Where it is.
        address: String,
        /// What it says.
        why: String,
    },
    /// A process was there, and has gone while the job was starting.
    #[error("process {process} has gone while the job was starting")]
    Gone {
        /// Which one.
        process: usize,
    },
    /// The system gives no thread or no random bytes.
    #[error("can't connect to the other processes: {0}")]
    System(#[from] io::Error),
}
