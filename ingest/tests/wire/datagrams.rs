//! Datagrams written by hand: sets, templates and samples from their fields.

use flow_ingest::wire::{Decoder, Limits, Outcome};
use flow_proto::{Addr, Flow};

pub(crate) const EXPORTER: Addr = Addr::v4([192, 0, 2, 1]);
/// Export time of all messages here: seconds since 1970.
pub(crate) const EXPORT_SECS: u32 = 1_700_000_000;

pub(crate) fn be16(values: &[u16]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect()
}

pub(crate) fn be32(values: &[u32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect()
}

/// A set with its header.
pub(crate) fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 4).expect("a set fits 16 bits");
    [be16(&[id, length]), body.to_vec()].concat()
}

/// A template record of elements and lengths.
pub(crate) fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut values = vec![id, u16::try_from(fields.len()).expect("few fields")];
    values.extend(
        fields
            .iter()
            .flat_map(|(element, length)| [*element, *length]),
    );
    be16(&values)
}

/// An IPFIX options template, the first `scopes` of its fields being the scope.
pub(crate) fn options_template(id: u16, scopes: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut values = vec![id, u16::try_from(fields.len()).expect("few fields"), scopes];
    values.extend(
        fields
            .iter()
            .flat_map(|(element, length)| [*element, *length]),
    );
    be16(&values)
}

/// An IPFIX message.
pub(crate) fn ipfix(domain: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let length = u16::try_from(body.len() + 16).expect("a message fits 16 bits");
    [
        be16(&[10, length]),
        be32(&[EXPORT_SECS, sequence, domain]),
        body,
    ]
    .concat()
}

/// A NetFlow v9 datagram, exported when the exporter was up for 1,000 s.
pub(crate) fn v9(source_id: u32, sequence: u32, count: u16, sets: &[Vec<u8>]) -> Vec<u8> {
    let header = [
        be16(&[9, count]),
        be32(&[1_000_000, EXPORT_SECS, sequence, source_id]),
    ]
    .concat();
    [header, sets.concat()].concat()
}

/// A NetFlow v5 datagram whose header counts `count` records, with `records` in it.
pub(crate) fn v5(count: u16, sequence: u32, sampling: u16, records: &[[u8; 48]]) -> Vec<u8> {
    let header = [
        be16(&[5, count]),
        be32(&[1_000_000, EXPORT_SECS, 500_000_000, sequence]),
        be16(&[0x0102, sampling]),
    ]
    .concat();
    [header, records.concat()].concat()
}

/// An sFlow datagram of agent 198.51.100.7 whose header counts `count` samples.
pub(crate) fn sflow(count: u32, samples: &[Vec<u8>]) -> Vec<u8> {
    let header = be32(&[5, 1, 0xc633_6407, 3, 77, 5_000, count]);
    [header, samples.concat()].concat()
}

/// A format, a length, a body: an sFlow sample or record.
pub(crate) fn block(format: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("fits");
    [be32(&[format, length]), body.to_vec()].concat()
}

/// An sFlow flow sample of rate 400 from interface 5 to 6 whose header counts `count` records.
pub(crate) fn flow_sample(count: u32, records: &[Vec<u8>]) -> Vec<u8> {
    let fields = be32(&[1, 5, 400, 4_000, 0, 5, 6, count]);
    block(1, &[fields, records.concat()].concat())
}

/// A raw header record of a frame of 1,000 bytes.
pub(crate) fn raw_header(protocol: u32, header: &[u8]) -> Vec<u8> {
    let length = u32::try_from(header.len()).expect("fits");
    block(
        1,
        &[be32(&[protocol, 1_000, 4, length]), header.to_vec()].concat(),
    )
}

/// An Ethernet II header.
pub(crate) fn ethernet(etype: u16) -> Vec<u8> {
    [
        &[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8][..],
        &etype.to_be_bytes(),
    ]
    .concat()
}

/// An IPv4 header of `words` 32-bit words and the fragment word `fragment`.
pub(crate) fn ipv4(words: u8, fragment: u16, proto: u8) -> Vec<u8> {
    let mut header = vec![0x40 | words, 0x28, 0, 200, 0x12, 0x34];
    header.extend(fragment.to_be_bytes());
    header.extend([61, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    header.resize(usize::from(words) * 4, 1);
    header
}

/// An IPv6 header from 2001:db8::1 to 2001:db8::2.
pub(crate) fn ipv6(next_header: u8) -> Vec<u8> {
    let mut header = vec![0x62, 0x81, 0x23, 0x45, 0, 100, next_header, 62];
    for last in [1, 2] {
        header.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    header
}

/// A TCP header from port 4001 to 443 with flags 0x18.
pub(crate) fn tcp() -> Vec<u8> {
    [
        be16(&[4001, 443]),
        be32(&[1, 2]),
        vec![0x50, 0x18, 0, 0, 0, 0, 0, 0],
    ]
    .concat()
}

/// Decodes datagrams of `EXPORTER` one after the other with one decoder.
pub(crate) fn decode(datagrams: &[Vec<u8>]) -> (Vec<Flow>, Vec<Outcome>) {
    let mut decoder = Decoder::new(Limits::default());
    let mut flows = Vec::new();
    let outcomes = datagrams
        .iter()
        .map(|datagram| decoder.decode(EXPORTER, 7, datagram, &mut flows));
    let outcomes = outcomes.collect();
    (flows, outcomes)
}

/// The reasons counted for one datagram, as labels.
pub(crate) fn reasons(outcome: &Outcome) -> Vec<(&'static str, u32)> {
    outcome
        .reasons()
        .map(|(reason, count)| (reason.label(), count))
        .collect()
}
