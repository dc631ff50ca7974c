//! Totals of the keys of one shard of one group: records in the order of their first flow, and an index over them.
//!
//! Dense, since a slot may hold millions of keys: 64 bytes a record in blocks that never move, 6 to 11 bytes of index, 4
//! to 8 for what was touched; a complete slot keeps this form. Blocks make growing cheap: no record is copied twice.
//! Law 10: records are walked in the order in which they came, never in the order of a hash.

use std::hash::BuildHasher;

use flow_proto::Sums;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Seeded afresh in every process: AS numbers in flows come from outside and could be chosen to collide.
pub(crate) type Keyed = foldhash::fast::RandomState;

/// Records of a block: a small group wastes at most one of 8 KiB in each shard.
const BLOCK: usize = 128;

/// One key's.
struct Record {
    key: [u32; 3],
    /// Listed in `touched`.
    touched: bool,
    sums: Sums,
}

const _: () = assert!(size_of::<Record>() == 64, "one cache line, no less dense");

/// Totals of one shard of one group.
#[derive(Default)]
pub(crate) struct Totals {
    blocks: Vec<Vec<Record>>,
    /// Places of records, by key.
    index: HashTable<u32>,
    /// Places of those that have changed since the last seal.
    touched: Vec<u32>,
}

#[inline]
fn hash(keyed: &Keyed, key: [u32; 3]) -> u64 {
    let pair = u64::from(key[0]) << 32 | u64::from(key[1]);
    keyed.hash_one((pair, key[2]))
}

#[inline]
fn split(place: u32) -> (usize, usize) {
    let place = place as usize;
    (place / BLOCK, place % BLOCK)
}

impl Totals {
    /// Keys held.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The index has no room: the next new key makes it move all of its places.
    pub(crate) fn is_full(&self) -> bool {
        self.index.len() == self.index.capacity()
    }

    /// Adds to a key's totals.
    #[inline]
    pub(crate) fn add(&mut self, keyed: &Keyed, key: [u32; 3], sums: &Sums) {
        let place = self.place(keyed, key);
        let (block, at) = split(place);
        let record = &mut self.blocks[block][at];
        record.sums.add(sums);
        if !record.touched {
            record.touched = true;
            self.touched.push(place);
        }
    }

    /// Sets a key's totals to what a segment says; that is no change.
    pub(crate) fn restore(&mut self, keyed: &Keyed, key: [u32; 3], sums: Sums) {
        let (block, at) = split(self.place(keyed, key));
        self.blocks[block][at].sums = sums;
    }

    /// Where a key's record is; made if it has none.
    #[inline]
    fn place(&mut self, keyed: &Keyed, key: [u32; 3]) -> u32 {
        let Totals { blocks, index, .. } = self;
        let next = u32::try_from(index.len()).unwrap_or(u32::MAX);
        let key_at = |place: u32| {
            let (block, at) = split(place);
            blocks[block][at].key
        };
        match index.entry(
            hash(keyed, key),
            |place| key_at(*place) == key,
            |place| hash(keyed, key_at(*place)),
        ) {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(free) => {
                free.insert(next);
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
                next
            }
        }
    }

    /// How many keys have changed since the last seal.
    pub(crate) fn touched(&self) -> usize {
        self.touched.len()
    }

    /// Shows what has changed since the last seal, which this is.
    pub(crate) fn seal(&mut self, mut show: impl FnMut([u32; 3], Sums)) {
        for place in self.touched.drain(..) {
            let (block, at) = split(place);
            let record = &mut self.blocks[block][at];
            record.touched = false;
            show(record.key, record.sums);
        }
    }

    /// Shows everything. From now on little will change.
    pub(crate) fn complete(&mut self, mut show: impl FnMut([u32; 3], Sums)) {
        for record in self.blocks.iter_mut().flatten() {
            record.touched = false;
            show(record.key, record.sums);
        }
        self.touched = Vec::new();
    }
}

#[cfg(test)]
#[path = "totals_tests.rs"]
mod tests;
