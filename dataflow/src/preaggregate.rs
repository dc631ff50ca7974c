//! Pre-aggregation: sums by (rollup, slot, key) in a small cache before the exchange.
//!
//! Direct-mapped: a row that another one displaces is sent on at once, so the memory is fixed and the order of
//! rows is a function of the order of flows. Law 7: what goes in comes out, in one row or in several.

use flow_proto::{RowRecord, Sums};

use crate::key;

/// Rows kept: 4096 x 72 bytes stay in a core's second-level cache.
const PLACES: usize = 4096;

/// One worker's cache of the open tick.
pub(crate) struct PreAggregate {
    /// A place with no flows is empty.
    places: Vec<RowRecord>,
    /// Rows that have left and are to be sent.
    pub(crate) out: Vec<RowRecord>,
    #[cfg(feature = "mutants")]
    pub(crate) lose_evicted: bool,
}

impl PreAggregate {
    pub(crate) fn new() -> PreAggregate {
        PreAggregate {
            places: vec![RowRecord::default(); PLACES],
            out: Vec::new(),
            #[cfg(feature = "mutants")]
            lose_evicted: false,
        }
    }

    /// Adds one flow's sums to its row.
    #[inline]
    pub(crate) fn add(&mut self, rollup: u16, slot_secs: u64, key: [u32; 3], sums: &Sums) {
        let hash = key::hash(rollup, key);
        let mixed = hash ^ slot_secs.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        #[expect(clippy::cast_possible_truncation, reason = "masked to the table")]
        let place = &mut self.places[mixed as usize & (PLACES - 1)];
        if place.sums.flows != 0 {
            if place.key == key && place.slot_secs == slot_secs && place.rollup == rollup {
                place.sums.add(sums);
                return;
            }
            #[cfg(feature = "mutants")]
            let keep = !self.lose_evicted;
            #[cfg(not(feature = "mutants"))]
            let keep = true;
            if keep {
                self.out.push(*place);
            }
        }
        *place = RowRecord {
            slot_secs,
            rollup,
            shard: key::shard(hash),
            key,
            sums: *sums,
        };
    }

    /// The tick ends: everything leaves.
    pub(crate) fn drain(&mut self) {
        for place in &mut self.places {
            if place.sums.flows != 0 {
                self.out.push(std::mem::take(place));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let mut cache = PreAggregate::new();
        let mut want: BTreeMap<(u64, [u32; 3]), u64> = BTreeMap::new();
        let mut x = 7u64;
        for i in 0..200_000u64 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i);
            let key = [u32::try_from(x >> 51).expect("13 bits"), 5, 0x800];
            let slot = 300 * (x >> 20 & 3);
            cache.add(
                0,
                slot,
                key,
                &Sums {
                    bytes: i,
                    flows: 1,
                    ..Sums::default()
                },
            );
            *want.entry((slot, key)).or_default() += i;
        }
        cache.drain();
        let mut got: BTreeMap<(u64, [u32; 3]), u64> = BTreeMap::new();
        for row in &cache.out {
            assert_eq!(row.shard, key::shard(key::hash(0, row.key)));
            *got.entry((row.slot_secs, row.key)).or_default() += row.sums.bytes;
        }
        assert_eq!(got, want);
        assert!(
            cache.out.len() > want.len(),
            "8,192 keys in 4,096 places displace each other"
        );
    }
}
