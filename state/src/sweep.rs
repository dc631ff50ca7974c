//! Deletes what no one needs any more, so that the directory does not grow without bound.
//!
//! Law 5: only a writer that has just succeeded deletes, and only files numbered up to its own checkpoint n that n
//! does not list. The newest checkpoint is never deleted. The one before it is kept with its files, too:
//! should the newest ever turn out damaged, the job goes on from there. Checkpoints from the lowest raw cursor on are
//! kept without their files: they say where the blocks of raw flows begin and end.

use std::collections::BTreeSet;

use crate::layout::{self, CHECKPOINTS, SEGMENTS};
use crate::{Checkpoint, SegmentName, StateError, StateStore};

/// How many files were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Segments.
    pub segments: u64,
    /// Checkpoint objects.
    pub checkpoints: u64,
    /// Temporary files of other attempts.
    pub temporaries: u64,
    /// Requests for other tables.
    pub requests: u64,
}

impl StateStore {
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
            match self.read_checkpoint(number) {
                Ok(checkpoint) => {
                    keep.extend(checkpoint.segments.keys());
                    deleted.requests = self.delete_decided(newest, &checkpoint)?;
                }
                Err(error) => {
                    tracing::warn!(%error, "the checkpoint before the newest is unreadable");
                }
            }
        }
        let unneeded = |n: &u64| Some(*n) < previous && *n < raw_passed;
        for number in numbers.into_iter().filter(unneeded) {
            self.delete(&layout::checkpoint(number))?;
            deleted.checkpoints += 1;
        }
        for text in self.list(SEGMENTS)? {
            let unlisted = layout::segment_name(&text)
                .filter(|name| name.number <= newest.number && !keep.contains(name));
            if let Some(name) = unlisted {
                self.delete(&layout::segment(name))?;
                deleted.segments += 1;
            }
        }
        for folder in [CHECKPOINTS, SEGMENTS] {
            let swept = self.objects().sweep(folder, newest.attempt);
            deleted.temporaries += swept.map_err(StateError::io("sweep", &self.shown(folder)))?;
        }
        Ok(deleted)
    }

    /// Deletes requests that the checkpoint before the newest has decided, when the newest has decided others: should the job
    /// go on from that one, it takes up those that it has not decided. The last one stays, so that numbers go on.
    fn delete_decided(&self, newest: &Checkpoint, before: &Checkpoint) -> Result<u64, StateError> {
        let decided = before.swaps.decided;
        if newest.swaps.decided == decided {
            return Ok(0);
        }
        let old = self
            .swap_requests()?
            .into_iter()
            .filter(|number| *number <= decided);
        let mut deleted = 0;
        for number in old {
            self.delete(&layout::swap(number))?;
            deleted += 1;
        }
        Ok(deleted)
    }

    fn delete(&self, name: &str) -> Result<(), StateError> {
        let deleted = self.objects().delete(name);
        deleted.map_err(StateError::io("delete", &self.shown(name)))
    }
}
