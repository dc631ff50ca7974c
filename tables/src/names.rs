//! `NameTable`: keys with names, sorted, found by binary search.
//!
//! A name is for the eye: one that is not UTF-8, has control characters or is too long is mended and counted as odd, since
//! its row is still right. Law: one name a key; the form depends only on what each key is called.

use std::sync::OnceLock;

use crate::parse::{number, octets, shown};
use crate::roles::Record;
use crate::value::{self, NoValue, TEXT_BYTES};

/// Names of AS numbers.
pub type AsNames = NameTable<u32>;
/// Names of exporters, by address (IPv4 mapped).
pub type ExporterNames = NameTable<[u8; 16]>;
/// Names of interfaces, by exporter's address and ifIndex.
pub type InterfaceNames = NameTable<([u8; 16], u32)>;

/// Keys and their names.
#[derive(Clone, Debug)]
pub struct NameTable<K> {
    /// Ascending, each with the end of its name in `text`.
    entries: Vec<(K, u32)>,
    text: String,
    pub(crate) digest: OnceLock<[u8; 32]>,
    tags: OnceLock<Vec<[u32; 2]>>,
}

impl<K: Ord + Copy> NameTable<K> {
    /// The name of a key.
    pub fn get(&self, key: &K) -> Option<&str> {
        self.name(self.place(key)?)
    }

    /// The place of a key among them.
    pub fn place(&self, key: &K) -> Option<usize> {
        self.entries.binary_search_by(|(k, _)| k.cmp(key)).ok()
    }

    /// What `tag` makes of each name, by its place: made once.
    pub fn tags(&self, tag: impl Fn(&str) -> [u32; 2]) -> &[[u32; 2]] {
        self.tags
            .get_or_init(|| self.iter().map(|(_, name)| tag(name)).collect())
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys and names, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (K, &str)> {
        let name = |at| self.name(at).unwrap_or_default();
        self.entries
            .iter()
            .enumerate()
            .map(move |(at, (key, _))| (*key, name(at)))
    }

    fn name(&self, at: usize) -> Option<&str> {
        let end = |at: usize| usize::try_from(self.entries.get(at)?.1).ok();
        let start = at.checked_sub(1).map_or(Some(0), end)?;
        self.text.get(start..end(at)?)
    }

    /// From keys in ascending order.
    pub(crate) fn from_sorted<'a>(names: impl IntoIterator<Item = (K, &'a str)>) -> NameTable<K> {
        let (mut entries, mut text) = (Vec::new(), String::new());
        for (key, name) in names {
            text.push_str(name);
            // A source of the size that is read has less text.
            entries.push((key, u32::try_from(text.len()).unwrap_or(u32::MAX)));
        }
        entries.shrink_to_fit();
        text.shrink_to_fit();
        NameTable {
            entries,
            text,
            digest: OnceLock::new(),
            tags: OnceLock::new(),
        }
    }
}

/// What a table of names is keyed by.
pub(crate) trait NameKey: Ord + Copy {
    /// From a row's fields.
    fn read(record: &Record<'_>) -> Result<Self, String>;
    /// Appends its bytes, whose order is that of the keys.
    fn put(&self, bytes: &mut Vec<u8>);
    /// What `put` has written.
    fn take(rest: &mut &[u8]) -> Option<Self>;
}

impl NameKey for u32 {
    fn read(record: &Record<'_>) -> Result<u32, String> {
        let read = value::asn(record.key).map_err(|error| match error {
            NoValue::Bad(reason) | NoValue::Odd(reason) => reason,
        });
        // Of addresses without an AS, tables have rows without number and name.
        read.and_then(|asn| match record.value {
            [_, ..] if record.key.is_empty() => Err("no AS number".to_owned()),
            _ => Ok(asn),
        })
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_be_bytes());
    }

    fn take(rest: &mut &[u8]) -> Option<u32> {
        let (taken, after) = rest.split_first_chunk()?;
        *rest = after;
        Some(u32::from_be_bytes(*taken))
    }
}

impl NameKey for [u8; 16] {
    fn read(record: &Record<'_>) -> Result<[u8; 16], String> {
        octets(record.key)
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self);
    }

    fn take(rest: &mut &[u8]) -> Option<[u8; 16]> {
        let (taken, after) = rest.split_first_chunk()?;
        *rest = after;
        Some(*taken)
    }
}

impl NameKey for ([u8; 16], u32) {
    fn read(record: &Record<'_>) -> Result<Self, String> {
        let index = record.second.unwrap_or_default();
        let index = number(index).ok_or_else(|| format!("{} is not an ifIndex", shown(index)))?;
        Ok((octets(record.key)?, index))
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        self.0.put(bytes);
        self.1.put(bytes);
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        Some((NameKey::take(rest)?, NameKey::take(rest)?))
    }
}

/// A name as it is kept, and why it is not as it stands.
pub(crate) fn mended(text: &[u8]) -> (String, Option<String>) {
    let mut name = String::from_utf8_lossy(text).into_owned();
    let mut odd = None;
    if name.as_bytes() != text {
        odd = Some(format!("{} is not UTF-8", shown(text)));
    }
    if name.chars().any(char::is_control) {
        name = name.replace(char::is_control, "\u{fffd}");
        odd = Some(format!("{} has control characters", shown(text)));
    }
    if name.len() > TEXT_BYTES {
        let end = (0..=TEXT_BYTES).rfind(|end| name.is_char_boundary(*end));
        name.truncate(end.unwrap_or(0));
        odd = Some(format!("{} is longer than {TEXT_BYTES} bytes", shown(text)));
    }
    (name, odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_keys() {
        let table = NameTable::from_sorted([(3_u32, "c"), (5, ""), (7, "ghi")]);
        assert_eq!(
            [2, 3, 4, 5, 7, 8].map(|key| table.get(&key)),
            [None, Some("c"), None, Some(""), Some("ghi"), None]
        );
        assert_eq!(
            table.iter().collect::<Vec<_>>(),
            [(3, "c"), (5, ""), (7, "ghi")]
        );
    }

    #[test]
    fn a_name_is_mended_and_odd() {
        assert_eq!(mended("Jürgen".as_bytes()), ("Jürgen".to_owned(), None));
        let (name, odd) = mended(b"J\xfcrgen");
        assert_eq!((name.as_str(), odd.is_some()), ("J\u{fffd}rgen", true));
        let (name, odd) = mended("a\u{7}b".as_bytes());
        assert_eq!((name.as_str(), odd.is_some()), ("a\u{fffd}b", true));
        let (name, odd) = mended("ü".repeat(200).as_bytes());
        assert_eq!((name.len(), odd.is_some()), (254, true));
    }
}
