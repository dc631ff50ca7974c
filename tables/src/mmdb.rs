//! MaxMind DB files: every network of the search tree as a row.
//!
//! `maxminddb` checks the file and decodes its records. The walk over the tree is ours: that crate's walk passes over
//! aliases without counting them, so that a small hostile tree could keep it busy for ever.
//!
//! Law: a network is handed over once, in the order of addresses, and IPv4 as IPv4 wherever in the tree it stands. What
//! the rows say of an address is what a look-up in the file says, but for the aliases of IPv4 (`2002::/16`,
//! `2001::/32`), which have no rows.

mod record;
mod tree;

use std::borrow::Cow;
use std::collections::HashMap;

use maxminddb::Reader;

use crate::found::{Found, Item, Take};
use tree::{Leaf, Tree};

/// Begins the metadata, which end the file.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// Most bytes of the metadata, its marker included (MaxMind DB file format 2.0, "Database Metadata").
const METADATA_BYTES: usize = 128 << 10;
/// Values that are kept for the next network with the same record; large published files have some 500,000 records.
const KEPT_VALUES: usize = 1 << 20;

/// Whether these are the bytes of a MaxMind DB file.
pub(crate) fn is(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(METADATA_BYTES)..];
    tail.windows(MARKER.len()).any(|window| window == MARKER)
}

/// Hands over every network that has a record, with the first of `fields` that the record has: `a.b.c`, in an array the
/// number of an element, from 0.
pub(crate) fn read(bytes: &[u8], fields: &[&str], take: &mut Take<'_>) -> Result<(), String> {
    let reader = Reader::from_source(bytes).map_err(|error| error.to_string())?;
    let mut values = Values {
        reader: &reader,
        paths: fields
            .iter()
            .map(|field| field.split('.').collect())
            .collect(),
        kept: HashMap::new(),
    };
    let (mut networks, mut without_value, mut example) = (0, 0_u64, None);
    for leaf in Tree::of(bytes, reader.metadata()).leaves() {
        let leaf = leaf?;
        networks += 1;
        match values.of(&leaf) {
            Err(reason) => take(networks, Item::Bad(format!("{leaf}: {reason}"))),
            Ok(value) => {
                if value.is_none() {
                    without_value += 1;
                    example.get_or_insert(leaf);
                }
                let value = value.as_deref().unwrap_or_default().as_bytes();
                leaf.ranges(|range| take(networks, Item::Row(Found { value, ..range })));
            }
        }
    }
    match example {
        Some(leaf) if without_value == networks => Err(format!(
            "no network has {}; that of {leaf} has {}",
            fields.join(" or "),
            values.fields(&leaf)
        )),
        _ => Ok(()),
    }
}

/// Values by record: most networks share theirs with others.
struct Values<'a> {
    reader: &'a Reader<&'a [u8]>,
    paths: Vec<Vec<&'a str>>,
    kept: HashMap<u32, Option<Cow<'a, str>>>,
}

impl<'a> Values<'a> {
    /// The value of a network; `Ok(None)`: its record has none of the fields.
    fn of(&mut self, leaf: &Leaf) -> Result<Option<Cow<'a, str>>, String> {
        if let Some(value) = self.kept.get(&leaf.data) {
            return Ok(value.clone());
        }
        let record = self
            .reader
            .lookup(leaf.tree_address())
            .map_err(|error| error.to_string())?;
        let value = record::value(&record, &self.paths)?;
        if self.kept.len() < KEPT_VALUES {
            self.kept.insert(leaf.data, value.clone());
        }
        Ok(value)
    }

    /// Names the fields of a network's record.
    fn fields(&self, leaf: &Leaf) -> String {
        self.reader
            .lookup(leaf.tree_address())
            .map_or_else(|error| error.to_string(), |record| record::fields(&record))
    }
}

#[cfg(test)]
mod collected;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod published;
#[cfg(test)]
mod structures;
#[cfg(test)]
mod writer;
