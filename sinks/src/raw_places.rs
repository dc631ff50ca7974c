//! Where a store of raw flows stands in each partition, and where that is in the topic.
//!
//! A stored cursor is a checkpoint's number; the checkpoint's cut says which offset and which clock it means. What is
//! known in memory may be ahead of what is stored: blocks without records are not written one by one. Law 5: only
//! stored cursors let go of checkpoints, so a restart finds everything that it needs.

use std::collections::BTreeMap;

use flow_state::{Checkpoint, Position, StateError, StateStore};

use crate::{RawCursors, SinkError};

/// A stored cursor is moved without a record when it lags this many checkpoints behind what is known.
const STALE: u64 = 64;

/// One partition's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// As it is stored; `None`: not yet.
    pub(crate) cursor: Option<u64>,
    /// The checkpoint that a restart begins from.
    pub(crate) held: u64,
    /// Nothing is missing up to this checkpoint.
    pub(crate) through: u64,
    /// Where in the topic that is.
    pub(crate) at: Position,
}

impl Place {
    /// Nothing was missing up to a checkpoint at which the partition stood where it stands.
    pub(crate) fn skip_to(&mut self, number: u64) {
        self.through = self.through.max(number);
    }

    /// A block was written.
    pub(crate) fn move_to(&mut self, number: u64, at: Position) {
        *self = Place {
            cursor: Some(number),
            held: number,
            through: number,
            at,
        };
    }

    /// Whether the stored cursor is so old that it is worth a write of its own.
    pub(crate) fn is_stale(&self) -> bool {
        self.through - self.held >= STALE
    }
}

/// How a partition was placed; what has to be told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// Where its cursor says, or at its recorded start.
    Exactly,
    /// The store is new and the state is not: it begins at the oldest checkpoint that is left.
    Late,
    /// The checkpoint of its cursor is gone: raw flows were off for a while.
    AfterGap,
}

/// Finds the places of partitions.
pub(crate) struct Places<'a> {
    pub(crate) state: &'a StateStore,
    pub(crate) cursors: &'a RawCursors,
    /// The newest checkpoint that is known.
    pub(crate) newest: &'a Checkpoint,
    /// The oldest one that is left.
    pub(crate) oldest: &'a Checkpoint,
}

impl Places<'_> {
    /// Where a partition of the newest checkpoint stands.
    pub(crate) fn find(&self, partition: u32) -> Result<(Place, Placed), SinkError> {
        let Some(cursor) = self.cursors.by_partition.get(&partition).copied() else {
            return Ok(self.new_partition(partition));
        };
        let placed = match self.state.checkpoint(cursor) {
            Ok(checkpoint) => checkpoint.and_then(|c| self.position(&c, partition)),
            Err(StateError::Damaged { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let place = |held, through, at| Place {
            cursor: Some(cursor),
            held,
            through,
            at,
        };
        if let Some(at) = placed {
            return Ok((place(cursor, cursor, at), Placed::Exactly));
        }
        let next = self.state.numbers()?.into_iter().find(|n| *n > cursor);
        let next = next.map(|n| self.state.checkpoint(n)).transpose()?;
        let next = next.flatten();
        let begin = next.as_ref().unwrap_or(self.newest);
        let at = self.position(begin, partition);
        let at = at.unwrap_or_else(|| self.here(partition));
        Ok((place(begin.number, begin.number, at), Placed::AfterGap))
    }

    /// A partition without a cursor begins at the last checkpoint that does not name it, from its recorded start.
    fn new_partition(&self, partition: u32) -> (Place, Placed) {
        let begin = |number, at| Place {
            cursor: None,
            held: number,
            through: number,
            at,
        };
        let start = self.start(partition);
        match (self.oldest.cut.get(&partition), start) {
            (None, Some(start)) => (begin(self.oldest.number, start), Placed::Exactly),
            (Some(_), Some(start)) if self.oldest.number == 1 => (begin(0, start), Placed::Exactly),
            (Some(cut), _) => (begin(self.oldest.number, *cut), Placed::Late),
            // Neither a start nor an old cut: a partition of an older release's state, from here on.
            (None, None) => (
                begin(self.newest.number, self.here(partition)),
                Placed::Late,
            ),
        }
    }

    fn here(&self, partition: u32) -> Position {
        let here = self.newest.cut.get(&partition).copied();
        here.unwrap_or(Position::beginning(0))
    }

    fn start(&self, partition: u32) -> Option<Position> {
        let offset = self.newest.starts.get(&partition).copied();
        offset.map(Position::beginning)
    }

    /// Where a checkpoint has a partition; before it was found, at its start.
    fn position(&self, checkpoint: &Checkpoint, partition: u32) -> Option<Position> {
        let cut = checkpoint.cut.get(&partition).copied();
        cut.or_else(|| self.start(partition))
    }
}

/// Lowest checkpoint up to which nothing is missing, over all partitions.
pub(crate) fn through(places: &BTreeMap<u32, Place>) -> Option<u64> {
    places.values().map(|place| place.through).min()
}

/// Lowest checkpoint that a restart begins from, over all partitions.
pub(crate) fn held(places: &BTreeMap<u32, Place>) -> Option<u64> {
    places.values().map(|place| place.held).min()
}
