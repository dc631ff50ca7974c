//! A digest of rows that does not depend on their order: two programs with equal digests have equal rows.

use flow_proto::Sums;

/// Number of rows, sums over all of them, and a sum of per-row hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) rows: u64,
    pub(crate) flows: u64,
    pub(crate) bytes: u64,
    hashes: u64,
}

impl Digest {
    pub(crate) fn add(&mut self, rollup: u16, slot: u64, key: [u32; 3], sums: &Sums) {
        self.rows += 1;
        self.flows += sums.flows;
        self.bytes += sums.bytes;
        let mut hash = u64::from(rollup) ^ slot.rotate_left(20);
        let words = key.into_iter().map(u64::from).chain(sums.values());
        for word in words {
            hash = (hash ^ word)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(31);
        }
        self.hashes = self.hashes.wrapping_add(hash);
    }
}
