//! Stores: each follows the checkpoints at its own pace and holds the rows of every complete slot.
//!
//! One trait for all stores, one follower that feeds it, one definition of the columns. Law 6: nothing that is not
//! in a checkpoint reaches a store; rows are absolute totals with revisions, never increments.
//! Room law: knows `flow-proto` and `flow-state`, and in `kafka/` the topic it writes; never timely.

#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod adoption;
pub mod clickhouse;
pub mod columns;
mod comparison;
mod delta;
mod error;
mod follower;
mod following;
mod gone_back;
mod group_totals;
mod identity;
pub mod kafka;
mod lag;
mod late;
mod login;
mod look;
mod metrics;
#[cfg(feature = "mutants")]
mod mutant;
pub mod options;
mod patience;
pub mod postgres;
mod raw;
pub mod raw_columns;
mod raw_follower;
mod raw_look;
mod raw_places;
mod raw_texts;
mod raw_topic;
mod schema;
mod segment_rows;
mod share;
mod slot_rows;
pub mod sqlite;
pub mod stdout;
mod stored_rows;
mod stored_slots;
pub mod url;
mod utc;

use std::collections::BTreeMap;

pub use adoption::{Adoption, Held};
pub use comparison::{Difference, DifferenceKind, Said, compare};
pub use delta::{Applied, Cursors, Delta, IsRecorded, Row, Rows, SlotRow, SlotState};
pub use error::{SinkError, SinkErrorKind};
pub use follower::{Backoff, Follower, FollowerConfig, Step};
pub use group_totals::{GroupTotals, group_totals};
pub use identity::identity;
pub use lag::Lag;
pub use look::Look;
pub use metrics::Metrics;
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use raw::{RawBlock, RawCursors, RawReplacement, RawRows, RawSink};
pub use raw_follower::RawFollower;
pub use raw_look::{RawLook, RawPlace, RawRange};
pub use raw_texts::{RawDigest, RawTexts};
pub use raw_topic::{RawSpan, RawTopic, RawWalked};
pub use schema::{Schema, Standing};
pub use share::Share;
pub use slot_rows::{counts, slot_state};
pub use stored_rows::StoredRow;
pub use stored_slots::{SlotQuery, StoredSlot};
pub use url::{
    Shape, Source, Store, look, open, open_beside, open_or_later, open_with, raw_look, schema,
    schema_with,
};

/// A store that can follow.
///
/// A transactional store applies a delta and moves its cursors in one transaction, and only if the stored cursors
/// equal `delta.from`. One without transactions writes the rows first and its cursors after; writing a delta again is
/// harmless, since the content of a revision never changes.
pub trait Sink: Send {
    /// Its URL without secrets, for messages and as the label of its metrics.
    fn name(&self) -> &str;

    /// What the store says it has: read at start and whenever the outcome of a delta is unknown.
    ///
    /// # Errors
    /// `Retry` if the store cannot be reached now.
    fn cursors(&mut self) -> Result<Cursors, SinkError>;

    /// Writes a delta: rows, slots, cursors.
    ///
    /// # Errors
    /// `Retry` if the store failed or the outcome is unknown; the follower then reads the cursors again.
    fn apply(&mut self, delta: &Delta<'_>) -> Result<Applied, SinkError>;

    /// Puts whole slots in the place of what it has of them: the rows and slots of a delta of a higher generation. Where there
    /// are transactions, rows and slots stand in one; cursors stay as they are. Written again it changes nothing. Rows above
    /// the delta's revision go unless they are `recorded`: those are of another replacement that is under way.
    ///
    /// # Errors
    /// As `apply`; `Refused` if another job than the delta's has written the store, or it keeps no slots.
    fn replace(
        &mut self,
        _delta: &Delta<'_>,
        _recorded: &IsRecorded<'_>,
    ) -> Result<u64, SinkError> {
        Err(SinkError::refused(format!(
            "sink {}: has no slots to be replaced",
            self.name()
        )))
    }

    /// Flows in rows of the base rollup, as its own table says, by slot, from this slot on. `None`: it keeps no such table.
    ///
    /// # Errors
    /// `Retry` if the store cannot be reached now.
    fn slot_flows(&mut self, _from_secs: u64) -> Result<Option<BTreeMap<u64, u64>>, SinkError> {
        Ok(None)
    }

    /// Who has written it, and how high the numbers in it are. A store that keeps nothing from start to start has nobody.
    ///
    /// # Errors
    /// `Retry` if the store cannot be reached now.
    fn held(&mut self) -> Result<Held, SinkError> {
        Ok(Held::default())
    }

    /// Makes it the adopting job's. Cut short, it is finished by another adoption, and taken by no job until then.
    ///
    /// # Errors
    /// As `apply`.
    fn adopt(&mut self, _adoption: &Adoption) -> Result<(), SinkError> {
        Ok(())
    }
}
