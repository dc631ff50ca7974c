//! The chain of checkpoints: read the newest whole one, put the next one.
//!
//! Law 5: number n is created by put-if-absent. Its writer has succeeded only if n holds its own attempt's id
//! and no higher number exists (old objects are deleted, so a process that slept can find its number free again);
//! an unknown outcome is asked again by the same call.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::files::{self, Placed};
use crate::{Checkpoint, StateDir, StateError, decode_checkpoint, encode_checkpoint};

/// What became of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a job that has lost its checkpoint ends"]
pub enum Put {
    /// It is durable and the newest one.
    Won,
    /// Another attempt holds the number, or a higher number exists: this job has been replaced and ends (exit 75).
    Lost,
}

impl StateDir {
    /// The newest whole checkpoint; `None` if there has never been one.
    ///
    /// Newer ones that are torn or flipped are set aside in `damaged/`, with a warning in the log.
    ///
    /// # Errors
    /// `Damaged` if there are checkpoints and none is whole: to begin anew must be the operator's decision.
    pub fn newest(&self) -> Result<Option<Checkpoint>, StateError> {
        let mut last_damage = None;
        for number in self.numbers()?.into_iter().rev() {
            let path = self.checkpoint_path(number);
            match read_checkpoint(&path, number) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(error @ StateError::Damaged { .. }) => {
                    tracing::warn!(%error, "checkpoint set aside, the one before it is used");
                    last_damage = Some((path, error));
                }
                Err(error) => return Err(error),
            }
            self.set_aside(&last_damage)?;
        }
        match last_damage {
            None if files::names(&self.damaged())?.is_empty() => Ok(None),
            None => Err(StateError::damaged(
                &self.damaged(),
                "no whole checkpoint is left",
            )),
            Some((_, error)) => Err(error),
        }
    }

    /// The number that the next checkpoint takes: above any that exists or was found damaged.
    ///
    /// A sink may have followed a checkpoint that was damaged later, so its number is never used again.
    ///
    /// # Errors
    /// `Io` if the directory cannot be listed.
    pub fn next_number(&self) -> Result<u64, StateError> {
        let aside = numbers_in(&self.damaged())?;
        Ok(self.numbers()?.into_iter().chain(aside).max().unwrap_or(0) + 1)
    }

    /// Puts a checkpoint under its number; durable when `Won` is returned. Call it again after an error: the
    /// outcome was unknown, and the answer is then that of the first call.
    ///
    /// # Errors
    /// `Io` if the outcome is unknown: nothing was lost, the newest one stands.
    pub fn put(&self, checkpoint: &Checkpoint) -> Result<Put, StateError> {
        let path = self.checkpoint_path(checkpoint.number);
        let file = encode_checkpoint(checkpoint, &path)?;
        let temporary = files::write_temporary(&path, checkpoint.attempt, &[&file])?;
        if files::place_if_absent(&temporary, &path)? == Placed::Existed {
            match read_checkpoint(&path, checkpoint.number) {
                Ok(held) if held.attempt == checkpoint.attempt => (),
                Ok(_) | Err(StateError::Damaged { .. } | StateError::Newer { .. }) => {
                    return Ok(Put::Lost);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(if self.next_number()? > checkpoint.number + 1 {
            Put::Lost
        } else {
            Put::Won
        })
    }

    /// The checkpoint of a number; `None` if it is not there, or not any more.
    ///
    /// # Errors
    /// `Damaged` if it is not whole, `Newer`, `Io`.
    pub fn checkpoint(&self, number: u64) -> Result<Option<Checkpoint>, StateError> {
        match read_checkpoint(&self.checkpoint_path(number), number) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(StateError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Numbers of all checkpoints that are there, ascending.
    ///
    /// # Errors
    /// `Io` if the directory cannot be listed.
    pub fn numbers(&self) -> Result<Vec<u64>, StateError> {
        numbers_in(&self.checkpoints())
    }

    fn set_aside(
        &self,
        damage: &Option<(std::path::PathBuf, StateError)>,
    ) -> Result<(), StateError> {
        if let Some((path, _)) = damage {
            let name = path.file_name().unwrap_or_default();
            let target = self.damaged().join(name);
            fs::rename(path, &target).map_err(StateError::io("set aside", path))?;
            files::sync_folder(&target)?;
            files::sync_folder(path)?;
        }
        Ok(())
    }
}

/// Reads one checkpoint and checks that it is the one its name says.
pub(crate) fn read_checkpoint(path: &Path, number: u64) -> Result<Checkpoint, StateError> {
    let mut file = Vec::new();
    File::open(path)
        .map_err(StateError::io("open", path))?
        .read_to_end(&mut file)
        .map_err(StateError::io("read", path))?;
    let checkpoint = decode_checkpoint(&file, path)?;
    if checkpoint.number == number {
        Ok(checkpoint)
    } else {
        Err(StateError::damaged(
            path,
            format!("it holds checkpoint {}", checkpoint.number),
        ))
    }
}

fn numbers_in(folder: &Path) -> Result<Vec<u64>, StateError> {
    let names = files::names(folder)?;
    let numbers = names
        .iter()
        .filter(|n| n.len() == 20)
        .filter_map(|n| n.parse().ok());
    Ok(numbers.collect())
}
