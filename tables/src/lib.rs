//! Prefix tables: load ranges and prefixes, check them, compile them to flat look-up structures.
//!
//! A `TableSet` is one version of all tables of a job. It is immutable and shared by `Arc`; a change of tables
//! is another set.
//!
//! Law: equal tables have equal canonical bytes, and so one hash, in whatever order their rows stood.
//! Room law: knows nothing of flows or of the dataflow. An address is 16 bytes, IPv4 mapped into
//! `::ffff:0:0/96`; a value is a `u32`, 0 meaning none.

mod archive;
mod attribute;
mod cidr;
mod csv;
mod demo;
mod diff;
mod dir24;
mod entry;
mod error;
mod flat64;
mod format;
mod found;
mod gaps;
mod json;
mod kind;
mod lines;
mod load;
mod mmdb;
mod mrt;
mod names;
mod order;
mod origins;
mod overlay;
mod parse;
mod part;
mod place;
mod ranges;
mod roles;
mod routes;
mod rows;
mod set;
mod source;
mod spec;
mod starts;
mod step;
mod table;
mod unpack;
mod value;

pub use attribute::AttributeTable;
pub use cidr::prefixes;
pub use demo::{DEMO_ASN_CSV, DEMO_COUNTRY_CSV, DEMO_OWN_ASNS};
pub use diff::{Change, changes};
pub use error::{BadRow, LoadReport, TableError, TableReport};
pub use format::Format;
pub use gaps::Gaps;
pub use kind::{Kind, KindError};
pub use load::Source;
pub use names::{AsNames, ExporterNames, InterfaceNames, NameTable};
pub use order::{AsnOrder, Order};
pub use origins::{Matched, Origins};
pub use place::{Fetch, Fetched, is_passed_over, no_remote};
pub use set::TableSet;
pub use spec::{Place, SourceOptions, SourceSpec, SpecError};
pub use table::{PrefixTable, TableRange};
pub use value::ValueType;
