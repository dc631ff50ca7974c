//! The canonical bytes of a table set: what the state store archives under their hash.
//!
//! ```text
//! "flowtabl" | version u32 | parts u32 |
//! for each part: kind u8 | name's length u8 | name | bytes u64 | SHA-256 of its bytes |
//! SHA-256 of all before | the parts' bytes                                                all big-endian
//! ```
//! A set that was read back is the set that was written: every process of a job compiles these bytes. A part that a set at hand
//! has already is taken from there, by its digest. Version 1, of tables of ASes and countries alone, is still read.
//!
//! Law: equal sets have equal bytes; bytes that are not the canonical form of a set are refused.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::attribute::AttributeTable;
use crate::error::TableError;
use crate::kind::is_attribute_name;
use crate::order::AsnOrder;
use crate::part::{self, Part, take, take_u32};
use crate::set::{TableSet, equal};
use crate::table::PrefixTable;

const MAGIC: &[u8; 8] = b"flowtabl";
const VERSION: u32 = 2;
const HASH_BYTES: usize = 32;

// Numbers of the parts' kinds, for ever.
const ASN: u8 = 0;
const COUNTRY: u8 = 1;
const ATTRIBUTE: u8 = 2;
const AS_NAMES: u8 = 3;
const EXPORTER_NAMES: u8 = 4;
const INTERFACE_NAMES: u8 = 5;
const ASN_ORDER: u8 = 6;

/// A part's line of the header.
struct Entry<'a> {
    kind: u8,
    name: &'a str,
    bytes: u64,
    digest: [u8; HASH_BYTES],
}

/// What is written of a part.
struct Written<'a> {
    kind: u8,
    name: &'a str,
    bytes: Vec<u8>,
    digest: [u8; HASH_BYTES],
}

impl TableSet {
    /// Its canonical bytes, for `from_archive`.
    pub fn archive(&self) -> Vec<u8> {
        let parts = self.parts();
        let mut bytes = header(&parts);
        bytes.reserve(parts.iter().map(|part| part.bytes.len()).sum());
        for part in parts {
            bytes.extend(part.bytes);
        }
        bytes
    }

    /// Names its content: SHA-256 over the canonical form's header, which holds the digest of every part, in hexadecimal.
    pub fn hash(&self) -> String {
        Sha256::digest(header(&self.parts()))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn parts(&self) -> Vec<Written<'_>> {
        let mut parts = Vec::new();
        put(&mut parts, (ASN, ""), self.asn.as_deref());
        put(&mut parts, (COUNTRY, ""), self.country.as_deref());
        for (name, attribute) in &self.attributes {
            put(&mut parts, (ATTRIBUTE, name), Some(attribute.as_ref()));
        }
        put(&mut parts, (AS_NAMES, ""), self.as_names.as_deref());
        put(
            &mut parts,
            (EXPORTER_NAMES, ""),
            self.exporter_names.as_deref(),
        );
        put(
            &mut parts,
            (INTERFACE_NAMES, ""),
            self.interface_names.as_deref(),
        );
        if self.asn_order.canonical() != AsnOrder::default() {
            let bytes = part::order_bytes(&self.asn_order);
            parts.push(Written {
                kind: ASN_ORDER,
                name: "",
                digest: Sha256::digest(&bytes).into(),
                bytes,
            });
        }
        parts
    }

    /// From the bytes that `archive` gave.
    ///
    /// # Errors
    /// `TableError::Archive` if they are anything else.
    pub fn from_archive(bytes: &[u8]) -> Result<TableSet, TableError> {
        TableSet::from_archive_sharing(bytes, &[])
    }

    /// As `from_archive`; parts that one of `others` has are shared with it, and not compiled again.
    ///
    /// # Errors
    /// As `from_archive`.
    pub fn from_archive_sharing(
        bytes: &[u8],
        others: &[Arc<TableSet>],
    ) -> Result<TableSet, TableError> {
        let refused = |what| TableError::Archive { what };
        let mut rest = bytes
            .strip_prefix(MAGIC)
            .ok_or(refused("not an archive of tables"))?;
        match take_u32(&mut rest).ok_or(refused("cut short"))? {
            1 => {
                let at = bytes.len().checked_sub(HASH_BYTES);
                let body = at.ok_or(refused("cut short"))?;
                verified(bytes, body)?;
                let parts = bytes.get(MAGIC.len() + 4..body).unwrap_or_default();
                first_version(parts).ok_or(refused("not in canonical form"))
            }
            VERSION => {
                let entries = entries(&mut rest).ok_or(refused("cut short, or damaged"))?;
                let header = bytes.len() - rest.len();
                let mut rest = verified(bytes, header)?;
                let mut set = TableSet::default();
                for entry in &entries {
                    let length = usize::try_from(entry.bytes).ok();
                    let found = length.and_then(|length| rest.split_at_checked(length));
                    let (part, after) = found.ok_or(refused("cut short"))?;
                    if Sha256::digest(part)[..] != entry.digest {
                        return Err(refused("damaged (a part's checksum differs)"));
                    }
                    set.take(entry, part, others)
                        .ok_or(refused("not in canonical form"))?;
                    rest = after;
                }
                let is_end = rest.is_empty();
                is_end
                    .then_some(set)
                    .ok_or(refused("not in canonical form"))
            }
            _ => Err(refused("of a version that this program does not know")),
        }
    }

    fn take(&mut self, entry: &Entry<'_>, bytes: &[u8], others: &[Arc<TableSet>]) -> Option<()> {
        let digest = entry.digest;
        match entry.kind {
            ASN => self.asn = Some(shared(others, |set| set.asn.as_ref(), digest, bytes)?),
            COUNTRY => {
                self.country = Some(shared(others, |set| set.country.as_ref(), digest, bytes)?);
            }
            ATTRIBUTE => {
                let theirs = others.iter().flat_map(|set| set.attributes.values());
                let found = equal(theirs, digest);
                let table = match found {
                    Some(same) => same,
                    None => Arc::new(AttributeTable::from_bytes(bytes)?),
                };
                self.attributes.insert(entry.name.to_owned(), table);
            }
            AS_NAMES => {
                self.as_names = Some(shared(others, |set| set.as_names.as_ref(), digest, bytes)?);
            }
            EXPORTER_NAMES => {
                self.exporter_names = Some(shared(
                    others,
                    |set| set.exporter_names.as_ref(),
                    digest,
                    bytes,
                )?);
            }
            INTERFACE_NAMES => {
                self.interface_names = Some(shared(
                    others,
                    |set| set.interface_names.as_ref(),
                    digest,
                    bytes,
                )?);
            }
            ASN_ORDER => self.asn_order = part::order_from(bytes)?,
            _ => return None,
        }
        Some(())
    }
}

fn put<'a, T: Part>(parts: &mut Vec<Written<'a>>, (kind, name): (u8, &'a str), part: Option<&T>) {
    if let Some(part) = part {
        let bytes = part.bytes();
        let digest = *part
            .known_digest()
            .get_or_init(|| Sha256::digest(&bytes).into());
        parts.push(Written {
            kind,
            name,
            bytes,
            digest,
        });
    }
}

fn header(parts: &[Written<'_>]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(part::count(parts.len()));
    for part in parts {
        bytes.push(part.kind);
        bytes.push(u8::try_from(part.name.len()).unwrap_or(u8::MAX));
        bytes.extend(part.name.as_bytes());
        bytes.extend(
            u64::try_from(part.bytes.len())
                .unwrap_or(u64::MAX)
                .to_be_bytes(),
        );
        bytes.extend(part.digest);
    }
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

/// The header's lines, in canonical order.
fn entries<'a>(rest: &mut &'a [u8]) -> Option<Vec<Entry<'a>>> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for _ in 0..take_u32(rest)? {
        let [kind, length] = take(rest)?;
        let (name, after) = rest.split_at_checked(length.into())?;
        *rest = after;
        let name = std::str::from_utf8(name).ok()?;
        let is_named = match kind {
            ATTRIBUTE => is_attribute_name(name),
            _ => name.is_empty(),
        };
        let is_next = entries
            .last()
            .is_none_or(|last| (last.kind, last.name) < (kind, name));
        let (bytes, digest) = (u64::from_be_bytes(take(rest)?), take(rest)?);
        if !is_named || !is_next {
            return None;
        }
        entries.push(Entry {
            kind,
            name,
            bytes,
            digest,
        });
    }
    Some(entries)
}

/// What stands after the hash of the first `at` bytes.
fn verified(bytes: &[u8], at: usize) -> Result<&[u8], TableError> {
    let (before, rest) = bytes.split_at(at);
    let hash = rest.split_at_checked(HASH_BYTES);
    match hash {
        None => Err(TableError::Archive { what: "cut short" }),
        Some((hash, rest)) if Sha256::digest(before)[..] == *hash => Ok(rest),
        Some(_) => Err(TableError::Archive {
            what: "damaged (its checksum differs)",
        }),
    }
}

fn shared<T: Part>(
    others: &[Arc<TableSet>],
    part: fn(&TableSet) -> Option<&Arc<T>>,
    digest: [u8; HASH_BYTES],
    bytes: &[u8],
) -> Option<Arc<T>> {
    match equal(others.iter().filter_map(|set| part(set)), digest) {
        Some(same) => Some(same),
        None => T::from_bytes(bytes).map(Arc::new),
    }
}

/// Version 1: `tables u32 | for each: kind u32 | ranges`.
fn first_version(mut rest: &[u8]) -> Option<TableSet> {
    let (mut set, mut at_least) = (TableSet::default(), 0);
    for _ in 0..take_u32(&mut rest)? {
        let kind = take_u32(&mut rest)?;
        if kind < at_least {
            return None;
        }
        at_least = kind + 1;
        let table = Arc::new(PrefixTable::new(part::take_ranges(&mut rest)?));
        match kind {
            0 => set.asn = Some(table),
            1 => set.country = Some(table),
            _ => return None,
        }
    }
    rest.is_empty().then_some(set)
}
