//! The chain of checkpoints: read the newest whole one, put the next one.
//!
//! Law 5: number n is created by put-if-absent. Its writer has succeeded only if n holds its own attempt's id
//! and no higher number exists (old objects are deleted, so a process that slept can find its number free again: it
//! leaves it so, since whoever reads old ones would take its own for what the others have built on); an unknown outcome
//! is asked again by the same call.

use crate::layout::{self, CHECKPOINTS, DAMAGED};
use crate::objects::Placed;
use crate::{Checkpoint, StateError, StateStore, decode_checkpoint, encode_checkpoint};

/// How often what was listed may be gone before it is read.
const LISTINGS: usize = 8;

/// What became of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a job that has lost its checkpoint ends"]
pub enum Put {
    /// It is durable and the newest one.
    Won,
    /// Another attempt holds the number, or a higher number exists: this job has been replaced and ends (exit 75).
    Lost,
}

impl StateStore {
    /// The newest whole checkpoint; `None` if there has never been one.
    ///
    /// Newer ones that are torn or flipped are set aside in `damaged/`, with a warning in the log; by a handle that
    /// has joined they are passed over.
    ///
    /// # Errors
    /// `Damaged` if there are checkpoints and none is whole: to begin anew must be the operator's decision.
    pub fn newest(&self) -> Result<Option<Checkpoint>, StateError> {
        for _ in 0..LISTINGS {
            match self.newest_listed() {
                // Its holder has let go of what was listed, and has put newer ones before.
                Err(StateError::Missing { .. }) if self.joined() => {}
                found => return found,
            }
        }
        self.newest_listed()
    }

    fn newest_listed(&self) -> Result<Option<Checkpoint>, StateError> {
        let mut last_damage = None;
        for number in self.numbers()?.into_iter().rev() {
            match self.read_checkpoint(number) {
                Err(error @ StateError::Damaged { .. }) => {
                    tracing::warn!(%error, "checkpoint set aside, the one before it is used");
                    self.set_aside(number)?;
                    last_damage = Some(error);
                }
                read => return read.map(Some),
            }
        }
        match last_damage {
            None if self.list(DAMAGED)?.is_empty() => Ok(None),
            None => Err(StateError::damaged(
                &self.shown(DAMAGED),
                "no whole checkpoint is left",
            )),
            Some(error) => Err(error),
        }
    }

    /// The number that the next checkpoint takes: above any that exists or was found damaged.
    ///
    /// A sink may have followed a checkpoint that was damaged later, so its number is never used again.
    ///
    /// # Errors
    /// `Io` if the directory cannot be listed.
    pub fn next_number(&self) -> Result<u64, StateError> {
        let aside = self.numbers_in(DAMAGED)?;
        Ok(self.numbers()?.into_iter().chain(aside).max().unwrap_or(0) + 1)
    }

    /// Puts a checkpoint under its number; durable when `Won` is returned. Call it again after an error: the
    /// outcome was unknown, and the answer is then that of the first call.
    ///
    /// # Errors
    /// `Io` if the outcome is unknown: nothing was lost, the newest one stands.
    pub fn put(&self, checkpoint: &Checkpoint) -> Result<Put, StateError> {
        let name = layout::checkpoint(checkpoint.number);
        let path = self.shown(&name);
        let file = encode_checkpoint(checkpoint, &path)?;
        if self.is_overtaken(checkpoint.number)? {
            return Ok(Put::Lost);
        }
        let placed = self
            .objects()
            .put_if_absent(&name, checkpoint.attempt, &[&file])
            .map_err(StateError::io("create", &path))?;
        if placed == Placed::Existed {
            match self.read_checkpoint(checkpoint.number) {
                Ok(held) if held.attempt == checkpoint.attempt => (),
                Ok(_) | Err(StateError::Damaged { .. } | StateError::Newer { .. }) => {
                    return Ok(Put::Lost);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(match self.is_overtaken(checkpoint.number)? {
            true => Put::Lost,
            false => Put::Won,
        })
    }

    /// Whether a higher number exists.
    fn is_overtaken(&self, number: u64) -> Result<bool, StateError> {
        Ok(self.next_number()? > number + 1)
    }

    /// The checkpoint of a number; `None` if it is not there, or not any more.
    ///
    /// # Errors
    /// `Damaged` if it is not whole, `Newer`, `Io`.
    pub fn checkpoint(&self, number: u64) -> Result<Option<Checkpoint>, StateError> {
        match self.read_checkpoint(number) {
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
        self.numbers_in(CHECKPOINTS)
    }

    /// Reads one checkpoint and checks that it is the one its name says.
    pub(crate) fn read_checkpoint(&self, number: u64) -> Result<Checkpoint, StateError> {
        let name = layout::checkpoint(number);
        let path = self.shown(&name);
        let file = self.objects().get(&name);
        let checkpoint = decode_checkpoint(&file.map_err(StateError::io("read", &path))?, &path)?;
        if checkpoint.number == number {
            Ok(checkpoint)
        } else {
            Err(StateError::damaged(
                &path,
                format!("it holds checkpoint {}", checkpoint.number),
            ))
        }
    }

    /// Names in a folder.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<String>, StateError> {
        let listed = self.objects().list(folder);
        listed.map_err(StateError::io("list", &self.shown(folder)))
    }

    /// The numbers that a folder's names are.
    pub(crate) fn numbers_in(&self, folder: &str) -> Result<Vec<u64>, StateError> {
        let names = self.list(folder)?;
        Ok(names
            .iter()
            .filter_map(|name| layout::checkpoint_number(name))
            .collect())
    }

    fn set_aside(&self, number: u64) -> Result<(), StateError> {
        if self.joined() {
            return Ok(());
        }
        let name = layout::checkpoint(number);
        let moved = self
            .objects()
            .set_aside(&name, &format!("{DAMAGED}/{number:020}"));
        moved.map_err(StateError::io("set aside", &self.shown(&name)))
    }
}
