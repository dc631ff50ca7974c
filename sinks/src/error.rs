//! What can go wrong with a store, and what the follower does about it.
//!
//! Law 6: a sink that is down costs the others nothing. So whatever may pass is retried without end, and only what
//! an operator must change ends the job.

use std::fmt;

use flow_state::StateError;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkErrorKind {
    /// Try again later: the store is down, locked or full (exit 69 where a start cannot wait).
    Retry,
    /// The configuration does not fit: URL, schema, or a database of another job (exit 78).
    Refused,
    /// Neither waiting nor another configuration helps: unreadable files, values out of range (exit 74).
    Fatal,
}

/// An error of a sink: one line that says what, where and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkError {
    /// What the follower does about it.
    pub kind: SinkErrorKind,
    message: String,
    reader_gone: bool,
}

impl SinkError {
    /// Try again later.
    pub fn retry(message: impl Into<String>) -> SinkError {
        SinkError {
            kind: SinkErrorKind::Retry,
            message: message.into(),
            reader_gone: false,
        }
    }

    /// Whoever read it has enough, as `| head`: the end of the job, and no failure if it was for that reader alone.
    pub fn reader_gone(message: impl Into<String>) -> SinkError {
        SinkError {
            reader_gone: true,
            ..SinkError::fatal(message)
        }
    }

    /// Whether its reader has gone.
    pub fn is_reader_gone(&self) -> bool {
        self.reader_gone
    }

    /// An operator has to change something.
    pub fn refused(message: impl Into<String>) -> SinkError {
        SinkError {
            kind: SinkErrorKind::Refused,
            message: message.into(),
            reader_gone: false,
        }
    }

    /// It cannot go on.
    pub fn fatal(message: impl Into<String>) -> SinkError {
        SinkError {
            kind: SinkErrorKind::Fatal,
            message: message.into(),
            reader_gone: false,
        }
    }

    /// Whether trying again may help.
    pub fn is_retry(&self) -> bool {
        self.kind == SinkErrorKind::Retry
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SinkError {}

impl From<StateError> for SinkError {
    fn from(error: StateError) -> SinkError {
        SinkError::fatal(error.to_string())
    }
}
