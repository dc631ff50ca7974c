//! Address blocks that mock flows are drawn from, and how a host is drawn.
//!
//! The room does not know the tables: whoever wants flows of a table's networks passes them.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use flow_proto::Addr;

use super::chance::{Chance, Skew};

/// A range of addresses of one AS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressBlock {
    /// First address.
    pub first: Addr,
    /// Last address, of the same family.
    pub last: Addr,
    /// The AS that it belongs to; 0: none.
    pub asn: u32,
    /// Of the operator's own networks; flows go between these and the others.
    pub own: bool,
}

/// A line that is no address block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} is no address block: expected first,last,asn as in 192.0.2.0,192.0.2.255,64496"
)]
pub struct BlockError {
    /// Its number, from 1.
    pub line: usize,
}

impl AddressBlock {
    /// Reads lines `first,last,asn`, further columns ignored; the ASes in `own` are the operator's.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn parse(csv: &str, own: &RangeInclusive<u32>) -> Result<Vec<AddressBlock>, BlockError> {
        let lines = csv
            .lines()
            .enumerate()
            .filter(|(_, text)| !text.trim().is_empty());
        lines
            .map(|(at, text)| AddressBlock::line(text, own).ok_or(BlockError { line: at + 1 }))
            .collect()
    }

    fn line(text: &str, own: &RangeInclusive<u32>) -> Option<AddressBlock> {
        let mut columns = text.split(',').map(str::trim);
        let first: IpAddr = columns.next()?.parse().ok()?;
        let last: IpAddr = columns.next()?.parse().ok()?;
        let asn = columns.next()?.parse().ok()?;
        if first > last || first.is_ipv4() != last.is_ipv4() {
            return None;
        }
        let (first, last) = (Addr::from(first), Addr::from(last));
        Some(AddressBlock {
            first,
            last,
            asn,
            own: own.contains(&asn),
        })
    }

    /// A host, the first ones more often.
    pub(super) fn host(&self, chance: &mut Chance) -> Addr {
        let (first, last) = (
            u128::from_be_bytes(self.first.0),
            u128::from_be_bytes(self.last.0),
        );
        let size = last.saturating_sub(first).saturating_add(1);
        // 2^16 hosts a block are plenty; half of all flows are of the first 256.
        let bits = 8 + chance.below(2) * 4 + chance.below(2) * 4;
        let hosts = u64::try_from(size).unwrap_or(u64::MAX).min(1 << bits);
        Addr((first + u128::from(chance.below(hosts))).to_be_bytes())
    }
}

/// Blocks of one family and side, the first ones most popular.
#[derive(Clone, Debug)]
pub(super) struct Popular {
    blocks: Vec<AddressBlock>,
    skew: Skew,
}

impl Popular {
    /// `None` if there are none.
    pub(super) fn of(blocks: impl Iterator<Item = AddressBlock>) -> Option<Popular> {
        let blocks: Vec<_> = blocks.collect();
        let skew = Skew::zipf(blocks.len())?;
        Some(Popular { blocks, skew })
    }

    pub(super) fn draw(&self, chance: &mut Chance) -> AddressBlock {
        let nowhere = AddressBlock {
            first: Addr::NONE,
            last: Addr::NONE,
            asn: 0,
            own: false,
        };
        self.blocks
            .get(self.skew.draw(chance))
            .copied()
            .unwrap_or(nowhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_blocks() {
        let csv = "10.0.0.0,10.0.0.255,64496,\"own\"\n\n2001:db8::,2001:db8::ff,65000\n";
        let blocks = AddressBlock::parse(csv, &(64496..=64503)).unwrap();
        assert_eq!(
            blocks.iter().map(|b| (b.asn, b.own)).collect::<Vec<_>>(),
            [(64496, true), (65000, false)]
        );
        for bad in [
            "10.0.0.1,10.0.0.0,1",
            "10.0.0.0,::1,1",
            "10.0.0.0,10.0.0.1",
            "x",
        ] {
            assert_eq!(
                AddressBlock::parse(&format!("\n{bad}"), &(1..=1)),
                Err(BlockError { line: 2 })
            );
        }
    }

    #[test]
    fn hosts_stay_in_their_block() {
        let mut chance = Chance::new(1);
        for block in
            AddressBlock::parse("10.0.0.7,10.0.0.9,1\n2001:db8::,2001:db8:f::,1", &(1..=1)).unwrap()
        {
            for _ in 0..1000 {
                let host = block.host(&mut chance);
                assert!(block.first <= host && host <= block.last);
            }
        }
    }
}
