//! `Fault`: why a store that is not this machine's disk has not done what it was asked.
//!
//! It travels inside the `io::Error` of `Objects`, so that the trait stays small, and comes out as a `StateError` whose line
//! speaks of the store and not of a disk.

use std::fmt;
use std::io;

/// What kind of fault it is; the binary's exit codes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It will go on failing until the operator changes something: rights, bucket, region.
    Refused,
    /// It cannot be reached, or does not answer; it may later.
    Unreachable,
    /// Anything else.
    Failed,
}

/// A fault, and in one line what the store said and what to do.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// What and what to do, in one line.
    pub said: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> io::Error {
        io::Error::other(fault)
    }
}

/// The fault in an error, if it is one.
pub(crate) fn within(error: &io::Error) -> Option<&Fault> {
    error.get_ref()?.downcast_ref()
}
