//! Job state: checkpoints, segments, timeline and the table archive, in a directory.
//!
//! A restarted job takes up everything it needs from here, and every sink follows what stands here.
//! Room law: knows bytes only; nothing of flows, topics or stores.

pub mod checkpoint;

mod acks;
mod archive;
mod chain;
mod dir;
mod error;
mod files;
mod frame;
mod proof;
mod published;
mod segment;
mod sweep;

pub use acks::Acks;
pub use archive::table_hash;
pub use chain::Put;
pub use checkpoint::{
    Checkpoint, Group, Position, Retirement, SegmentName, SlotCounts, SlotSecs, TableVersion,
    Timeline,
};
pub use dir::StateDir;
pub use error::StateError;
pub use frame::{decode_checkpoint, encode_checkpoint};
pub use published::Published;
pub use segment::{Segment, SegmentFile};
pub use sweep::Deleted;
