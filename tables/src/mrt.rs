//! Routing dumps (MRT, RFC 6396): a prefix and the AS that most peers of the collector see as its origin.
//!
//! Read by hand, since only a prefix and the end of each AS path are wanted: of a full dump's gigabyte everything else is
//! stepped over. RIB dumps are read, `TABLE_DUMP_V2` (with the several paths a peer of RFC 8050) and the older
//! `TABLE_DUMP`; multicast routes and updates are passed over.
//!
//! Law: every path has one vote for its origin; the most votes win, at a tie the lowest AS number, and an AS before an
//! AS set. A prefix without a path has no value. A default route and an AS set say nothing of a single origin: they are
//! odd. A damaged record is a bad row, and a dump that is cut short is refused.

mod path;
mod rib;

use std::net::IpAddr;

use crate::found::{Found, Item, Take};
use crate::parse::Family;
use path::Origin;
use rib::Routes;

/// Timestamp, type, subtype, length of what follows (RFC 6396 2).
const HEADER_BYTES: usize = 12;
/// Types of RFC 6396 4 and 5.
const TABLE_DUMP: u16 = 12;
const TABLE_DUMP_V2: u16 = 13;
const BGP4MP: u16 = 16;
const BGP4MP_ET: u16 = 17;
/// Members of an AS set that a message names.
const NAMED_MEMBERS: usize = 8;

/// Whether these are the bytes of an MRT file: its first header has a type that routing collectors write.
pub(crate) fn is(bytes: &[u8]) -> bool {
    let Some((kind, subtype)) = bytes.first_chunk().map(kind) else {
        return false;
    };
    match kind {
        TABLE_DUMP => (1..=2).contains(&subtype),
        TABLE_DUMP_V2 => (1..=12).contains(&subtype),
        BGP4MP | BGP4MP_ET => subtype <= 11,
        _ => false,
    }
}

/// Hands over every prefix with its origin AS; `fields` are not asked, since a dump has this one value.
pub(crate) fn read(bytes: &[u8], _fields: &[&str], take: &mut Take<'_>) -> Result<(), String> {
    let (mut rest, mut number, mut prefixes) = (bytes, 0, 0_u64);
    let mut open: Option<(u64, Routes)> = None;
    while !rest.is_empty() {
        number += 1;
        let (kind, subtype, body) = record(&mut rest).ok_or_else(|| {
            format!(
                "cut short in record {number}, at byte {}",
                bytes.len() - rest.len()
            )
        })?;
        let routes = match kind {
            TABLE_DUMP => rib::table_dump(subtype, body),
            TABLE_DUMP_V2 => rib::table_dump_v2(subtype, body),
            _ => Ok(None),
        };
        match routes {
            Ok(None) => {}
            Ok(Some(routes)) => match &mut open {
                // One record for each path, or a prefix with more paths than a record can hold.
                Some((_, same)) if same.is_of_same_prefix(&routes) => {
                    same.origins.extend(routes.origins);
                }
                _ => {
                    prefixes += 1;
                    if let Some((number, routes)) = open.replace((number, routes)) {
                        hand_over(number, routes, take);
                    }
                }
            },
            Err(reason) => {
                prefixes += 1;
                take(number, Item::Bad(reason));
            }
        }
    }
    if let Some((number, routes)) = open {
        hand_over(number, routes, take);
    }
    if prefixes == 0 {
        return Err(format!(
            "none of its {number} records has a route: take a dump of a routing table (`rib`, `bview`), not of updates"
        ));
    }
    Ok(())
}

/// Type and subtype.
fn kind(header: &[u8; HEADER_BYTES]) -> (u16, u16) {
    let [_, _, _, _, a, b, c, d, ..] = *header;
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// Takes a record off `rest`: type, subtype and body. `None`: there is less than a record.
fn record<'a>(rest: &mut &'a [u8]) -> Option<(u16, u16, &'a [u8])> {
    let (header, after) = rest.split_first_chunk::<HEADER_BYTES>()?;
    let [.., a, b, c, d] = *header;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    let (body, after) = after.split_at_checked(length)?;
    *rest = after;
    let (kind, subtype) = kind(header);
    Some((kind, subtype, body))
}

fn hand_over(number: u64, mut routes: Routes, take: &mut Take<'_>) {
    let (address, length) = (routes.address, routes.length);
    let odd = |what: &str| Item::Odd(format!("{address}/{length}: {what}"));
    match elected(&mut routes.origins) {
        Some(_) if length == 0 => take(number, odd("a default route says nothing of origins")),
        Some(Origin::Set(members)) => take(
            number,
            odd(&format!("its origin is the AS set {}", shown(members))),
        ),
        Some(Origin::As(asn)) => take(
            number,
            Item::Row(found(address, length, asn.to_string().as_bytes())),
        ),
        None => take(number, Item::Row(found(address, length, b""))),
    }
}

/// The origin with most votes, at a tie the first in order.
fn elected(votes: &mut [Origin]) -> Option<&Origin> {
    votes.sort_unstable();
    votes
        .chunk_by(|a, b| a == b)
        // Of several greatest `max_by_key` takes the last.
        .rev()
        .max_by_key(|same| same.len())
        .and_then(|same| same.first())
}

fn shown(members: &[u32]) -> String {
    let named: Vec<String> = members
        .iter()
        .take(NAMED_MEMBERS)
        .map(u32::to_string)
        .collect();
    let more = if members.len() > NAMED_MEMBERS {
        " ..."
    } else {
        ""
    };
    format!("{{{}{more}}}", named.join(" "))
}

fn found(address: IpAddr, length: u8, value: &[u8]) -> Found<'_> {
    let (family, first, bits) = match address {
        IpAddr::V4(a) => (Family::V4, u128::from(u32::from(a)), 32),
        IpAddr::V6(a) => (Family::V6, u128::from(a), 128),
    };
    let rest = u32::from(length) + (128 - bits);
    let last = first | u128::MAX.checked_shr(rest).unwrap_or(0);
    Found {
        family,
        first,
        last,
        value,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod votes;
#[cfg(test)]
mod writer;
