//! Records of a routing table: `TABLE_DUMP_V2` (RFC 6396 4.3, RFC 8050 4) and `TABLE_DUMP` (RFC 6396 4.2).
//!
//! Law: a record is read to its very end, or it is damaged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::path::{AsSize, Origin, origin, read};

/// What one record says of a prefix.
pub(super) struct Routes {
    /// First address of the prefix.
    pub(super) address: IpAddr,
    /// Length of the prefix.
    pub(super) length: u8,
    /// Origins of its paths; one without an origin has none here.
    pub(super) origins: Vec<Origin>,
}

impl Routes {
    pub(super) fn is_of_same_prefix(&self, other: &Routes) -> bool {
        (self.address, self.length) == (other.address, other.length)
    }
}

/// Subtypes with unicast routes: whether IPv6, and whether each path has an identifier. `None`: peers, multicast, others.
fn unicast(subtype: u16) -> Option<(bool, bool)> {
    match subtype {
        2 => Some((false, false)),
        4 => Some((true, false)),
        8 => Some((false, true)),
        10 => Some((true, true)),
        _ => None,
    }
}

/// The routes in a `TABLE_DUMP_V2` record; `Ok(None)`: it holds something else.
pub(super) fn table_dump_v2(subtype: u16, body: &[u8]) -> Result<Option<Routes>, String> {
    let Some((is_v6, has_path_id)) = unicast(subtype) else {
        return Ok(None);
    };
    let mut rest = body;
    let prefix = read::<4>(&mut rest)
        .and_then(|_sequence_number| prefix(is_v6, &mut rest))
        .ok_or("no valid prefix in the record")?;
    let routes = entries(&mut rest, has_path_id).filter(|_| rest.is_empty());
    let (address, length) = prefix;
    let origins = routes.ok_or_else(|| format!("{address}/{length}: damaged paths"))?;
    Ok(Some(Routes {
        address,
        length,
        origins,
    }))
}

/// Length in bits, then as many bytes as they need; bits beyond them mean nothing.
fn prefix(is_v6: bool, rest: &mut &[u8]) -> Option<(IpAddr, u8)> {
    let [length] = read(rest)?;
    let (bytes, after) = rest.split_at_checked(usize::from(length.div_ceil(8)))?;
    *rest = after;
    let mut octets = [0; 16];
    octets.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let [a, b, c, d, ..] = octets;
    let address = if is_v6 {
        IpAddr::from(octets)
    } else {
        IpAddr::from([a, b, c, d])
    };
    Some((masked(address, length)?, length))
}

/// The first address of a prefix.
fn masked(address: IpAddr, length: u8) -> Option<IpAddr> {
    let length = u32::from(length);
    Some(match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX
                .checked_shl(32_u32.checked_sub(length)?)
                .unwrap_or(0);
            Ipv4Addr::from(u32::from(a) & mask).into()
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX
                .checked_shl(128_u32.checked_sub(length)?)
                .unwrap_or(0);
            Ipv6Addr::from(u128::from(a) & mask).into()
        }
    })
}

/// The origins of a record's paths.
fn entries(rest: &mut &[u8], has_path_id: bool) -> Option<Vec<Origin>> {
    let count = u16::from_be_bytes(read(rest)?);
    let mut origins = Vec::new();
    for _ in 0..count {
        let _peer_and_time: [u8; 6] = read(rest)?;
        if has_path_id {
            let _path_id: [u8; 4] = read(rest)?;
        }
        origins.extend(origin(attributes(rest)?, AsSize::Four)?);
    }
    Some(origins)
}

fn attributes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(read(rest)?);
    let (attributes, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    Some(attributes)
}

/// The one route in a `TABLE_DUMP` record.
pub(super) fn table_dump(subtype: u16, body: &[u8]) -> Result<Option<Routes>, String> {
    let is_v6 = match subtype {
        1 => false,
        2 => true,
        _ => return Ok(None),
    };
    let damaged = || "a damaged route in the record".to_owned();
    let mut rest = body;
    let routes = table_dump_route(is_v6, &mut rest).filter(|_| rest.is_empty());
    routes.map(Some).ok_or_else(damaged)
}

fn table_dump_route(is_v6: bool, rest: &mut &[u8]) -> Option<Routes> {
    let _view_and_sequence: [u8; 4] = read(rest)?;
    let address = address(is_v6, rest)?;
    let [length] = read(rest)?;
    let _status_and_time: [u8; 5] = read(rest)?;
    let _peer = self::address(is_v6, rest)?;
    let _peer_as: [u8; 2] = read(rest)?;
    let origin = origin(attributes(rest)?, AsSize::Two)?;
    Some(Routes {
        address: masked(address, length)?,
        length,
        origins: origin.into_iter().collect(),
    })
}

fn address(is_v6: bool, rest: &mut &[u8]) -> Option<IpAddr> {
    Some(if is_v6 {
        IpAddr::from(read::<16>(rest)?)
    } else {
        IpAddr::from(read::<4>(rest)?)
    })
}
