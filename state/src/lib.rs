//! Job state: checkpoints, segments, timeline and the table archive, in a directory.
//!
//! Room law: knows bytes only; nothing of flows, topics or stores.

pub mod checkpoint;

pub use checkpoint::{
    Checkpoint, Group, Position, Retirement, SegmentName, SlotCounts, SlotSecs, TableVersion, Timeline,
};
