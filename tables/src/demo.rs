//! The demo tables, built in, so that demo and mock exporters need no file.
//!
//! Law: reserved address space and AS numbers only; `tables/demo/README.md` says how they are made.

use std::ops::RangeInclusive;

/// `first,last,asn,"name"` of the demo: 8 own ASes with large blocks, about 100 others.
pub const DEMO_ASN_CSV: &str = include_str!("../demo/asn.csv");

/// `first,last,country` of the demo; some networks have no country.
pub const DEMO_COUNTRY_CSV: &str = include_str!("../demo/country.csv");

/// AS numbers of the demo's own networks; every other AS in the table is a foreign one.
pub const DEMO_OWN_ASNS: RangeInclusive<u32> = 64496..=64503;
