//! Damaged and hostile files: refused in one line, or read but for what is bad; never a panic, never for ever.

use std::sync::mpsc;
use std::time::Duration;

use proptest::prelude::*;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

use super::collected::{Rows, rows, shared};
use super::writer::{File, map, string};

const SEED: u128 = 0x5eed;

/// Reads in another thread; fails if that takes longer than anything of this size may.
fn rows_in_time(name: &str, bytes: Vec<u8>, field: &'static str) -> Rows {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(rows(&bytes, &[field])));
    let rows = receive.recv_timeout(Duration::from_secs(30));
    let rows = rows.unwrap_or_else(|error| panic!("{name}: no end, or a panic: {error}"));
    for line in rows.bad.iter().chain(&rows.refused) {
        assert!(
            !line.contains(['\n', '\r']) && line.len() < 600,
            "{name}: {line:?}"
        );
    }
    rows
}

#[test]
fn files_that_harmed_other_readers_are_refused_or_named_bad() {
    let Some(folder) = shared("maxmind") else {
        return;
    };
    let mut paths: Vec<_> = ["libmaxminddb", "maxminddb-golang", "maxminddb-python"]
        .iter()
        .flat_map(|reader| std::fs::read_dir(folder.join("bad-data").join(reader)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.extend(
        ["pointers", "search-tree"]
            .map(|what| folder.join(format!("test-data/MaxMind-DB-test-broken-{what}-24.mmdb"))),
    );
    paths.sort();
    assert_eq!(paths.len(), 23);
    let mut sound = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let rows = rows_in_time(&name, std::fs::read(&path).unwrap(), "ip");
        let first = rows.refused.iter().chain(&rows.bad).next();
        eprintln!(
            "{name}: {} rows, {} bad; {first:?}",
            rows.rows.len(),
            rows.bad.len()
        );
        if rows.is_sound() {
            sound.push(name);
        }
    }
    // Of these only the way in which some readers read them is wrong, or nodes that nothing leads to.
    assert_eq!(
        sound,
        [
            "libmaxminddb-corrupt-search-tree.mmdb",
            "libmaxminddb-empty-array-last-in-metadata.mmdb",
            "libmaxminddb-empty-map-last-in-metadata.mmdb"
        ]
    );
}

#[test]
fn flipped_bytes_and_cuts_harm_nobody() {
    let Some(folder) = shared("maxmind/test-data") else {
        return;
    };
    let mut random = Pcg64Mcg::new(SEED);
    eprintln!("seed {SEED:#x}");
    for (name, field) in [
        ("MaxMind-DB-test-decoder", "map.mapX.utf8_stringX"),
        ("MaxMind-DB-test-mixed-24", "ip"),
        ("MaxMind-DB-test-mixed-28", "ip"),
        ("MaxMind-DB-test-ipv6-32", "ip"),
        ("MaxMind-DB-test-nested", "map1.map2.array.0.map3.a"),
    ] {
        let bytes = std::fs::read(folder.join(name).with_extension("mmdb")).unwrap();
        let whole = rows_in_time(name, bytes.clone(), field);
        assert!(whole.is_sound());
        let mut refused = 0;
        for _ in 0..400 {
            let mut damaged = bytes.clone();
            for _ in 0..=random.next_u32() % 3 {
                let at = random.next_u64() as usize % damaged.len();
                damaged[at] ^= 1 << (random.next_u32() % 8);
            }
            if random.next_u32().is_multiple_of(4) {
                damaged.truncate(random.next_u64() as usize % damaged.len());
            }
            refused += usize::from(rows_in_time(name, damaged, field).refused.is_some());
        }
        eprintln!("{name}: {refused} of 400 refused");
        assert!((1..400).contains(&refused), "{name}: {refused}");
    }
}

/// `levels` nodes, each of which leads to the next by both its records; the last one to `end`.
fn ladder(levels: u32, ip_version: u16, end: impl Fn(&File) -> u32) -> Vec<u8> {
    let mut file = File {
        record_bits: 24,
        ip_version,
        nodes: (1..=levels).map(|next| [next, next]).collect(),
        data: map(&[("ip", string("here"))]),
    };
    let end = end(&file);
    *file.nodes.last_mut().unwrap() = [end, end];
    file.bytes()
}

#[test]
fn a_tree_of_few_nodes_and_endless_networks_is_refused() {
    let again = |rows: Rows| {
        rows.refused
            .is_some_and(|reason| reason.contains("lead to each other again and again"))
    };
    // 2^128 networks, or none at all, without a node that lies below itself.
    assert!(again(rows_in_time(
        "data",
        ladder(128, 6, |file| file.record(0)),
        "ip"
    )));
    assert!(again(rows_in_time(
        "nothing",
        ladder(128, 6, |_| 128),
        "ip"
    )));
    assert!(again(rows_in_time(
        "IPv4",
        ladder(32, 4, |file| file.record(0)),
        "ip"
    )));
    // 2^96 aliases of IPv4.
    assert!(again(rows_in_time(
        "aliases",
        ladder(97, 6, |file| file.record(0)),
        "ip"
    )));
    // A node below itself.
    let refused = rows_in_time("cycle", ladder(20, 4, |_| 7), "ip")
        .refused
        .unwrap();
    assert!(
        refused.starts_with("damaged search tree: node ")
            && refused.ends_with(" lies deeper than 32 bits"),
        "{refused}"
    );
    // Few networks that share a node are sound.
    let shared = rows_in_time("shared", ladder(2, 4, |file| file.record(0)), "ip");
    assert_eq!((shared.refused, shared.rows.len()), (None, 4));
}

/// A tree of these disjoint networks, and what it is to give.
fn tree_of(networks: &[(u128, u8)], record_bits: u16) -> Vec<u8> {
    let mut file = File {
        record_bits,
        ip_version: 6,
        nodes: vec![],
        data: vec![],
    };
    // While it grows, 0 is no data and data begin at 2^20.
    let mut nodes = vec![[0_u32; 2]];
    for (i, &(base, length)) in networks.iter().enumerate() {
        let mut node = 0;
        for bit in 0..length {
            let side = usize::from(base >> (127 - bit) & 1 == 1);
            if bit + 1 == length {
                nodes[node][side] = u32::try_from(file.data.len()).unwrap() + (1 << 20);
                file.data.extend(map(&[("n", string(&i.to_string()))]));
            } else {
                if nodes[node][side] == 0 {
                    nodes.push([0, 0]);
                    nodes[node][side] = u32::try_from(nodes.len() - 1).unwrap();
                }
                node = nodes[node][side] as usize;
            }
        }
    }
    let count = u32::try_from(nodes.len()).unwrap();
    file.nodes = nodes
        .into_iter()
        .map(|node| {
            node.map(|record| match record.checked_sub(1 << 20) {
                Some(data) => data + count + 16,
                None if record == 0 => count,
                None => record,
            })
        })
        .collect();
    file.bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_gives_the_networks_it_was_made_of(
        drawn in prop::collection::vec((any::<u128>(), 1_u8..=128, 0_usize..4), 1..60),
        record_bits in prop::sample::select(vec![24_u16, 28, 32]),
    ) {
        let mut networks: Vec<(u128, u8)> = Vec::new();
        for (bits, length, place) in drawn {
            // The lower half of IPv4, the upper half mapped, and two places in IPv6.
            let (top, least) = [(0, 98), (0xffff_u128 << 32 | 1 << 31, 98), (0x2a00_u128 << 112, 17), (bits, 1)][place];
            let length = length.max(least);
            let base = (top | bits & (u128::MAX >> (least - 1))) & (u128::MAX << (128 - length));
            let mask = |other: u8| u128::MAX << (128 - length.min(other));
            // The alias of IPv4 is none here; no record above IPv4 either.
            let disjoint = |&(b, l): &(u128, u8)| (b ^ base) & mask(l) != 0;
            if networks.iter().all(disjoint) && (length > 96 || base != 0) {
                networks.push((base, length));
            }
        }
        prop_assume!(!networks.is_empty());
        let rows = rows_in_time("drawn", tree_of(&networks, record_bits), "n");
        prop_assert!(rows.is_sound(), "{:?} {:?}", rows.refused, rows.bad);
        let mut expected: Vec<_> = networks.iter().enumerate().map(|(i, &(base, length))| {
            let last = base | u128::MAX.checked_shr(length.into()).unwrap_or(0);
            let low = |a: u128| a & u128::from(u32::MAX);
            match base >> 32 {
                0 | 0xffff if length >= 96 => ((false, low(base)), (low(last), i.to_string())),
                _ => ((true, base), (last, i.to_string())),
            }
        }).collect();
        expected.sort();
        prop_assert_eq!(rows.rows.into_iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn only_the_marker_near_the_end_makes_a_file_one() {
    let file = ladder(2, 4, |file| file.record(0));
    assert!(super::is(&file));
    assert!(super::is(&[&file[..], &[0; 100_000]].concat()));
    assert!(!super::is(&[&file[..], &[0; 1 << 17]].concat()));
    for other in [
        &b""[..],
        b"1.0.0.0/24,13335\n",
        &file[..20],
        b"\xab\xcd\xefMaxMind.co",
    ] {
        assert!(!super::is(other));
    }
}
