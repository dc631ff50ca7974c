//! Tests of the totals of a shard, against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// One thing that happens to a shard.
#[derive(Clone, Debug)]
enum Step {
    Add(u32, u64),
    Restore(u32, u64),
    Seal,
    Complete,
    Rest,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (0..600u32, 1..1000u64).prop_map(|(key, bytes)| Step::Add(key, bytes)),
        4 => (0..600u32, 1..1000u64).prop_map(|(key, bytes)| Step::Restore(key, bytes)),
        1 => Just(Step::Seal),
        1 => Just(Step::Complete),
        1 => Just(Step::Rest),
    ]
}

fn key(of: u32) -> [u32; 3] {
    [of % 7, of / 7, 0x800 + of % 2]
}

fn bytes(bytes: u64) -> Sums {
    Sums {
        bytes,
        flows: 1,
        ..Sums::default()
    }
}

type Rows = BTreeMap<[u32; 3], u64>;

/// What was shown; no key twice.
fn shown(walk: impl FnOnce(&mut dyn FnMut([u32; 3], Sums))) -> Rows {
    let mut rows = Rows::new();
    walk(&mut |key, sums| {
        assert!(rows.insert(key, sums.bytes).is_none(), "{key:?} twice");
    });
    rows
}

proptest! {
    #[test]
    fn it_is_a_map(steps in prop::collection::vec(step(), 0..3000)) {
        let keyed = Keyed::default();
        let mut totals = Totals::default();
        let (mut all, mut changed) = (Rows::new(), Rows::new());
        for step in steps {
            match step {
                Step::Add(of, more) => {
                    totals.add(&keyed, key(of), &bytes(more));
                    let total = all.entry(key(of)).or_default();
                    *total += more;
                    changed.insert(key(of), *total);
                }
                Step::Restore(of, total) => {
                    // As in the job: never of a key with changes that no segment holds.
                    if !changed.contains_key(&key(of)) {
                        totals.restore(&keyed, key(of), bytes(total));
                        all.insert(key(of), total);
                    }
                }
                Step::Seal => {
                    prop_assert_eq!(totals.touched(), changed.len());
                    prop_assert_eq!(&shown(|show| totals.seal(show)), &changed);
                    changed.clear();
                }
                Step::Complete => {
                    prop_assert_eq!(&shown(|show| totals.complete(show)), &all);
                    changed.clear();
                }
                Step::Rest => {
                    if changed.is_empty() {
                        totals.rest();
                    }
                }
            }
            prop_assert_eq!(totals.len(), all.len());
        }
        prop_assert_eq!(&shown(|show| totals.seal(show)), &changed);
        prop_assert_eq!(&shown(|show| totals.complete(show)), &all);
    }
}

#[test]
fn the_order_is_that_of_the_first_flows() {
    let order = || {
        let (keyed, mut totals) = (Keyed::default(), Totals::default());
        for i in 0..5000u32 {
            totals.add(&keyed, key(i.wrapping_mul(977) % 3001), &bytes(1));
        }
        let mut keys = Vec::new();
        totals.complete(|key, _| keys.push(key));
        keys
    };
    let want: Vec<_> = (0..3001u32)
        .map(|i| key(i.wrapping_mul(977) % 3001))
        .collect();
    assert_eq!(order(), want);
    assert_eq!(order(), want, "another seed of the hash");
}
