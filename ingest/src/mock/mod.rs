//! Mock exporters: seeded flows over simulated time, written to a topic.
//!
//! A pipeline that can be tried only beside routers is not tried. The same seed gives the same flows, so that what
//! a job makes of them can be compared with what a reference makes of them.
//! Law: nothing here reads a clock or draws from chance but by its arguments.

mod blocks;
mod distribution;
mod generator;
mod topic_writer;

pub use blocks::{AddressBlock, BlocksError, blocks_from_csv};
pub use generator::{Generator, GeneratorOptions};
pub use topic_writer::{MockError, Totals, WriteOptions, write_topic};
