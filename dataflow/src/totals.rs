//! Totals of the keys of one shard of one group: records in the order of their first flow, and an index over them.
//!
//! Dense, since a slot may hold millions of keys: 64 bytes a record in blocks that never move, 6 to 11 bytes of index, 4
//! to 8 for what was touched; a complete slot keeps the records alone until a late flow comes. Blocks make growing cheap: no
//! record is copied twice.
//! Law 10: records are walked in the order in which they came, never in the order of a hash.

use std::hash::{BuildHasher, Hasher};

use flow_proto::{Key, Sums};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Seeded afresh in every process: AS numbers in flows come from outside and could be chosen to collide.
pub(crate) type Keyed = foldhash::fast::RandomState;

/// Records of a block: a small group wastes at most one of 8 KiB in each shard.
const BLOCK: usize = 128;

/// One key's.
struct Record<K> {
    key: K,
    /// Listed in `touched`.
    touched: bool,
    sums: Sums,
}

const _: () = assert!(
    size_of::<Record<[u32; 3]>>() == 64,
    "one cache line, no less dense"
);

/// Totals of one shard of one group.
pub(crate) struct Totals<K> {
    blocks: Vec<Vec<Record<K>>>,
    /// Places of records, by key. Empty while it is not needed.
    index: HashTable<u32>,
    /// Places of those that have changed since the last seal.
    touched: Vec<u32>,
}

impl<K> Default for Totals<K> {
    fn default() -> Totals<K> {
        Totals {
            blocks: Vec::new(),
            index: HashTable::new(),
            touched: Vec::new(),
        }
    }
}

#[inline]
fn hash<K: Key>(keyed: &Keyed, key: K) -> u64 {
    let mut hasher = keyed.build_hasher();
    let (pairs, last) = key.as_ref().as_chunks::<2>();
    for [a, b] in pairs {
        hasher.write_u64(u64::from(*a) << 32 | u64::from(*b));
    }
    for word in last {
        hasher.write_u32(*word);
    }
    hasher.finish()
}

#[inline]
fn split(place: u32) -> (usize, usize) {
    let place = place as usize;
    (place / BLOCK, place % BLOCK)
}

impl<K: Key> Totals<K> {
    /// Keys held.
    pub(crate) fn len(&self) -> usize {
        let last = self.blocks.last().map_or(0, Vec::len);
        self.blocks.len().saturating_sub(1) * BLOCK + last
    }

    /// Adds to a key's totals. Returns how many places the index has moved for it.
    #[inline]
    pub(crate) fn add(&mut self, keyed: &Keyed, key: K, sums: &Sums) -> usize {
        let (place, moved) = self.place(keyed, key);
        let (block, at) = split(place);
        let record = &mut self.blocks[block][at];
        record.sums.add(sums);
        if !record.touched {
            record.touched = true;
            self.touched.push(place);
        }
        moved
    }

    /// Sets a key's totals to what a segment says; that is no change.
    pub(crate) fn restore(&mut self, keyed: &Keyed, key: K, sums: Sums) {
        let (block, at) = split(self.place(keyed, key).0);
        self.blocks[block][at].sums = sums;
    }

    /// Where a key's record is, which is made if it has none; and how many places the index has moved.
    #[inline]
    fn place(&mut self, keyed: &Keyed, key: K) -> (u32, usize) {
        let mut moved = 0;
        if self.index.is_empty() {
            moved = self.wake(keyed);
        }
        let Totals { blocks, index, .. } = self;
        let next = u32::try_from(index.len()).unwrap_or(u32::MAX);
        let is_full = index.len() == index.capacity();
        let key_at = |place: u32| {
            let (block, at) = split(place);
            blocks[block][at].key
        };
        match index.entry(
            hash(keyed, key),
            |place| key_at(*place) == key,
            |place| hash(keyed, key_at(*place)),
        ) {
            Entry::Occupied(found) => (*found.get(), moved),
            Entry::Vacant(free) => {
                free.insert(next);
                if is_full {
                    moved += next as usize;
                }
                let record = Record {
                    key,
                    touched: false,
                    sums: Sums::default(),
                };
                if (next as usize).is_multiple_of(BLOCK) {
                    // The first one grows from little: most groups of a small installation need no more.
                    blocks.push(Vec::with_capacity(if next == 0 { 4 } else { BLOCK }));
                }
                if let Some(block) = blocks.last_mut() {
                    block.push(record);
                }
                (next, moved)
            }
        }
    }

    /// Makes the index of all records anew. Returns how many there are.
    #[cold]
    fn wake(&mut self, keyed: &Keyed) -> usize {
        let Totals { blocks, index, .. } = self;
        let keys = blocks.iter().flatten().map(|record| record.key);
        let keys: Vec<K> = keys.collect();
        let hash_at = |place: &u32| hash(keyed, keys[*place as usize]);
        index.reserve(keys.len(), hash_at);
        for place in (0..keys.len()).map_while(|place| u32::try_from(place).ok()) {
            index.insert_unique(hash_at(&place), place, hash_at);
        }
        keys.len()
    }

    /// Drops what only changes need.
    pub(crate) fn rest(&mut self) {
        self.index = HashTable::new();
        self.touched = Vec::new();
    }

    /// How many keys have changed since the last seal.
    pub(crate) fn touched(&self) -> usize {
        self.touched.len()
    }

    /// Shows what has changed since the last seal, which this is.
    pub(crate) fn seal(&mut self, mut show: impl FnMut(K, Sums)) {
        for place in self.touched.drain(..) {
            let (block, at) = split(place);
            let record = &mut self.blocks[block][at];
            record.touched = false;
            show(record.key, record.sums);
        }
    }

    /// Shows everything. From now on little will change.
    pub(crate) fn complete(&mut self, mut show: impl FnMut(K, Sums)) {
        for record in self.blocks.iter_mut().flatten() {
            record.touched = false;
            show(record.key, record.sums);
        }
        self.rest();
    }
}

#[cfg(test)]
#[path = "totals_tests.rs"]
mod tests;
