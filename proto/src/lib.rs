//! Flow records and their wire form: the flat `Flow`, `FlowMessage` protobuf in both dialects, packs.
//!
//! Room law: knows nothing of our other crates, does no I/O and has no clock.

mod core;
mod decode;
mod dialect;
mod encode;
mod enriched;
mod enriched_message;
pub mod fields;
mod flow;
mod framing;
mod json;
mod names;
mod row;
mod schema;
mod value;
mod wire;

pub use crate::core::FlowCore;
pub use dialect::Dialect;
pub use enriched::{Coordinate, EnrichedFlow, Verdict};
pub use enriched_message::Enrichment;
pub use flow::Flow;
pub use framing::{Framing, FramingError, Messages, PACK_HEADER, PackBuilder, messages};
pub use row::{Rollup, RowRecord, Sums, country_code, country_number};
pub use schema::schema_proto;
pub use value::{Addr, FlowType, List, Mac};
pub use wire::DecodeError;
