//! Votes, odd routes, dumps that are no dumps, damage; all written by a writer that shares nothing with the reader.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

use super::writer::{Segment, peers, record, rib, table_dump};
use super::*;

const SEED: u128 = 0x5eed;

/// Items as text, with their places.
pub(super) fn items(bytes: &[u8]) -> Result<Vec<(u64, String)>, String> {
    let mut all = Vec::new();
    read(bytes, &[], &mut |place, item| {
        let text = match item {
            Item::Row(found) => row(found),
            Item::Bad(reason) => format!("bad: {reason}"),
            Item::Odd(reason) => format!("odd: {reason}"),
        };
        all.push((place, text));
    })?;
    Ok(all)
}

pub(super) fn row(found: Found<'_>) -> String {
    let Found {
        family,
        first,
        last,
        value,
    } = found;
    format!(
        "{family:?} {first:x}-{last:x} {}",
        String::from_utf8_lossy(value)
    )
}

fn prefix(text: &str) -> (IpAddr, u8) {
    let (base, length) = text.split_once('/').unwrap();
    (base.parse().unwrap(), length.parse().unwrap())
}

fn sequence(numbers: &[u32]) -> Vec<Segment> {
    vec![(2, numbers.to_vec())]
}

#[test]
fn most_votes_win_and_a_tie_goes_to_the_lowest_number() {
    let paths = |origins: &[u32]| -> Vec<_> {
        origins.iter().map(|&asn| sequence(&[64500, asn])).collect()
    };
    let dump = [
        peers(),
        rib(prefix("192.0.2.0/24"), &paths(&[7, 9, 9]), false),
        rib(
            prefix("198.51.100.0/25"),
            &paths(&[9, 4_200_000_000, 7, 9, 7]),
            false,
        ),
        rib(prefix("2001:db8::/33"), &paths(&[1]), false),
        rib(prefix("203.0.113.0/24"), &[sequence(&[]), vec![]], false),
        rib(
            prefix("2001:db8:8000::/33"),
            &paths(&[65537, 65537, 3]),
            true,
        ),
    ];
    assert_eq!(
        items(&dump.concat()),
        Ok(vec![
            (2, "V4 c0000200-c00002ff 9".to_owned()),
            (3, "V4 c6336400-c633647f 7".to_owned()),
            (
                4,
                "V6 20010db8000000000000000000000000-20010db87fffffffffffffffffffffff 1".to_owned()
            ),
            (5, "V4 cb007100-cb0071ff ".to_owned()),
            (
                6,
                "V6 20010db8800000000000000000000000-20010db8ffffffffffffffffffffffff 65537"
                    .to_owned()
            ),
        ])
    );
}

#[test]
fn sets_and_default_routes_are_odd_and_confederations_no_part_of_the_path() {
    let set = |numbers: &[u32]| vec![(2, vec![64500, 5]), (1, numbers.to_vec())];
    let dump = [
        rib(
            prefix("10.0.0.0/8"),
            &[set(&[9, 8, 9]), set(&[8, 9]), sequence(&[7])],
            false,
        ),
        rib(prefix("10.0.0.0/9"), &[set(&[9, 8]), sequence(&[7])], false),
        rib(
            prefix("10.0.0.0/10"),
            &[set(&[9, 8, 7, 6, 5, 4, 3, 2, 1])],
            false,
        ),
        rib(prefix("0.0.0.0/0"), &[sequence(&[7])], false),
        rib(
            prefix("10.0.0.0/11"),
            &[vec![
                (3, vec![64512]),
                (2, vec![6]),
                (4, vec![64513, 64514]),
            ]],
            false,
        ),
        rib(prefix("10.0.0.0/12"), &[vec![(3, vec![64512])]], false),
    ];
    assert_eq!(
        items(&dump.concat()),
        Ok(vec![
            (
                1,
                "odd: 10.0.0.0/8: its origin is the AS set {8 9}".to_owned()
            ),
            (2, "V4 a000000-a7fffff 7".to_owned()),
            (
                3,
                "odd: 10.0.0.0/10: its origin is the AS set {1 2 3 4 5 6 7 8 ...}".to_owned()
            ),
            (
                4,
                "odd: 0.0.0.0/0: a default route says nothing of origins".to_owned()
            ),
            (5, "V4 a000000-a1fffff 6".to_owned()),
            (6, "V4 a000000-a0fffff ".to_owned()),
        ])
    );
}

#[test]
fn a_dump_without_routes_or_cut_short_is_refused() {
    let updates = [record(16, 4, &[0; 40]), record(17, 4, &[0; 40])].concat();
    let refused = items(&updates).unwrap_err();
    assert_eq!(
        refused,
        "none of its 2 records has a route: take a dump of a routing table (`rib`, `bview`), not of updates"
    );
    let dump = [
        peers(),
        rib(prefix("192.0.2.0/24"), &[sequence(&[7])], false),
    ]
    .concat();
    assert!(is(&dump) && is(&updates) && is(&table_dump(prefix("10.0.0.0/8"), &sequence(&[1]))));
    for cut in 1..dump.len() {
        let first = if cut < peers().len() { 1 } else { 2 };
        match items(&dump[..cut]) {
            Err(reason) if cut == peers().len() => {
                assert!(reason.starts_with("none of its 1 records"), "{reason}");
            }
            result => {
                let at = if first == 1 { 0 } else { peers().len() };
                assert_eq!(
                    result,
                    Err(format!("cut short in record {first}, at byte {at}"))
                );
            }
        }
    }
    for other in [
        &b""[..],
        b"1.0.0.0/24,13335\n1.0.4.0/22,38803\n",
        &dump[..11],
        &[0; 40],
        b"\x1f\x8b\x08\0\0\0\0\0\0\0\0\0\0",
    ] {
        assert!(!is(other), "{other:?}");
    }
}

#[test]
fn damaged_records_are_bad_and_harm_no_other() {
    let good = rib(prefix("192.0.2.0/24"), &[sequence(&[7])], false);
    let body = |length: u8, rest: &[u8]| record(13, 2, &[&[0, 0, 0, 1, length], rest].concat());
    let entry = |attributes: &[u8]| {
        let length = u8::try_from(attributes.len()).unwrap();
        body(
            8,
            &[&[10, 0, 1, 0, 0, 0, 0, 0, 0, 0, length], attributes].concat(),
        )
    };
    for (damaged, reason) in [
        (record(13, 2, &[0, 0, 0]), "no valid prefix in the record"),
        (body(33, &[10; 5]), "no valid prefix in the record"),
        (body(24, &[10, 0]), "no valid prefix in the record"),
        (body(255, &[10; 40]), "no valid prefix in the record"),
        (body(8, &[10]), "10.0.0.0/8: damaged paths"),
        (body(8, &[10, 0, 9, 0, 0]), "10.0.0.0/8: damaged paths"),
        (body(8, &[10, 0, 0, 0]), "10.0.0.0/8: damaged paths"),
        (entry(&[0x40]), "10.0.0.0/8: damaged paths"),
        (
            entry(&[0x40, 2, 6, 2, 2, 0, 0, 0, 1]),
            "10.0.0.0/8: damaged paths",
        ),
        (
            entry(&[0x40, 2, 6, 9, 1, 0, 0, 0, 1]),
            "10.0.0.0/8: damaged paths",
        ),
        (
            entry(&[0x50, 2, 0, 7, 2, 1, 0, 0, 0, 1]),
            "10.0.0.0/8: damaged paths",
        ),
        (record(12, 1, &[0; 21]), "a damaged route in the record"),
        (record(12, 1, &[9; 22]), "a damaged route in the record"),
    ] {
        let found = items(&[&good[..], &damaged, &good].concat()).unwrap();
        let row = "V4 c0000200-c00002ff 7".to_owned();
        // The same prefix again adds to the votes for it.
        assert_eq!(
            found,
            [(2, format!("bad: {reason}")), (1, row)],
            "{damaged:?}"
        );
    }
}

#[test]
fn flipped_bytes_harm_nobody() {
    let mut random = Pcg64Mcg::new(SEED);
    eprintln!("seed {SEED:#x}");
    let dump = [
        peers(),
        rib(
            prefix("192.0.2.0/24"),
            &[sequence(&[7, 8]), vec![(1, vec![1, 2, 3])]],
            false,
        ),
        rib(prefix("2001:db8::/32"), &[sequence(&[70_000, 8])], true),
        table_dump(prefix("10.0.0.0/8"), &sequence(&[70_000, 70_001])),
    ]
    .concat();
    let (mut refused, mut bad) = (0, 0);
    for _ in 0..2000 {
        let mut damaged = dump.clone();
        for _ in 0..=random.next_u32() % 3 {
            let at = random.next_u64() as usize % damaged.len();
            damaged[at] ^= 1 << (random.next_u32() % 8);
        }
        if random.next_u32().is_multiple_of(4) {
            damaged.truncate(random.next_u64() as usize % damaged.len());
        }
        match items(&damaged) {
            Err(reason) => refused += usize::from(!reason.contains('\n')),
            Ok(items) => {
                bad += usize::from(items.iter().any(|(_, item)| item.starts_with("bad: ")));
            }
        }
    }
    eprintln!("of 2000 dumps {refused} were refused, {bad} had bad records");
    assert!(refused > 100 && bad > 100 && refused + bad < 2000);
}
