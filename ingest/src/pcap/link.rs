//! From a captured packet to its UDP payload: Ethernet with VLAN tags, Linux cooked, raw IP; IPv4, IPv6, UDP.
//!
//! Law: a payload is handed on whole or not at all, and ends where UDP says, not where the frame's padding does.

use flow_proto::Addr;

/// Why a packet gives no datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    NotUdp,
    Fragment,
    Cut,
    UnknownLink,
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const UDP: u8 = 17;

/// The source address and UDP payload of a packet of link type `link`.
pub(super) fn udp(link: u32, packet: &[u8]) -> Result<(Addr, &[u8]), Other> {
    match link {
        // BSD loopback: an address family in the writer's byte order; the IP version tells as well.
        0 | 108 => by_version(packet.get(4..).ok_or(Other::Cut)?),
        1 => ethernet(packet),
        12 | 14 | 101 | 228 | 229 => by_version(packet),
        // Linux cooked: the EtherType is the last of 16 bytes, in version 2 the first of 20.
        113 => by_etype(packet.get(14..).ok_or(Other::Cut)?),
        276 => {
            let (header, ip) = packet.split_first_chunk::<20>().ok_or(Other::Cut)?;
            let [high, low, ..] = *header;
            tagged(u16::from_be_bytes([high, low]), ip)
        }
        _ => Err(Other::UnknownLink),
    }
}

fn ethernet(packet: &[u8]) -> Result<(Addr, &[u8]), Other> {
    by_etype(packet.get(12..).ok_or(Other::Cut)?)
}

fn by_etype(bytes: &[u8]) -> Result<(Addr, &[u8]), Other> {
    let (etype, rest) = bytes.split_first_chunk::<2>().ok_or(Other::Cut)?;
    tagged(u16::from_be_bytes(*etype), rest)
}

fn tagged(etype: u16, bytes: &[u8]) -> Result<(Addr, &[u8]), Other> {
    match etype {
        0x8100 | 0x88a8 | 0x9100 => by_etype(bytes.get(2..).ok_or(Other::Cut)?),
        IPV4 => ipv4(bytes),
        IPV6 => ipv6(bytes),
        _ => Err(Other::NotUdp),
    }
}

fn by_version(bytes: &[u8]) -> Result<(Addr, &[u8]), Other> {
    match bytes.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(bytes),
        Some(6) => ipv6(bytes),
        Some(_) => Err(Other::NotUdp),
        None => Err(Other::Cut),
    }
}

fn ipv4(bytes: &[u8]) -> Result<(Addr, &[u8]), Other> {
    let (header, _) = bytes.split_first_chunk::<20>().ok_or(Other::Cut)?;
    let [
        version,
        _,
        t0,
        t1,
        _,
        _,
        f0,
        f1,
        _,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        ..,
    ] = *header;
    if protocol != UDP {
        return Err(Other::NotUdp);
    }
    // More fragments, or an offset.
    if u16::from_be_bytes([f0, f1]) & 0x3fff != 0 {
        return Err(Other::Fragment);
    }
    let header_bytes = usize::from(version & 0xf) * 4;
    // A total length of 0 is left by segmentation offload.
    let total = match usize::from(u16::from_be_bytes([t0, t1])) {
        0 => bytes.len(),
        total => total,
    };
    let payload = bytes.get(header_bytes.max(20)..total).ok_or(Other::Cut)?;
    Ok((Addr::v4([s0, s1, s2, s3]), udp_payload(payload)?))
}

fn ipv6(bytes: &[u8]) -> Result<(Addr, &[u8]), Other> {
    let (header, rest) = bytes.split_first_chunk::<40>().ok_or(Other::Cut)?;
    let [_, _, _, _, p0, p1, next, _, addresses @ ..] = *header;
    let (source, _) = addresses.split_first_chunk::<16>().ok_or(Other::Cut)?;
    let length = usize::from(u16::from_be_bytes([p0, p1]));
    let mut rest = rest.get(..length).ok_or(Other::Cut)?;
    let mut next = next;
    while let 0 | 43 | 60 = next {
        let ([after, units], _) = rest.split_first_chunk::<2>().ok_or(Other::Cut)?;
        next = *after;
        rest = rest.get(usize::from(*units) * 8 + 8..).ok_or(Other::Cut)?;
    }
    match next {
        UDP => Ok((Addr(*source), udp_payload(rest)?)),
        44 => Err(Other::Fragment),
        _ => Err(Other::NotUdp),
    }
}

fn udp_payload(bytes: &[u8]) -> Result<&[u8], Other> {
    let ([_, _, _, _, l0, l1, _, _], payload) = bytes.split_first_chunk::<8>().ok_or(Other::Cut)?;
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    match length.checked_sub(8) {
        Some(length) => payload.get(..length).ok_or(Other::Cut),
        // Jumbograms and offload leave 0.
        None => Ok(payload),
    }
}
