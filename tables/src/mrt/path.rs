//! The origin of a route: the end of its AS path, among its BGP attributes (RFC 4271 4.3, RFC 6793).
//!
//! Law: segments of a confederation (RFC 5065) are not part of the path; a path without others has no origin.

/// Attribute types: AS_PATH, and AS4_PATH for what two bytes can't hold.
const AS_PATH: u8 = 2;
const AS4_PATH: u8 = 17;
/// The flag for a length of two bytes.
const EXTENDED_LENGTH: u8 = 0x10;
/// Segment types.
const AS_SET: u8 = 1;
const AS_SEQUENCE: u8 = 2;
const CONFEDERATION: [u8; 2] = [3, 4];

/// Where a route comes from; in the order of preference at a tie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// An AS.
    As(u32),
    /// One of several, sorted: the route is an aggregate.
    Set(Vec<u32>),
}

/// Bytes of an AS number in AS_PATH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AsSize {
    Two,
    Four,
}

/// The origin among attributes; `Some(None)`: they have none, `None`: they are damaged.
pub(super) fn origin(attributes: &[u8], size: AsSize) -> Option<Option<Origin>> {
    let (mut rest, mut path, mut path4) = (attributes, None, None);
    while !rest.is_empty() {
        let [flags, kind] = read(&mut rest)?;
        let length = if flags & EXTENDED_LENGTH == 0 {
            u16::from(read::<1>(&mut rest)?[0])
        } else {
            u16::from_be_bytes(read(&mut rest)?)
        };
        let (value, after) = rest.split_at_checked(usize::from(length))?;
        rest = after;
        match kind {
            AS_PATH => path = end(value, size)?,
            AS4_PATH => path4 = end(value, AsSize::Four)?,
            _ => {}
        }
    }
    // AS4_PATH has the end of the path; where AS_PATH has four bytes it is to be ignored (RFC 6793 4.1).
    Some(match size {
        AsSize::Two => path4.or(path),
        AsSize::Four => path,
    })
}

/// The last AS or AS set of a path.
fn end(path: &[u8], size: AsSize) -> Option<Option<Origin>> {
    let (mut rest, mut last) = (path, None);
    let number_bytes = match size {
        AsSize::Two => 2,
        AsSize::Four => 4,
    };
    while !rest.is_empty() {
        let [kind, count] = read(&mut rest)?;
        let (numbers, after) = rest.split_at_checked(usize::from(count) * number_bytes)?;
        rest = after;
        match kind {
            AS_SET | AS_SEQUENCE if count > 0 => last = Some((kind, numbers)),
            AS_SET | AS_SEQUENCE => {}
            kind if CONFEDERATION.contains(&kind) => {}
            _ => return None,
        }
    }
    Some(last.and_then(|(kind, numbers)| {
        let mut numbers = numbers
            .chunks_exact(number_bytes)
            .map(|bytes| bytes.iter().fold(0, |n, &byte| n << 8 | u32::from(byte)));
        if kind == AS_SEQUENCE {
            return numbers.next_back().map(Origin::As);
        }
        let mut members: Vec<u32> = numbers.collect();
        members.sort_unstable();
        members.dedup();
        Some(Origin::Set(members))
    }))
}

/// Takes `N` bytes off `rest`.
pub(super) fn read<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}
