//! Bare dumps: files that hold nothing but datagrams, one or several back to back.
//!
//! NetFlow v5 and IPFIX tell their length in the header, so a file that is a chain of them to its last byte is
//! split. NetFlow v9 and sFlow do not: such a file is one datagram.
//! Law: a file is split only if the lengths end exactly at its end.

use std::io::{self, Read};

use flow_proto::Addr;

use super::source::Source;
use super::{Datagram, MOST_BYTES, Packets};

const V5_HEADER_BYTES: usize = 24;
const V5_RECORD_BYTES: usize = 48;
const IPFIX_HEADER_BYTES: usize = 16;

pub(super) fn read<R: Read>(source: &mut Source<R>, packets: &mut Packets<'_>) -> io::Result<()> {
    let bytes = source.up_to(MOST_BYTES)?;
    packets.tally.damaged = bytes.len() == MOST_BYTES;
    for payload in split(bytes) {
        packets.datagram(Datagram {
            source: Addr::NONE,
            received_ns: 0,
            payload,
        })?;
    }
    Ok(())
}

/// The datagrams of a dump.
pub fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let mut datagrams = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((datagram, after)) = told_length(rest).and_then(|n| rest.split_at_checked(n))
        else {
            return vec![bytes];
        };
        datagrams.push(datagram);
        rest = after;
    }
    datagrams
}

/// The length of the datagram at the front, if its header tells one.
fn told_length(bytes: &[u8]) -> Option<usize> {
    let ([v0, v1, n0, n1], _) = bytes.split_first_chunk::<4>()?;
    let number = usize::from(u16::from_be_bytes([*n0, *n1]));
    match u16::from_be_bytes([*v0, *v1]) {
        5 => Some(V5_HEADER_BYTES + number * V5_RECORD_BYTES),
        10 => Some(number).filter(|length| *length >= IPFIX_HEADER_BYTES),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipfix(length: u16) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(length)];
        bytes[1] = 10;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    #[test]
    fn only_a_chain_that_ends_with_the_file_is_split() {
        let (a, b) = (ipfix(20), ipfix(30));
        let both = [a.clone(), b.clone()].concat();
        assert_eq!(split(&both), [&a[..], &b[..]]);
        let mut longer = both.clone();
        longer.push(0);
        assert_eq!(split(&longer), [&longer[..]]);
        assert!(split(&[]).is_empty());
    }

    #[test]
    fn version_5_by_its_count() {
        let mut bytes = vec![0; 24 + 48];
        bytes[..4].copy_from_slice(&[0, 5, 0, 1]);
        let twice = bytes.repeat(2);
        assert_eq!(split(&twice).len(), 2);
        bytes[3] = 9;
        assert_eq!(split(&bytes), [&bytes[..]]);
    }
}
