//! Deletes what no one needs any more, so that the directory does not grow without bound.
//!
//! Law 5: only a writer that has just succeeded deletes, and only files numbered up to its own checkpoint n that n
//! does not list. The newest checkpoint is never deleted. The one before it is kept with its files, too:
//! should the newest ever turn out damaged, the job goes on from there. Checkpoints from the lowest raw cursor on are
//! kept without their files: they say where the blocks of raw flows begin and end.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::chain::read_checkpoint;
use crate::dir::parse_segment_file_name;
use crate::{Checkpoint, SegmentName, StateDir, StateError, files};

/// How many files were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Segments.
    pub segments: u64,
    /// Checkpoint objects.
    pub checkpoints: u64,
    /// Temporary files of other attempts.
    pub temporaries: u64,
}

impl StateDir {
    /// Deletes old checkpoints, segments that nobody needs, and temporary files of dead attempts.
    ///
    /// `newest` must have been put by this very job, with `Put::Won`. It does nothing if a higher number exists.
    /// `raw_passed` is the lowest checkpoint at which a store of raw flows stands (`Acks::raw_lowest`).
    ///
    /// # Errors
    /// `Io`; what is left over goes with the next call.
    pub fn delete_unlisted(
        &self,
        newest: &Checkpoint,
        raw_passed: u64,
    ) -> Result<Deleted, StateError> {
        let mut deleted = Deleted::default();
        let numbers = self.numbers()?;
        if numbers.last() != Some(&newest.number) {
            return Ok(deleted);
        }
        let previous = numbers.iter().rev().nth(1).copied();
        let mut keep: BTreeSet<SegmentName> = newest.segments.keys().copied().collect();
        if let Some(number) = previous {
            match read_checkpoint(&self.checkpoint_path(number), number) {
                Ok(checkpoint) => keep.extend(checkpoint.segments.keys()),
                Err(error) => {
                    tracing::warn!(%error, "the checkpoint before the newest is unreadable");
                }
            }
        }
        let unneeded = |n: &u64| Some(*n) < previous && *n < raw_passed;
        for number in numbers.into_iter().filter(unneeded) {
            deleted.checkpoints += remove(&self.checkpoint_path(number))?;
        }
        for text in files::names(&self.segments())? {
            let unlisted = parse_segment_file_name(&text)
                .is_some_and(|name| name.number <= newest.number && !keep.contains(&name));
            if unlisted {
                deleted.segments += remove(&self.segments().join(text))?;
            }
        }
        let own = format!("{}{:016x}-", files::TEMPORARY, newest.attempt);
        for folder in [self.checkpoints(), self.segments()] {
            for text in files::names(&folder)? {
                if text.starts_with(files::TEMPORARY) && !text.starts_with(&own) {
                    deleted.temporaries += remove(&folder.join(text))?;
                }
            }
        }
        Ok(deleted)
    }
}

/// Removes a file; one that is gone already counts as 0.
fn remove(path: &Path) -> Result<u64, StateError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(1),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(StateError::io("delete", path)(error)),
    }
}
