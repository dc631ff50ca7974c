//! What a row sums, and countries as numbers of its key.
//!
//! Law: sums only ever grow by whole flows.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

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
