//! What a check has found: one line each, good, doubtful or wrong.
//!
//! The same findings serve `check`, which prints them all, and the commands themselves, which refuse to start at the
//! first wrong one. Law: a line says what and where; a wrong one keeps the exit code that the command would end with.

use std::io::{self, Write};

use crate::failure::{Exit, Failure};

#[derive(Debug)]
enum Finding {
    Good(String),
    Doubtful(String),
    Wrong(Failure),
}

/// Findings in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// As it should be.
    pub(super) fn good(&mut self, line: impl Into<String>) {
        self.0.push(Finding::Good(line.into()));
    }

    /// It works, but is hardly meant.
    pub(super) fn doubtful(&mut self, line: impl Into<String>) {
        self.0.push(Finding::Doubtful(line.into()));
    }

    /// The command would end with this.
    pub(super) fn wrong(&mut self, failure: impl Into<Failure>) {
        self.0.push(Finding::Wrong(failure.into()));
    }

    /// Others after these.
    pub(super) fn add(&mut self, others: Findings) {
        self.0.extend(others.0);
    }

    /// Good with the line that `good` makes of the value, or wrong.
    pub(super) fn take<T, E: Into<Failure>>(
        &mut self,
        result: Result<T, E>,
        good: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                self.good(good(&value));
                Some(value)
            }
            Err(error) => {
                self.wrong(error);
                None
            }
        }
    }

    /// Where the command line is the configuration's, what it lacks is missing there.
    pub(super) fn blame_configuration(&mut self) {
        for finding in &mut self.0 {
            if let Finding::Wrong(failure) = finding
                && failure.exit() == Exit::Usage
            {
                *failure = Failure::new(Exit::Config, failure.line());
            }
        }
    }

    /// For a command that starts: doubts go to the log, the first wrong finding ends it.
    pub(crate) fn or_refuse(self) -> Result<(), Failure> {
        for finding in self.0 {
            match finding {
                Finding::Good(_) => {}
                Finding::Doubtful(line) => tracing::warn!("{line}"),
                Finding::Wrong(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Prints all of them, each behind the name of the command that it is about.
    pub(super) fn print(&self, command: &str, out: &mut impl Write) -> io::Result<()> {
        self.0.iter().try_for_each(|finding| match finding {
            Finding::Good(line) => writeln!(out, "ok       {command}: {line}"),
            Finding::Doubtful(line) => writeln!(out, "warning  {command}: {line}"),
            Finding::Wrong(failure) => writeln!(out, "error    {command}: {}", failure.line()),
        })
    }

    /// Exit codes of what is wrong.
    pub(super) fn exits(&self) -> impl Iterator<Item = Exit> {
        self.0.iter().filter_map(|finding| match finding {
            Finding::Wrong(failure) => Some(failure.exit()),
            Finding::Good(_) | Finding::Doubtful(_) => None,
        })
    }
}
