//! The canonical bytes of a table set: what the state store archives under their hash.
//!
//! ```text
//! "flowtabl" | version u32 | tables u32 | for each table: kind u32 | IPv4 ranges u32 | IPv6 ranges u32 |
//! ranges (first, last, value) | SHA-256 of all before            all big-endian
//! ```
//! A set that was read back is the set that was written: every process of a job compiles these bytes.
//!
//! Law: equal sets have equal bytes; bytes that are not the canonical form of a set are refused.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::TableError;
use crate::load::TableSet;
use crate::parse::Kind;
use crate::ranges::{Range, Ranges};
use crate::table::PrefixTable;

const MAGIC: &[u8; 8] = b"flowtabl";
const VERSION: u32 = 1;
const HASH_BYTES: usize = 32;

impl TableSet {
    /// Its canonical bytes, for `from_archive`.
    pub fn archive(&self) -> Vec<u8> {
        let mut bytes = self.body();
        let hash = Sha256::digest(&bytes);
        bytes.extend_from_slice(&hash);
        bytes
    }

    /// Names its content: SHA-256 over the canonical form, in hexadecimal.
    pub fn hash(&self) -> String {
        Sha256::digest(self.body())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn body(&self) -> Vec<u8> {
        let tables: Vec<_> = Kind::ALL
            .iter()
            .filter_map(|&kind| Some((kind, self.table(kind)?)))
            .collect();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(count(tables.len()));
        for (kind, table) in tables {
            let ranges = table.ranges();
            bytes.extend(kind_number(kind).to_be_bytes());
            bytes.extend(count(ranges.v4.len()));
            bytes.extend(count(ranges.v6.len()));
            bytes.reserve(ranges.v4.len() * 12 + ranges.v6.len() * 36 + HASH_BYTES);
            for range in &ranges.v4 {
                bytes.extend(range.first.to_be_bytes());
                bytes.extend(range.last.to_be_bytes());
                bytes.extend(range.value.to_be_bytes());
            }
            for range in &ranges.v6 {
                bytes.extend(range.first.to_be_bytes());
                bytes.extend(range.last.to_be_bytes());
                bytes.extend(range.value.to_be_bytes());
            }
        }
        bytes
    }

    /// From the bytes that `archive` gave.
    ///
    /// # Errors
    /// `TableError::Archive` if they are anything else.
    pub fn from_archive(bytes: &[u8]) -> Result<TableSet, TableError> {
        let refused = |what| TableError::Archive { what };
        let body_bytes = bytes
            .len()
            .checked_sub(HASH_BYTES)
            .ok_or(refused("cut short"))?;
        let (body, hash) = bytes.split_at(body_bytes);
        let mut rest = body
            .strip_prefix(MAGIC)
            .ok_or(refused("not an archive of tables"))?;
        if Sha256::digest(body)[..] != *hash {
            return Err(refused("damaged (its checksum differs)"));
        }
        read_body(&mut rest)
            .filter(|_| rest.is_empty())
            .ok_or(refused("not in canonical form"))
    }
}

fn count(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes()
}

fn kind_number(kind: Kind) -> u32 {
    match kind {
        Kind::Asn => 0,
        Kind::Country => 1,
    }
}

fn read_body(rest: &mut &[u8]) -> Option<TableSet> {
    if read_u32(rest)? != VERSION {
        return None;
    }
    let mut set = TableSet::default();
    let mut at_least = 0;
    for _ in 0..read_u32(rest)? {
        let number = read_u32(rest)?;
        let kind = Kind::ALL
            .into_iter()
            .find(|&kind| kind_number(kind) == number)?;
        if number < at_least {
            return None;
        }
        at_least = number + 1;
        let (v4, v6) = (read_u32(rest)?, read_u32(rest)?);
        let ranges = Ranges {
            v4: read_ranges(rest, v4, u32::from_be_bytes)?,
            v6: read_ranges(rest, v6, u128::from_be_bytes)?,
        };
        if !ranges.is_canonical() {
            return None;
        }
        *set.table_mut(kind) = Some(Arc::new(PrefixTable::new(ranges)));
    }
    Some(set)
}

/// `count` ranges of addresses of `N` bytes. Allocates no more than the bytes that are there.
fn read_ranges<A, const N: usize>(
    rest: &mut &[u8],
    count: u32,
    address: fn([u8; N]) -> A,
) -> Option<Vec<Range<A>>> {
    let bytes = usize::try_from(count).ok()?.checked_mul(2 * N + 4)?;
    let (mut taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    let mut ranges = Vec::with_capacity(taken.len() / (2 * N + 4));
    while !taken.is_empty() {
        let (first, last) = (address(read(&mut taken)?), address(read(&mut taken)?));
        ranges.push(Range {
            first,
            last,
            value: read_u32(&mut taken)?,
        });
    }
    Some(ranges)
}

fn read_u32(rest: &mut &[u8]) -> Option<u32> {
    read(rest).map(u32::from_be_bytes)
}

fn read<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_with_a_right_checksum_that_are_not_canonical_are_refused() {
        let v4 = |first: u32, last: u32, value| Range { first, last, value };
        let archive = |v4: Vec<Range<u32>>| {
            let table = PrefixTable::new(Ranges {
                v4: vec![],
                v6: vec![],
            });
            let mut bytes = TableSet {
                asn: Some(Arc::new(table)),
                country: None,
            }
            .body();
            let counts = bytes.len() - 8;
            bytes[counts..counts + 4].copy_from_slice(&count(v4.len()));
            for r in v4 {
                bytes.extend(
                    [r.first, r.last, r.value]
                        .map(u32::to_be_bytes)
                        .as_flattened(),
                );
            }
            let hash = Sha256::digest(&bytes);
            bytes.extend_from_slice(&hash);
            TableSet::from_archive(&bytes)
        };
        assert!(archive(vec![v4(1, 5, 7), v4(6, 6, 8)]).is_ok());
        for bad in [
            vec![v4(5, 1, 7)],
            vec![v4(1, 5, 0)],
            vec![v4(1, 5, 7), v4(5, 6, 8)],
            vec![v4(1, 5, 7), v4(6, 6, 7)],
            vec![v4(8, 9, 7), v4(6, 6, 8)],
        ] {
            assert!(
                matches!(archive(bad.clone()), Err(TableError::Archive { .. })),
                "{bad:?}"
            );
        }
    }
}
