//! Rows of a rollup: the key, the sums, and the fixed-size record in which both travel.
//!
//! Law: sums only ever grow by whole flows; a row's record holds absolute totals, never increments.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// A rollup: which three 32-bit values of a flow form the key of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rollup {
    /// `rollup_5m`: source AS, destination AS, EtherType.
    As = 0,
    /// `rollup_5m_country`: source country, destination country (two ASCII letters as a number), EtherType.
    Country = 1,
}

impl Rollup {
    /// All rollups, in the order of their numbers.
    pub const ALL: [Rollup; 2] = [Rollup::As, Rollup::Country];

    /// Name of its table in every store.
    pub const fn table(self) -> &'static str {
        match self {
            Rollup::As => "rollup_5m",
            Rollup::Country => "rollup_5m_country",
        }
    }

    /// Names of the key's columns.
    pub const fn key_columns(self) -> [&'static str; 3] {
        match self {
            Rollup::As => ["src_as", "dst_as", "etype"],
            Rollup::Country => ["src_country", "dst_country", "etype"],
        }
    }

    /// From its number.
    pub fn from_number(n: u16) -> Option<Rollup> {
        Rollup::ALL.get(usize::from(n)).copied()
    }
}

/// What is summed for each key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub struct Sums {
    /// Bytes as sent.
    pub bytes: u64,
    /// Packets as sent.
    pub packets: u64,
    /// Number of flows.
    pub flows: u64,
    /// Bytes times sampling rate.
    pub scaled_bytes: u64,
    /// Packets times sampling rate.
    pub scaled_packets: u64,
    /// Flows whose sampling rate was unknown and taken as 1.
    pub unknown_rate_flows: u64,
}

impl Sums {
    /// Names of the sums' columns, in the order of the fields.
    pub const COLUMNS: [&'static str; 6] = [
        "bytes",
        "packets",
        "flows",
        "scaled_bytes",
        "scaled_packets",
        "unknown_rate_flows",
    ];

    /// The sums in the order of `COLUMNS`.
    pub fn values(&self) -> [u64; 6] {
        bytemuck::cast(*self)
    }

    /// From the values in the order of `COLUMNS`.
    pub fn from_values(values: [u64; 6]) -> Sums {
        bytemuck::cast(values)
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Sums) {
        self.bytes += other.bytes;
        self.packets += other.packets;
        self.flows += other.flows;
        self.scaled_bytes += other.scaled_bytes;
        self.scaled_packets += other.scaled_packets;
        self.unknown_rate_flows += other.unknown_rate_flows;
    }
}

/// One row of one slot in memory and in segments: 72 bytes, no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub struct RowRecord {
    /// Start of the slot: seconds since 1970, UTC.
    pub slot_secs: u64,
    /// The rollup's number.
    pub rollup: u16,
    /// Shard of the key.
    pub shard: u16,
    /// The key's three values, in the order of `Rollup::key_columns`.
    pub key: [u32; 3],
    /// Absolute totals.
    pub sums: Sums,
}

/// A country code of two ASCII letters as the number used in keys; 0: none.
pub fn country_number(code: &str) -> u32 {
    match code.as_bytes() {
        [a, b] => u32::from(*a) << 8 | u32::from(*b),
        _ => 0,
    }
}

/// The two letters of a country's number; empty for 0.
pub fn country_code(number: u32) -> String {
    let letter = |n: u32| char::from(u8::try_from(n & 0xff).unwrap_or(b'?'));
    if number == 0 {
        String::new()
    } else {
        [letter(number >> 8), letter(number)].iter().collect()
    }
}
