//! The search tree: bits of an address lead from node to node, until a record says what is there.
//!
//! Law: a walk ends, whatever the bytes: it goes no deeper than an address has bits, and visits no more than four times
//! as many nodes as the tree has. (A sound tree is visited once; some writers let equal networks share nodes.)

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use maxminddb::Metadata;

use crate::found::Found;
use crate::parse::Family;

/// Zero bytes between tree and data; a record counts from their start.
const SEPARATOR_BYTES: u32 = 16;
/// Where IPv4 stands in a tree of IPv6 addresses: `::/96`.
const V4_DEPTH: u8 = 96;

/// The tree of a file.
pub(super) struct Tree<'a> {
    bytes: &'a [u8],
    node_count: u32,
    /// 24, 28 or 32.
    record_bits: u16,
    is_v6: bool,
}

/// A network that leads to data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Its first address, in the low bits; IPv4 below `::/96` if the tree has IPv6 addresses.
    base: u128,
    /// Bits of the address that lead to it.
    length: u8,
    is_v6: bool,
    /// Where its data stand, in bytes from the start of the data.
    pub(super) data: u32,
}

impl<'a> Tree<'a> {
    /// The tree in `bytes`, which were found to be as long as the metadata say.
    pub(super) fn of(bytes: &'a [u8], metadata: &Metadata) -> Tree<'a> {
        Tree {
            bytes,
            node_count: metadata.node_count,
            record_bits: metadata.record_size,
            is_v6: metadata.ip_version == 6,
        }
    }

    /// All leaves, in the order of addresses; IPv4 in an IPv6 tree only where it stands, not at its aliases.
    pub(super) fn leaves(&self) -> Leaves<'_> {
        let root = Visit {
            record: 0,
            base: 0,
            length: 0,
        };
        Leaves {
            tree: self,
            v4_root: if self.is_v6 { self.v4_root() } else { None },
            stack: vec![root],
            visits_left: u64::from(self.node_count) * 4,
        }
    }

    /// The node at `::/96`, if the tree goes down to there.
    fn v4_root(&self) -> Option<u32> {
        (0..V4_DEPTH).try_fold(0, |node, _| {
            let (zero, _) = self.records(node)?;
            (zero < self.node_count).then_some(zero)
        })
    }

    /// Both records of a node.
    fn records(&self, node: u32) -> Option<(u32, u32)> {
        let node_bytes = usize::from(self.record_bits / 4);
        let start = usize::try_from(node).ok()?.checked_mul(node_bytes)?;
        match *self.bytes.get(start..)?.get(..node_bytes)? {
            [a, b, c, d, e, f] => Some((
                u32::from_be_bytes([0, a, b, c]),
                u32::from_be_bytes([0, d, e, f]),
            )),
            // The byte in the middle has the high four bits of both.
            [a, b, c, middle, d, e, f] => Some((
                u32::from_be_bytes([middle >> 4, a, b, c]),
                u32::from_be_bytes([middle & 15, d, e, f]),
            )),
            [a, b, c, d, e, f, g, h] => Some((
                u32::from_be_bytes([a, b, c, d]),
                u32::from_be_bytes([e, f, g, h]),
            )),
            _ => None,
        }
    }
}

/// A place of the walk that is still to be visited.
#[derive(Clone, Copy)]
struct Visit {
    record: u32,
    base: u128,
    length: u8,
}

/// The walk; it ends with the first error.
pub(super) struct Leaves<'a> {
    tree: &'a Tree<'a>,
    v4_root: Option<u32>,
    stack: Vec<Visit>,
    visits_left: u64,
}

impl Iterator for Leaves<'_> {
    type Item = Result<Leaf, String>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(visit) = self.stack.pop() {
            match visit.record.checked_sub(self.tree.node_count) {
                None => {
                    if let Err(reason) = self.descend(visit) {
                        self.stack.clear();
                        return Some(Err(reason));
                    }
                }
                // No data.
                Some(0) => {}
                Some(record) => {
                    return Some(Ok(Leaf {
                        base: visit.base,
                        length: visit.length,
                        is_v6: self.tree.is_v6,
                        // Within the separator: beyond all data, so that decoding refuses it.
                        data: record.checked_sub(SEPARATOR_BYTES).unwrap_or(u32::MAX),
                    }));
                }
            }
        }
        None
    }
}

impl Leaves<'_> {
    /// Goes on with both halves of a node's network.
    fn descend(
        &mut self,
        Visit {
            record: node,
            base,
            length,
        }: Visit,
    ) -> Result<(), String> {
        let is_v4 = base == 0 && length == V4_DEPTH;
        if self.v4_root == Some(node) && !is_v4 {
            return Ok(());
        }
        let bits: u8 = if self.tree.is_v6 { 128 } else { 32 };
        if length >= bits {
            return Err(format!(
                "damaged search tree: node {node} lies deeper than {bits} bits"
            ));
        }
        let Some(visits_left) = self.visits_left.checked_sub(1) else {
            return Err(format!(
                "damaged search tree: its {} nodes lead to each other again and again",
                self.tree.node_count
            ));
        };
        self.visits_left = visits_left;
        let (zero, one) = self
            .tree
            .records(node)
            .ok_or_else(|| format!("damaged search tree: node {node} lies beyond the file"))?;
        let half = |record, base| Visit {
            record,
            base,
            length: length + 1,
        };
        self.stack.push(half(one, base | 1 << (bits - 1 - length)));
        self.stack.push(half(zero, base));
        Ok(())
    }
}

impl Leaf {
    /// Its first address as one of the tree.
    pub(super) fn tree_address(&self) -> IpAddr {
        if self.is_v6 {
            IpAddr::V6(Ipv6Addr::from(self.base))
        } else {
            IpAddr::V4(Ipv4Addr::from(low(self.base)))
        }
    }

    /// Its first address and prefix length as they are written: IPv4 as IPv4.
    fn network(&self) -> (IpAddr, u8) {
        let high = self.base >> 32;
        match self.tree_address() {
            // `::/96`, and `::ffff:0:0/96` where it is not an alias.
            IpAddr::V6(_) if self.length >= V4_DEPTH && (high == 0 || high == 0xffff) => (
                IpAddr::V4(Ipv4Addr::from(low(self.base))),
                self.length - V4_DEPTH,
            ),
            address => (address, self.length),
        }
    }

    /// Gives its range; and all of IPv4 if it lies above `::/96`, where a look-up of any IPv4 address ends.
    pub(super) fn ranges(&self, mut give: impl FnMut(Found<'static>)) {
        let (address, length) = self.network();
        give(range(address, length));
        if self.is_v6 && self.base == 0 && self.length < V4_DEPTH {
            give(range(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
        }
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, length) = self.network();
        write!(f, "{address}/{length}")
    }
}

/// The low 32 bits.
fn low(address: u128) -> u32 {
    u32::try_from(address & 0xffff_ffff).unwrap_or(0)
}

fn range(address: IpAddr, length: u8) -> Found<'static> {
    let (family, first, bits) = match address {
        IpAddr::V4(a) => (Family::V4, u128::from(u32::from(a)), 32),
        IpAddr::V6(a) => (Family::V6, u128::from(a), 128),
    };
    let rest = u32::from(length) + (128 - bits);
    Found {
        family,
        first,
        last: first | u128::MAX.checked_shr(rest).unwrap_or(0),
        value: &[],
    }
}
