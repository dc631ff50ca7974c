//! Flow records and their wire form: the flat `Flow`, `FlowMessage` protobuf in both dialects, packs.
//!
//! Room law: knows nothing of our other crates, does no I/O and has no clock.

mod core;
mod decode;
mod dialect;
mod dimension;
mod encode;
mod enriched;
mod enriched_message;
pub mod fields;
mod flow;
mod framing;
mod json;
mod names;
mod record;
mod rollup;
mod rollups;
mod row;
mod schema;
mod text;
mod value;
mod wire;

pub use crate::core::FlowCore;
pub use dialect::Dialect;
pub use dimension::{Dimension, DimensionKind, address_of, address_words, network};
pub use enriched::{Coordinate, EnrichedFlow, Verdict};
pub use enriched_message::Enrichment;
pub use flow::Flow;
pub use framing::{Framing, FramingError, Messages, PACK_HEADER, PackBuilder, messages};
pub use record::{Key, Record, RowRecord, RowView, WideRecord, WidestRecord, Width};
pub use rollup::{Feed, Rollup};
pub use rollups::{RollupError, Rollups};
pub use row::{Sums, country_code, country_number};
pub use schema::schema_proto;
pub use text::{TextClash, TextWords, learn_text, text_of, text_shown, text_words, words_of};
pub use value::{Addr, FlowType, List, Mac};
pub use wire::DecodeError;
