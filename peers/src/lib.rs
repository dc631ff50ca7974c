//! The processes of a job: each finds the others, proves who it is, and gets one connection to each.
//!
//! timely's own way of connecting has no authentication and panics at a stray connection, so we connect first and hand
//! it sockets. Law 9: whoever is not one of us (a port scan, a health check, a process of another build, shape or token) is
//! turned away with one line, and the start goes on.
//! Room law: knows sockets and nothing of ours.

#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod barrier;
mod call;
mod connect;
mod error;
mod hosts;
mod listen;
mod proof;
mod socket;
mod told;
mod wire;

pub use connect::{Cluster, Sockets, connect};
pub use error::PeersError;
pub use hosts::Hosts;
pub use proof::{Token, digest};
