//! Prefix tables: load ranges and prefixes, check them, compile them to flat look-up structures.
//!
//! A `TableSet` is one version of all tables of a job. It is immutable and shared by `Arc`; a change of tables
//! is another set.
//!
//! Law: equal tables have equal canonical bytes, and so one hash, in whatever order their rows stood.
//! Room law: knows nothing of flows or of the dataflow. An address is 16 bytes, IPv4 mapped into
//! `::ffff:0:0/96`; a value is a `u32`, 0 meaning none.

mod archive;
mod demo;
mod dir24;
mod entry;
mod error;
mod flat64;
mod load;
mod parse;
mod ranges;
mod table;

pub use demo::{DEMO_ASN_CSV, DEMO_COUNTRY_CSV, DEMO_OWN_ASNS};
pub use error::{BadRow, LoadReport, TableError, TableReport};
pub use load::{Source, TableSet};
pub use parse::Kind;
pub use table::PrefixTable;
