//! Writes routing dumps for tests, straight from RFC 6396, RFC 8050 and RFC 4271.

use std::net::IpAddr;

/// A segment of an AS path: its type (1 set, 2 sequence, 3 and 4 of a confederation) and numbers.
pub(super) type Segment = (u8, Vec<u32>);

/// A record: header and body.
pub(super) fn record(kind: u16, subtype: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [
        &1_700_000_000_u32.to_be_bytes()[..],
        &kind.to_be_bytes(),
        &subtype.to_be_bytes(),
        &length.to_be_bytes(),
        body,
    ]
    .concat()
}

/// The record that stands before all RIB records: collector, view name, one peer.
pub(super) fn peers() -> Vec<u8> {
    let mut body = vec![192, 0, 2, 1, 0, 0, 0, 1];
    body.extend([2, 192, 0, 2, 2, 192, 0, 2, 2, 0, 0, 0xfd, 0xe8]);
    record(13, 1, &body)
}

/// A unicast RIB record of a prefix, one entry for each path.
pub(super) fn rib(
    (address, length): (IpAddr, u8),
    paths: &[Vec<Segment>],
    add_path: bool,
) -> Vec<u8> {
    let octets = octets(address);
    let mut body = vec![0, 0, 0, 7, length];
    body.extend(&octets[..usize::from(length.div_ceil(8))]);
    body.extend(u16::try_from(paths.len()).unwrap().to_be_bytes());
    for (path, id) in paths.iter().zip(1_u32..) {
        body.extend([0, 0, 0x65, 0, 0, 0]);
        if add_path {
            body.extend(id.to_be_bytes());
        }
        let attributes = attributes(path, 4);
        body.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
        body.extend(attributes);
    }
    let subtype = if address.is_ipv4() { 2 } else { 4 } + if add_path { 6 } else { 0 };
    record(13, subtype, &body)
}

/// A `TABLE_DUMP` record: one prefix, one path; numbers above 65535 stand in AS4_PATH.
pub(super) fn table_dump((address, length): (IpAddr, u8), path: &[Segment]) -> Vec<u8> {
    let octets = octets(address);
    let attributes = attributes(path, 2);
    let mut body = vec![0, 0, 0, 7];
    body.extend(&octets);
    body.extend([length, 1, 0x65, 0, 0, 0]);
    body.extend(&octets);
    body.extend([0xfd, 0xe8]);
    body.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
    body.extend(attributes);
    record(12, if address.is_ipv4() { 1 } else { 2 }, &body)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// ORIGIN, AS_PATH, NEXT_HOP; the path with a long length now and then, as it may have.
fn attributes(path: &[Segment], as_bytes: usize) -> Vec<u8> {
    let mut all = vec![0x40, 1, 1, 0];
    attribute(&mut all, 2, &segments(path, as_bytes));
    all.extend([0x40, 3, 4, 192, 0, 2, 2]);
    if as_bytes == 2
        && path
            .iter()
            .any(|(_, numbers)| numbers.iter().any(|&n| n > 0xffff))
    {
        attribute(&mut all, 17, &segments(path, 4));
    }
    all
}

fn attribute(all: &mut Vec<u8>, kind: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(length) if length.is_multiple_of(3) => all.extend([0x40, kind, length]),
        _ => {
            all.extend([0x50, kind]);
            all.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        }
    }
    all.extend(value);
}

fn segments(path: &[Segment], as_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, numbers) in path {
        bytes.extend([*kind, u8::try_from(numbers.len()).unwrap()]);
        for &number in numbers {
            // AS_TRANS of RFC 6793 stands for what two bytes can't hold.
            let number = if as_bytes == 2 && number > 0xffff {
                23456
            } else {
                number
            };
            bytes.extend(&number.to_be_bytes()[4 - as_bytes..]);
        }
    }
    bytes
}
