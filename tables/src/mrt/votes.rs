//! Drawn dumps of all forms, against a plain count of the votes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::found;
use super::tests::{items, row};
use super::writer::{Segment, peers, record, rib, table_dump};

fn path() -> impl Strategy<Value = Vec<Segment>> {
    let number = prop_oneof![1_u32..6, Just(65_535), Just(65_536), Just(u32::MAX)];
    let segment = (
        prop::sample::select(vec![1_u8, 2, 2, 2, 3, 4]),
        prop::collection::vec(number, 0..5),
    );
    prop::collection::vec(segment, 0..4)
}

/// Votes counted by name, as the text of an origin: the number, or the set.
fn expected(paths: &[Vec<Segment>]) -> Result<String, String> {
    let mut votes = BTreeMap::<(bool, Vec<u32>), usize>::new();
    for path in paths {
        let Some((kind, numbers)) = path
            .iter()
            .rfind(|(kind, numbers)| *kind < 3 && !numbers.is_empty())
        else {
            continue;
        };
        let mut members = if *kind == 1 {
            numbers.clone()
        } else {
            vec![numbers[numbers.len() - 1]]
        };
        members.sort();
        members.dedup();
        *votes.entry((*kind == 1, members)).or_default() += 1;
    }
    let most = votes.values().max().copied();
    match votes.iter().find(|(_, votes)| Some(**votes) == most) {
        None => Ok(String::new()),
        Some(((false, members), _)) => Ok(members[0].to_string()),
        Some(((true, members), _)) => Err(format!("{members:?}")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_dump_gives_what_a_plain_count_gives(
        drawn in prop::collection::vec((any::<u32>(), 1_u8..=32, any::<bool>(), 0_u8..3, prop::collection::vec(path(), 0..9)), 1..20),
    ) {
        let (mut dump, mut rows) = (peers(), Vec::new());
        for (bits, length, is_v6, form, paths) in drawn {
            let bits = bits & (u32::MAX << (32 - length));
            let address = if is_v6 {
                IpAddr::V6(Ipv6Addr::from(u128::from(bits) << 96))
            } else {
                IpAddr::V4(Ipv4Addr::from(bits))
            };
            match form {
                2 => dump.extend(paths.iter().flat_map(|path| table_dump((address, length), path))),
                _ => dump.extend(rib((address, length), &paths, form == 1)),
            }
            if !(form == 2 && paths.is_empty()) {
                rows.push(((address, length), paths));
            }
            // A record of another kind parts prefixes.
            dump.extend(record(16, 4, &[0; 9]));
        }
        rows.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1.append(&mut later.1);
            }
            same
        });
        let given: Vec<String> = match items(&dump) {
            Ok(items) => items.into_iter().map(|(_, item)| item).collect(),
            Err(reason) => {
                prop_assert!(rows.is_empty(), "{}", reason);
                vec![]
            }
        };
        let rows: Vec<String> = rows.iter().map(|((address, length), paths)| match expected(paths) {
            Ok(value) => row(found(*address, *length, value.as_bytes())),
            Err(set) => {
                let set = set.replace(['[', ',', ']'], "");
                format!("odd: {address}/{length}: its origin is the AS set {{{set}}}")
            }
        }).collect();
        prop_assert_eq!(given, rows);
    }
}
