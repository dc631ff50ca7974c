//! A raw flow as text, column by column, and a digest of many of them.
//!
//! It exists so that what a store holds can be compared with what the topic says: both sides come as the same texts, in
//! which a number that the store cannot hold stands as the store has it. Law: a digest does not depend on the order of
//! flows, and two sets of flows with one digest are the same set, each as often.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use flow_proto::{Addr, Coordinate, EnrichedFlow};

use crate::columns::{Kind, Value};
use crate::raw_columns::{raw_flows, raw_values};

/// A raw flow: the values of `raw_flows`' columns; `None`: absent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RawTexts(pub Vec<Option<String>>);

/// Where these stand among the columns.
const PARTITION: usize = 0;
const OFFSET: usize = 1;
const INDEX: usize = 2;
const SLOT: usize = 3;
const COUNTED: usize = 4;
const BYTES: usize = 44;
const PACKETS: usize = 45;

impl RawTexts {
    /// Where it stands in the topic; `None`: nowhere, so that we have not written it.
    pub fn at(&self) -> Option<Coordinate> {
        let narrow = |at| u32::try_from(self.number(at)?).ok();
        Some(Coordinate {
            partition: narrow(PARTITION)?,
            offset: self.number(OFFSET)?,
            index: narrow(INDEX)?,
        })
    }

    /// Its slot.
    pub fn slot(&self) -> Option<u64> {
        self.number(SLOT)
    }

    fn number(&self, at: usize) -> Option<u64> {
        self.0.get(at)?.as_ref()?.parse().ok()
    }

    /// As a store's answer has it: an address may be written in several ways.
    pub(crate) fn of_store(kinds: &[Kind], mut texts: Vec<Option<String>>) -> RawTexts {
        let pairs = kinds.iter().zip(&mut texts);
        for (_, text) in pairs.filter(|(kind, _)| **kind == Kind::Address) {
            if let Some(plain) = text.as_deref().and_then(address) {
                *text = Some(plain);
            }
        }
        RawTexts(texts)
    }
}

/// An address as we write it; a store may add the length of its whole prefix.
fn address(text: &str) -> Option<String> {
    let (ip, length) = text.split_once('/').unwrap_or((text, ""));
    let ip: IpAddr = ip.parse().ok()?;
    match (length, ip.is_ipv4()) {
        ("", _) | ("32", true) | ("128", false) => Some(Addr::from(ip).to_string()),
        _ => None,
    }
}

/// How a store holds a column's numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// The largest stands for larger ones.
    pub(crate) largest: u64,
    /// It is in units of so many of ours.
    pub(crate) unit: u64,
}

impl Held {
    /// Any number, as it is.
    pub(crate) const ALL: Held = Held {
        largest: u64::MAX,
        unit: 1,
    };

    /// Up to that one.
    pub(crate) const fn up_to(largest: u64) -> Held {
        Held { largest, unit: 1 }
    }
}

/// A flow as a store has it that holds its columns so. `values` is overwritten.
pub(crate) fn texts(flow: &EnrichedFlow, held: &[Held], values: &mut Vec<Value>) -> RawTexts {
    raw_values(flow, values);
    let text = |(value, held): (&Value, &Held)| match value {
        Value::Number(number) => Some((held.largest.min(*number) / held.unit).to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Boolean(yes) => Some(u8::from(*yes).to_string()),
        Value::Address(address) => Some(address.to_string()),
        Value::Null => None,
    };
    RawTexts(values.iter().zip(held).map(text).collect())
}

/// The kinds of the columns, in their order.
pub(crate) fn kinds() -> Vec<Kind> {
    raw_flows()
        .columns
        .iter()
        .map(|column| column.kind)
        .collect()
}

/// Flows, as a number for each way to look at all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawDigest {
    /// How many.
    pub flows: u64,
    /// How many of them count.
    pub counted: u64,
    /// Their bytes, unscaled.
    pub bytes: u128,
    /// Their packets, unscaled.
    pub packets: u128,
    /// Sum of their hashes: of 128 bits, so that a set with another flow has another one.
    pub hash: u128,
}

impl RawDigest {
    /// One more.
    pub fn add(&mut self, flow: &RawTexts) {
        let half = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            (seed, flow).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        let number = |at| u128::from(flow.number(at).unwrap_or(0));
        self.flows += 1;
        self.counted += flow.number(COUNTED).unwrap_or(0);
        self.bytes += number(BYTES);
        self.packets += number(PACKETS);
        self.hash = self.hash.wrapping_add(half(0) << 64 | half(1));
    }

    /// Those of another set, too.
    pub fn join(&mut self, other: &RawDigest) {
        self.flows += other.flows;
        self.counted += other.counted;
        self.bytes += other.bytes;
        self.packets += other.packets;
        self.hash = self.hash.wrapping_add(other.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flow_proto::Flow;

    fn flow(offset: u64, bytes: u64) -> RawTexts {
        let flow = EnrichedFlow {
            flow: Flow {
                bytes,
                packets: 3,
                ..Flow::default()
            },
            at: Coordinate {
                partition: 7,
                offset,
                index: 2,
            },
            slot_secs: 300,
            ..EnrichedFlow::default()
        };
        texts(&flow, &vec![Held::ALL; kinds().len()], &mut Vec::new())
    }

    #[test]
    fn the_places_are_those_of_the_columns() {
        let columns = raw_flows().columns;
        let named = [PARTITION, OFFSET, INDEX, SLOT, COUNTED, BYTES, PACKETS];
        assert_eq!(
            named.map(|at| columns[at].name),
            [
                "topic_partition",
                "topic_offset",
                "flow_index",
                "slot",
                "counted",
                "bytes",
                "packets"
            ]
        );
        let read = flow(9, 5);
        let at = Coordinate {
            partition: 7,
            offset: 9,
            index: 2,
        };
        assert_eq!((read.at(), read.slot()), (Some(at), Some(300)));
    }

    #[test]
    fn a_digest_knows_no_order_and_every_change() {
        let digest = |flows: &[(u64, u64)]| {
            let mut digest = RawDigest::default();
            flows.iter().for_each(|(o, b)| digest.add(&flow(*o, *b)));
            digest
        };
        let whole = digest(&[(1, 5), (2, 6), (3, 7)]);
        assert_eq!(digest(&[(3, 7), (1, 5), (2, 6)]), whole);
        assert_eq!((whole.flows, whole.counted, whole.bytes), (3, 3, 18));
        // Sums and counts are alike in the last two.
        for other in [
            &[(1, 5), (2, 6)][..],
            &[(1, 5), (2, 6), (2, 6), (3, 7)],
            &[(1, 6), (2, 5), (3, 7)],
            &[(1, 5), (2, 6), (4, 7)],
        ] {
            assert_ne!(digest(other).hash, whole.hash, "{other:?}");
        }
        let mut halves = digest(&[(1, 5)]);
        halves.join(&digest(&[(3, 7), (2, 6)]));
        assert_eq!(halves, whole);
    }

    #[test]
    fn an_address_is_one_however_it_is_written() {
        for (stored, plain) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1/32", Some("192.0.2.1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("2001:DB8:0::1/128", Some("2001:db8::1")),
            ("192.0.2.0/24", None),
            ("x", None),
        ] {
            assert_eq!(address(stored).as_deref(), plain, "{stored}");
        }
    }

    #[test]
    fn what_a_store_cannot_hold_stands_as_the_store_has_it() {
        let held = Held {
            largest: 100,
            unit: 10,
        };
        let all = vec![held; kinds().len()];
        let flow = EnrichedFlow {
            slot_secs: 300,
            ..EnrichedFlow::default()
        };
        let read = texts(&flow, &all, &mut Vec::new());
        assert_eq!(read.slot(), Some(10));
    }
}
