//! `StateStore`: one job's state, wherever it stands.
//!
//! Everything above it, the job, the sinks and the commands, knows this handle only; below it are `Objects`.
//! Law: a state in a local directory has one holder at a time; elsewhere put-if-absent decides (law 5).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StateError;
use crate::directory::Directory;
use crate::layout::{self, FOLDERS, FORMAT, Found};
use crate::objects::Objects;

/// A job's state. A clone is another handle of the same one, for other threads.
#[derive(Clone, Debug)]
pub struct StateStore {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    objects: Arc<dyn Objects>,
    /// Where it stands, for messages.
    shown: PathBuf,
    /// Beside the process that holds it: damaged checkpoints are left where they are.
    joined: bool,
}

impl StateStore {
    /// Opens a state in a directory, creates one that is not there or empty, and takes its lock.
    ///
    /// # Errors
    /// `Taken` if another process (or another opener in this one) holds it, `Foreign` if it holds something else,
    /// `Newer` if a later release has laid it out, `Io` if it cannot be written.
    pub fn open(place: impl AsRef<Path>) -> Result<StateStore, StateError> {
        let path = place.as_ref();
        fs::create_dir_all(path).map_err(StateError::io("create", path))?;
        // What is not ours is left alone, so this look comes before the lock's file.
        layout::look(&Directory::at(path), path)?;
        let directory = Directory::hold(path)?;
        layout::begin(&directory, path)?;
        directory.make(&FOLDERS)?;
        Ok(StateStore::handle(Arc::new(directory), path, false))
    }

    /// Opens a state that another process holds, or that is only to be looked at: creates nothing, takes no lock.
    ///
    /// # Errors
    /// `Missing` if there is no state, `Foreign`, `Newer`, `Io`.
    pub fn join(place: impl AsRef<Path>) -> Result<StateStore, StateError> {
        let path = place.as_ref();
        StateStore::join_over(Arc::new(Directory::at(path)), path)
    }

    /// A state over objects of the caller's; `shown` names them in messages. It is begun if there is nothing.
    ///
    /// # Errors
    /// `Foreign`, `Newer`, `Io`.
    pub fn over(
        objects: Arc<dyn Objects>,
        shown: impl AsRef<Path>,
    ) -> Result<StateStore, StateError> {
        layout::begin(objects.as_ref(), shown.as_ref())?;
        Ok(StateStore::handle(objects, shown.as_ref(), false))
    }

    /// As `join`, over objects of the caller's.
    ///
    /// # Errors
    /// `Missing` if there is no state, `Foreign`, `Newer`, `Io`.
    pub fn join_over(
        objects: Arc<dyn Objects>,
        shown: impl AsRef<Path>,
    ) -> Result<StateStore, StateError> {
        let shown = shown.as_ref();
        match layout::look(objects.as_ref(), shown)? {
            Found::State => Ok(StateStore::handle(objects, shown, true)),
            Found::Nothing => Err(StateError::Missing {
                path: shown.join(FORMAT),
            }),
        }
    }

    fn handle(objects: Arc<dyn Objects>, shown: &Path, joined: bool) -> StateStore {
        StateStore {
            held: Arc::new(Held {
                objects,
                shown: shown.to_owned(),
                joined,
            }),
        }
    }

    /// Where it stands, for messages.
    pub fn place(&self) -> &Path {
        &self.held.shown
    }

    /// What it stands on.
    pub fn objects(&self) -> &dyn Objects {
        self.held.objects.as_ref()
    }

    pub(crate) fn joined(&self) -> bool {
        self.held.joined
    }

    /// Where an object stands, for messages.
    pub(crate) fn shown(&self, name: &str) -> PathBuf {
        self.held.shown.join(name)
    }
}
