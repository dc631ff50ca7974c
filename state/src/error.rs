//! What can go wrong with a state, each in one line: what, where, what to do.
//!
//! The binary turns the variants into exit codes: `Taken` 75, `Foreign`, `Newer` and `Unusable` 78, `Remote` by its fault (78,
//! 69), the rest 74.

use std::io;
use std::path::{Path, PathBuf};

use crate::fault::{self, Fault};

/// An error of the state store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another process holds the directory's lock.
    #[error("state directory {}: taken by another job ({holder}); stop that one first, or give --state another directory", path.display())]
    Taken {
        /// The directory.
        path: PathBuf,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// The place holds something else.
    #[error("state {}: {what}; give --state a new or empty place", path.display())]
    Foreign {
        /// The place.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Written by a later release.
    #[error("{}: format version {found} is newer than {known}, the newest that this program reads; use the release that wrote it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// Newest version known.
        known: u32,
    },
    /// A file does not match its checksum, its length or its name.
    #[error("{}: damaged: {what}; restore the state from a copy, or begin with an empty one by run --adopt", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// A file that should be there is not.
    #[error("{}: missing; restore the state from a copy, or begin with an empty one by run --adopt", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The caller gave what cannot be stored.
    #[error("{}: cannot be stored: {what}", path.display())]
    Unfit {
        /// The file that was to be written.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// The place as it was given, or its store, is not fit for a state.
    #[error("state {}: {what}", path.display())]
    Unusable {
        /// The place, without what might be a secret.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A store over the network.
    #[error("cannot {action} {}: {fault}", path.display())]
    Remote {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What it said.
        fault: Fault,
    },
    /// The file system.
    #[error("cannot {action} {}: {source}; check that the path is writable and the disk has room", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl StateError {
    /// As `of`, for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
        let path = path.to_owned();
        move |source| StateError::of(action, &path, source)
    }

    /// What `Objects` say, of an action (`open`, `read`: what is not there is `Missing`) at a place.
    pub fn of(action: &'static str, path: &Path, source: io::Error) -> StateError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound if matches!(action, "open" | "read") => {
                StateError::Missing { path }
            }
            _ => match fault::within(&source).cloned() {
                Some(fault) => StateError::Remote {
                    action,
                    path,
                    fault,
                },
                None => StateError::Io {
                    action,
                    path,
                    source,
                },
            },
        }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> StateError {
        StateError::Damaged {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}
