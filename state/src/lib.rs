//! Job state: checkpoints, segments, timeline and the table archive, over named objects: a directory's files, or others.
//!
//! A restarted job takes up everything it needs from here, and every sink follows what stands here.
//! Room law: knows bytes only; nothing of flows, topics or stores.

pub mod checkpoint;

mod acks;
mod amendment;
mod archive;
mod chain;
mod directory;
mod error;
mod fault;
mod files;
mod frame;
mod gap;
mod layout;
mod objects;
mod proof;
mod published;
mod replaced;
mod segment;
mod store;
mod swaps;
mod sweep;

pub use acks::Acks;
pub use amendment::Amendment;
pub use archive::table_hash;
pub use chain::Put;
pub use checkpoint::{
    Checkpoint, Group, Position, Retirement, SegmentName, SlotCounts, SlotSecs, TableVersion,
    Timeline,
};
pub use error::StateError;
pub use fault::{Fault, FaultKind};
pub use frame::{decode_checkpoint, encode_checkpoint};
pub use gap::Gap;
pub use objects::{Objects, Opened, Placed};
pub use published::Published;
pub use replaced::Replaced;
pub use segment::{Segment, SegmentFile};
pub use store::StateStore;
pub use swaps::{SwapOutcome, SwapRequest, Swaps};
pub use sweep::Deleted;
