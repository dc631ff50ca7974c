//! Value types of flow fields: addresses, MACs, short lists, the flow's type.
//!
//! All are `Copy`, of fixed size and without heap, so that a batch of flows is one allocation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IP address as 16 bytes, IPv4 mapped into `::ffff:0:0/96`; all zero: absent.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, bytemuck::Pod, bytemuck::Zeroable,
)]
#[repr(transparent)]
pub struct Addr(pub [u8; 16]);

impl Addr {
    /// No address.
    pub const NONE: Addr = Addr([0; 16]);

    /// From 4 or 16 bytes as they stand on the wire; any other length is no address.
    pub fn from_wire(bytes: &[u8]) -> Option<Addr> {
        match bytes.len() {
            4 => Some(Addr::v4(<[u8; 4]>::try_from(bytes).ok()?)),
            16 => Some(Addr(<[u8; 16]>::try_from(bytes).ok()?)),
            _ => None,
        }
    }

    /// An IPv4 address.
    pub const fn v4(b: [u8; 4]) -> Addr {
        Addr([
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, b[0], b[1], b[2], b[3],
        ])
    }

    /// The four bytes of an IPv4 address.
    pub fn as_v4(&self) -> Option<[u8; 4]> {
        match self.0 {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Some([a, b, c, d]),
            _ => None,
        }
    }

    /// Whether an address was given.
    pub fn is_set(&self) -> bool {
        self.0 != [0; 16]
    }

    /// As the standard library's type, IPv4 unwrapped; `None` if absent.
    pub fn to_ip(&self) -> Option<IpAddr> {
        if !self.is_set() {
            return None;
        }
        Some(match self.as_v4() {
            Some(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
            None => IpAddr::V6(Ipv6Addr::from(self.0)),
        })
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Addr {
        match ip {
            IpAddr::V4(v4) => Addr::v4(v4.octets()),
            IpAddr::V6(v6) => Addr(v6.octets()),
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_ip() {
            Some(ip) => ip.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A MAC address in the low 48 bits; 0: absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mac(pub u64);

/// A short list in place; what does not fit is left out by the producer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct List<const N: usize> {
    length: u8,
    items: [u32; N],
}

impl<const N: usize> Default for List<N> {
    fn default() -> Self {
        List::EMPTY
    }
}

impl<const N: usize> List<N> {
    /// The list without items.
    pub const EMPTY: List<N> = List {
        length: 0,
        items: [0; N],
    };

    /// Appends; false if the list is full.
    pub fn push(&mut self, item: u32) -> bool {
        let at = usize::from(self.length);
        match self.items.get_mut(at) {
            Some(place) => {
                *place = item;
                self.length += 1;
                true
            }
            None => false,
        }
    }

    /// The items in order.
    pub fn as_slice(&self) -> &[u32] {
        self.items.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

impl<const N: usize> fmt::Debug for List<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// `FlowMessage.FlowType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum FlowType {
    /// Not said.
    #[default]
    Unknown = 0,
    /// sFlow version 5.
    Sflow5 = 1,
    /// NetFlow version 5.
    NetflowV5 = 2,
    /// NetFlow version 9 (RFC 3954).
    NetflowV9 = 3,
    /// IPFIX (RFC 7011).
    Ipfix = 4,
}

impl FlowType {
    /// goflow2's name of the value.
    pub fn name(self) -> &'static str {
        match self {
            FlowType::Unknown => "FLOWUNKNOWN",
            FlowType::Sflow5 => "SFLOW_5",
            FlowType::NetflowV5 => "NETFLOW_V5",
            FlowType::NetflowV9 => "NETFLOW_V9",
            FlowType::Ipfix => "IPFIX",
        }
    }

    /// From the number on the wire; unknown numbers are `Unknown`.
    pub fn from_number(n: u64) -> FlowType {
        match n {
            1 => FlowType::Sflow5,
            2 => FlowType::NetflowV5,
            3 => FlowType::NetflowV9,
            4 => FlowType::Ipfix,
            _ => FlowType::Unknown,
        }
    }
}
