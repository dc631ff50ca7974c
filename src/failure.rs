//! What ends a command: one line of what went wrong and where, one of what to do, and an exit code.
//!
//! Exit codes are public: scripts and supervisors act on them. Law: every error that reaches `main` is a
//! `Failure`; the chain of causes is joined into its one line here, and nowhere else.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit codes, after sysexits.h where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done. Also: the reader of our standard output went away.
    Success,
    /// What was compared differs.
    Different,
    /// The command line is wrong.
    Usage,
    /// Something we depend on does not answer.
    Unavailable,
    /// A defect of ours.
    Bug,
    /// Another process of the job has ended, or does not answer.
    PeerLost,
    /// Reading, writing or binding failed on this machine.
    Io,
    /// Another process holds the state or the topic.
    Taken,
    /// A setting, URL or file that we were pointed to is wrong.
    Config,
}

impl Exit {
    /// The number that the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Different => 1,
            Exit::Usage => 2,
            Exit::Unavailable => 69,
            Exit::Bug => 70,
            Exit::PeerLost => 71,
            Exit::Io => 74,
            Exit::Taken => 75,
            Exit::Config => 78,
        }
    }
}

/// Why a command ended.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    hint: Option<String>,
}

impl Failure {
    /// `what` says what and where, in one line, in lower case.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Failure {
        Failure {
            exit,
            what: what.into(),
            hint: None,
        }
    }

    /// From an error and its causes.
    pub(crate) fn from_error(exit: Exit, error: &dyn Error) -> Failure {
        let mut what = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            // Some libraries print their source themselves.
            if !what.contains(&text) {
                what = format!("{what}: {text}");
            }
            cause = inner.source();
        }
        Failure::new(exit, what)
    }

    /// Adds the next step.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Prints itself to standard error and gives the process's exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.exit != Exit::Success {
            let mut text = format!("flow-pipeline: {}\n", one_line(&self.what));
            if let Some(hint) = &self.hint {
                text = format!("{text}hint: {}\n", one_line(hint));
            }
            // Standard error may be gone; the exit code still tells.
            let _ = io::stderr().write_all(text.as_bytes());
        }
        ExitCode::from(self.exit.code())
    }

    /// What went wrong and what to do, in one line, for a list of several.
    pub(crate) fn line(&self) -> String {
        let hint = self.hint.iter().map(|hint| format!("; {hint}"));
        one_line(&format!("{}{}", self.what, hint.collect::<String>()))
    }

    /// A quiet end is none where others depended on what has ended.
    pub(crate) fn not_quiet(mut self) -> Failure {
        if self.exit == Exit::Success {
            self.exit = Exit::Io;
        }
        self
    }

    /// How the process would end.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    #[cfg(test)]
    pub(crate) fn parts(&self) -> (Exit, &str, Option<&str>) {
        (self.exit, &self.what, self.hint.as_deref())
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<io::Error> for Failure {
    /// A closed pipe on standard output is how `| head` says it has enough.
    fn from(error: io::Error) -> Failure {
        let exit = if error.kind() == io::ErrorKind::BrokenPipe {
            Exit::Success
        } else {
            Exit::Io
        };
        Failure::from_error(exit, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("dir:///x")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_are_joined_into_one_line() {
        let failure = Failure::from_error(Exit::Io, &Outer(io::Error::other("disk\n full")));
        assert_eq!(one_line(&failure.what), "dir:///x: disk full");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!((closed.exit.code(), full.exit.code()), (0, 74));
    }
}
