//! Prefix tables: load ranges and prefixes, check them, compile them to flat look-up structures.
//!
//! Room law: knows nothing of flows or of the dataflow. An address is 16 bytes, IPv4 mapped into
//! `::ffff:0:0/96`; a value is a `u32`, 0 meaning none.

mod demo;

pub use demo::{DEMO_ASN_CSV, DEMO_COUNTRY_CSV, DEMO_OWN_ASNS};
