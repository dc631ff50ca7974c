//! Flow records and their wire form: the flat `Flow`, `FlowMessage` protobuf in both dialects, packs.
//!
//! Room law: knows nothing of our other crates, does no I/O and has no clock.

pub mod fields;
mod flow;
mod row;
mod value;

pub use flow::Flow;
pub use row::{Rollup, RowRecord, Sums, country_code, country_number};
pub use value::{Addr, FlowType, List, Mac};
