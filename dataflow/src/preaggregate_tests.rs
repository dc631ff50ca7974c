//! Tests of the pre-aggregation: nothing is lost in the cache, and what is fed holds what feeds it.

use std::collections::BTreeMap;

use flow_proto::{RowRecord, WideRecord};

use super::*;

#[test]
fn what_goes_in_comes_out() {
    let mut cache = PreAggregate::<RowRecord>::new(Rollups::STANDARD);
    let mut want: BTreeMap<(u64, [u32; 3]), u64> = BTreeMap::new();
    let mut x = 7u64;
    for i in 0..200_000u64 {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i);
        let key = [u32::try_from(x >> 51).expect("13 bits"), 5, 0x800];
        let slot = 300 * (x >> 20 & 3);
        cache.add(0, slot, key, &of_bytes(i));
        *want.entry((slot, key)).or_default() += i;
    }
    cache.drain();
    let mut got: BTreeMap<(u64, [u32; 3]), u64> = BTreeMap::new();
    let rows: Vec<RowRecord> = cache.leaving().collect();
    for row in &rows {
        assert_eq!(row.shard, key::shard(key::hash(0, &row.key)));
        *got.entry((row.slot_secs, row.key)).or_default() += row.sums.bytes;
    }
    assert_eq!(got, want);
    assert!(
        rows.len() > want.len(),
        "8,192 keys in 4,096 places displace each other"
    );
}

fn of_bytes(bytes: u64) -> Sums {
    Sums {
        bytes,
        flows: 1,
        ..Sums::default()
    }
}

/// The oracle sums each flow by itself into every rollup. Rows leave in the middle of the tick, too.
#[test]
fn what_is_fed_holds_what_feeds_it() {
    let text = "rollup_a=src_as,dst_as,src_port,dst_port rollup_b=dst_port,src_as@1h rollup_c=src_as@1d \
                rollup_d=dst_as rollup_e=dst_port@15m";
    let rollups = Rollups::parse(&[text], 300).expect("a set");
    let feeds = rollups.iter().filter(|one| one.feed().is_some()).count();
    assert_eq!(feeds, 4, "all but the first are fed");
    let picks: [&[usize]; 5] = [&[0, 1, 2, 3], &[3, 0], &[0], &[1], &[3]];
    let mut cache = PreAggregate::<WideRecord>::new(rollups);
    let (mut want, mut got) = (BTreeMap::new(), BTreeMap::<_, u64>::new());
    let mut x = 11u64;
    for i in 0..100_000u64 {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i);
        let flow = [x >> 54, x >> 40 & 15, x >> 30 & 7, x >> 20 & 63].map(|n| n as u32);
        let slot = 300 * (x >> 10 & 63);
        let mut key = [0; 9];
        key[..4].copy_from_slice(&flow);
        cache.add(0, slot, key, &of_bytes(i));
        for (rollup, picks) in rollups.iter().zip(picks) {
            let key: Vec<u32> = picks.iter().map(|at| flow[*at]).collect();
            let slot = slot / rollup.window_secs() * rollup.window_secs();
            *want.entry((rollup.number(), slot, key)).or_default() += i;
        }
        if i % 10_000 == 0 {
            collect(&mut cache, rollups, &mut got);
        }
    }
    cache.drain();
    collect(&mut cache, rollups, &mut got);
    assert_eq!(got, want);
    cache.drain();
    assert_eq!(cache.leaving().count(), 0, "nothing stays behind");
}

fn collect(
    cache: &mut PreAggregate<WideRecord>,
    rollups: Rollups,
    into: &mut BTreeMap<(u16, u64, Vec<u32>), u64>,
) {
    for row in cache.leaving() {
        let row = row.view();
        assert_eq!(row.shard, key::shard(key::hash(row.rollup, row.key)));
        let rollup = rollups.get(row.rollup).expect("of the set");
        let key = row.key_of(rollup).to_vec();
        *into.entry((row.rollup, row.slot_secs, key)).or_default() += row.sums.bytes;
    }
}
