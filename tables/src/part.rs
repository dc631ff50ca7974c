//! `Part`: one table of a set as canonical bytes, and the digest that names them.
//!
//! Law: a part has one form; bytes that are not in it are refused, and no more memory is taken than they say.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::attribute::AttributeTable;
use crate::names::{NameKey, NameTable};
use crate::order::{AsnOrder, Order};
use crate::ranges::{Range, Ranges};
use crate::table::PrefixTable;
use crate::value::{TEXT_BYTES, ValueType, is_fit};

/// A table of a set.
pub(crate) trait Part: Sized {
    /// Its canonical bytes.
    fn bytes(&self) -> Vec<u8>;
    /// What `bytes` gave; `None` for anything else.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
    /// Where its digest is kept once it is known.
    fn known_digest(&self) -> &OnceLock<[u8; 32]>;
    /// SHA-256 of its bytes.
    fn digest(&self) -> [u8; 32] {
        *self
            .known_digest()
            .get_or_init(|| Sha256::digest(self.bytes()).into())
    }
}

impl Part for PrefixTable {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_ranges(self.ranges(), &mut bytes);
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<PrefixTable> {
        let ranges = take_ranges(&mut bytes)?;
        bytes.is_empty().then(|| PrefixTable::new(ranges))
    }

    fn known_digest(&self) -> &OnceLock<[u8; 32]> {
        &self.digest
    }
}

impl Part for AttributeTable {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![match self.value_type {
            ValueType::String => 0,
            ValueType::Integer => 1,
        }];
        bytes.extend(count(self.values.len()));
        for value in &self.values {
            put_text(value, &mut bytes);
        }
        put_ranges(self.table.ranges(), &mut bytes);
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<AttributeTable> {
        let value_type = match take::<1>(&mut bytes)? {
            [0] => ValueType::String,
            [1] => ValueType::Integer,
            _ => return None,
        };
        let mut values: Vec<String> = Vec::new();
        for _ in 0..take_u32(&mut bytes)? {
            let value = take_text(&mut bytes)?;
            let is_next = values.last().is_none_or(|last| last.as_str() < value);
            if value.is_empty() || !is_next || !is_value(value, value_type) {
                return None;
            }
            values.push(value.to_owned());
        }
        let mut ranges = take_ranges(&mut bytes)?;
        let mut is_used = vec![false; values.len()];
        for value in ranges.values_mut() {
            *is_used.get_mut(usize::try_from(*value).ok()?.checked_sub(1)?)? = true;
        }
        (bytes.is_empty() && is_used.iter().all(|is| *is))
            .then(|| AttributeTable::of(value_type, values, PrefixTable::new(ranges)))
    }

    fn known_digest(&self) -> &OnceLock<[u8; 32]> {
        &self.digest
    }
}

/// Whether the text of a value is as a load would have kept it.
fn is_value(text: &str, value_type: ValueType) -> bool {
    match value_type {
        ValueType::String => is_fit(text).is_ok(),
        ValueType::Integer => text.parse::<i64>().is_ok_and(|n| n.to_string() == text),
    }
}

impl<K: NameKey> Part for NameTable<K> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = count(self.len()).to_vec();
        for (key, name) in self.iter() {
            key.put(&mut bytes);
            put_text(name, &mut bytes);
        }
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<NameTable<K>> {
        let mut names: Vec<(K, &str)> = Vec::new();
        for _ in 0..take_u32(&mut bytes)? {
            let (key, name) = (K::take(&mut bytes)?, take_text(&mut bytes)?);
            let is_next = names.last().is_none_or(|(last, _)| *last < key);
            if !is_next || name.is_empty() || is_fit(name).is_err() {
                return None;
            }
            names.push((key, name));
        }
        bytes.is_empty().then(|| NameTable::from_sorted(names))
    }

    fn known_digest(&self) -> &OnceLock<[u8; 32]> {
        &self.digest
    }
}

/// The order of AS numbers' sources; small, and so without a digest that is kept.
pub(crate) fn order_bytes(order: &AsnOrder) -> Vec<u8> {
    let order = order.canonical();
    let number = |one: Order| {
        let at = Order::ALL.iter().position(|other| *other == one);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
    };
    let mut bytes = vec![number(order.all)];
    bytes.extend(count(order.exporters.len()));
    for (exporter, one) in &order.exporters {
        bytes.extend(exporter);
        bytes.push(number(*one));
    }
    bytes
}

/// What `order_bytes` gave.
pub(crate) fn order_from(mut bytes: &[u8]) -> Option<AsnOrder> {
    let whole = bytes;
    let order = |bytes: &mut &[u8]| {
        let [number] = take::<1>(bytes)?;
        Order::ALL.get(usize::from(number)).copied()
    };
    let mut found = AsnOrder {
        all: order(&mut bytes)?,
        ..AsnOrder::default()
    };
    for _ in 0..take_u32(&mut bytes)? {
        let exporter = take(&mut bytes)?;
        found.exporters.insert(exporter, order(&mut bytes)?);
    }
    (order_bytes(&found) == whole && found != AsnOrder::default()).then_some(found)
}

pub(crate) fn count(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes()
}

/// A text of at most `TEXT_BYTES`, with its length.
fn put_text(text: &str, bytes: &mut Vec<u8>) {
    const { assert!(TEXT_BYTES <= u8::MAX as usize) };
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend(text.as_bytes());
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let [length] = take::<1>(rest)?;
    let (text, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

pub(crate) fn put_ranges(ranges: &Ranges, bytes: &mut Vec<u8>) {
    bytes.reserve(8 + ranges.v4.len() * 12 + ranges.v6.len() * 36);
    bytes.extend(count(ranges.v4.len()));
    bytes.extend(count(ranges.v6.len()));
    for range in &ranges.v4 {
        bytes.extend(range.first.to_be_bytes());
        bytes.extend(range.last.to_be_bytes());
        bytes.extend(range.value.to_be_bytes());
    }
    for range in &ranges.v6 {
        bytes.extend(range.first.to_be_bytes());
        bytes.extend(range.last.to_be_bytes());
        bytes.extend(range.value.to_be_bytes());
    }
}

/// What `put_ranges` has written, and only if it is canonical.
pub(crate) fn take_ranges(rest: &mut &[u8]) -> Option<Ranges> {
    let (v4, v6) = (take_u32(rest)?, take_u32(rest)?);
    let ranges = Ranges {
        v4: take_family(rest, v4, u32::from_be_bytes)?,
        v6: take_family(rest, v6, u128::from_be_bytes)?,
    };
    ranges.is_canonical().then_some(ranges)
}

/// `count` ranges of addresses of `N` bytes. Allocates no more than the bytes that are there.
fn take_family<A, const N: usize>(
    rest: &mut &[u8],
    count: u32,
    address: fn([u8; N]) -> A,
) -> Option<Vec<Range<A>>> {
    let bytes = usize::try_from(count).ok()?.checked_mul(2 * N + 4)?;
    let (mut taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    let mut ranges = Vec::with_capacity(taken.len() / (2 * N + 4));
    while !taken.is_empty() {
        let (first, last) = (address(take(&mut taken)?), address(take(&mut taken)?));
        ranges.push(Range {
            first,
            last,
            value: take_u32(&mut taken)?,
        });
    }
    Some(ranges)
}

pub(crate) fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_be_bytes)
}

pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}
