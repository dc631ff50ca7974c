//! Configured rollups: any dimensions, several windows at once, in every store, equal to a plain recomputation.
//!
//! The oracle judges each flow of the topic; this test then groups those that count by itself, by the fields as `prost` decodes
//! them, rollup by rollup, each from the flows: it knows nothing of keys, words or what feeds what. Late flows correct
//! longer slots, the job is started anew with other workers on the way, and its rows are compared by `verify`, too.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::oracle::message::Message;
use crate::oracle::{Fate, Input, Sums, record_messages};
use crate::servers::Servers;
use crate::store::Store;
use crate::verified::{command, ran_by, write_moved};
use crate::world::{JobFiles, World};
use crate::{generator, oracle};

/// The rollups of these tests, some of which are fed by others, and by what they are grouped here.
const WIDE: [(&str, &[&str], u64); 7] = [
    ("rollup_5m", &["src_as", "dst_as", "etype"], 300),
    (
        "rollup_ends",
        &["src_net", "dst_net", "proto", "src_port", "dst_port"],
        300,
    ),
    ("rollup_nets", &["dst_net", "src_net"], 900),
    ("rollup_ifs", &["exporter", "in_if", "out_if"], 3_600),
    ("rollup_exporter", &["exporter"], 86_400),
    ("rollup_countries", &["dst_country", "proto"], 1_800),
    ("rollup_as", &["src_as"], 3_600),
];
const FLOWS: u64 = 60_000;

/// As `--rollup` takes it.
fn flags() -> Vec<String> {
    let text = |(name, by, secs): &(&str, &[&str], u64)| format!("{name}={}@{secs}s", by.join(","));
    let all = WIDE.iter().map(text);
    all.flat_map(|text| ["--rollup".to_owned(), text]).collect()
}

/// Rows of a rollup: by slot and the key's columns as text.
type Rows = BTreeMap<(u64, Vec<String>), Sums>;

/// What the rollups should hold of the topic below the cut.
fn expected(input: &Input) -> BTreeMap<&'static str, Rows> {
    let fates = oracle::run(input).fates;
    let mut all: BTreeMap<&str, Rows> =
        WIDE.iter().map(|(name, ..)| (*name, Rows::new())).collect();
    for (partition, records) in &input.partitions {
        for record in records {
            for (index, flow) in record_messages(record, input.config.framing)
                .into_iter()
                .flatten()
            {
                let fated = fates[&(*partition, record.offset, index)];
                if fated.fate != Fate::Counts {
                    continue;
                }
                let (rate, unknown) = flow.rate();
                let (bytes, packets) = (flow.bytes, flow.packets);
                let sums = [
                    bytes,
                    packets,
                    1,
                    bytes * rate,
                    packets * rate,
                    u64::from(unknown),
                ];
                for (name, by, secs) in WIDE {
                    let text = |one: &&str| text(&flow, one, (fated.by_as, &input.versions[0].1));
                    let key: Vec<String> = by.iter().map(text).collect();
                    let rows = all.get_mut(name).expect("it is there");
                    let row = rows.entry((fated.slot / secs * secs, key)).or_default();
                    row.iter_mut()
                        .zip(sums)
                        .for_each(|(total, more)| *total += more);
                }
            }
        }
    }
    all
}

/// A dimension of a flow as a column shows it.
fn text(flow: &Message, dimension: &str, (by_as, tables): ([u32; 2], &oracle::Tables)) -> String {
    let country = |address| match tables.country(address) {
        0 => String::new(),
        of => [of >> 8, of & 0xff]
            .map(|n| char::from(n as u8))
            .iter()
            .collect(),
    };
    match dimension {
        "src_as" => by_as[0].to_string(),
        "dst_as" => by_as[1].to_string(),
        "dst_country" => country(flow.destination()),
        "etype" => flow.etype.to_string(),
        "proto" => flow.proto.to_string(),
        "src_port" => flow.src_port.to_string(),
        "dst_port" => flow.dst_port.to_string(),
        "in_if" => flow.in_if.to_string(),
        "out_if" => flow.out_if.to_string(),
        "src_net" => net(flow.source()),
        "dst_net" => net(flow.destination()),
        "exporter" => match <[u8; 4]>::try_from(flow.sampler_address.as_slice()) {
            Ok(four) => Ipv4Addr::from(four).to_string(),
            Err(_) => "::".to_owned(),
        },
        other => panic!("no dimension {other}"),
    }
}

/// The first 24 bits of IPv4, 48 of IPv6.
fn net(address: Option<IpAddr>) -> String {
    match address {
        None => "::".to_owned(),
        Some(IpAddr::V4(four)) => Ipv4Addr::from(u32::from(four) & !0xff).to_string(),
        Some(IpAddr::V6(six)) => Ipv6Addr::from(u128::from(six) >> 80 << 80).to_string(),
    }
}

/// What a store holds of a rollup; of addresses a store's own spelling does not matter.
fn held(store: &Store, (name, by, _): (&str, &[&str], u64)) -> Rows {
    let plain = |text: String| match text.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => text,
    };
    let sql = format!(
        "select {}, {}, bytes, packets, flows, scaled_bytes, scaled_packets, unknown_rate_flows from {name}",
        store.seconds("slot"),
        by.join(", ")
    );
    let rows = store.query(&sql).into_iter().map(|row| {
        let number = |at: usize| row[at].parse::<u64>().expect("a number");
        let sums = [1, 2, 3, 4, 5, 6].map(|at| number(by.len() + at));
        let key = row[1..=by.len()].iter().cloned().map(plain).collect();
        ((number(0), key), sums)
    });
    rows.collect()
}

/// Compares each rollup of each store; slots that are not complete have no rows.
fn compare(job: &JobFiles, input: &Input) {
    let (expected, counted) = (expected(input), oracle::run(input).slots);
    for store in &job.stores {
        for rollup in WIDE {
            let slots = store.query(&format!(
                "select {}, state, flows, too_early, too_late, implausible from slots where rollup = '{}'",
                store.seconds("slot"),
                rollup.0
            ));
            let shown: BTreeMap<u64, &Vec<String>> = slots
                .iter()
                .map(|row| (row[0].parse().expect("a slot"), row))
                .collect();
            let mut want = expected[rollup.0].clone();
            want.retain(|(slot, _), _| shown.get(slot).is_some_and(|row| row[1] != "open"));
            let got = held(store, rollup);
            let differs = want.iter().find(|(key, sums)| got.get(*key) != Some(sums));
            assert_eq!(
                differs.map(|(key, sums)| (key, sums, got.get(key))),
                None,
                "{rollup:?}"
            );
            assert_eq!(
                got.len(),
                want.len(),
                "{rollup:?}: rows that should not be there"
            );
            counts(rollup, &shown, &counted);
            println!("{}: {}: {} rows", store.url(), rollup.0, got.len());
        }
    }
}

/// Law 7, of longer slots, too: the counts of a slot are those of all slots of five minutes in it.
fn counts(
    (name, _, secs): (&str, &[&str], u64),
    shown: &BTreeMap<u64, &Vec<String>>,
    counted: &BTreeMap<u64, oracle::Slot>,
) {
    let mut want: BTreeMap<u64, [u64; 4]> = BTreeMap::new();
    for (slot, counts) in counted
        .iter()
        .filter(|(slot, _)| **slot > 0 || name == WIDE[0].0)
    {
        let all = want.entry(slot / secs * secs).or_default();
        let more = [
            counts.flows,
            counts.too_early,
            counts.too_late,
            counts.implausible,
        ];
        all.iter_mut()
            .zip(more)
            .for_each(|(total, more)| *total += more);
    }
    let got = shown.iter().map(|(slot, row)| {
        (
            *slot,
            [2, 3, 4, 5].map(|at| row[at].parse::<u64>().expect("a count")),
        )
    });
    assert_eq!(
        got.collect::<BTreeMap<_, _>>(),
        want,
        "{name}: counts by slot"
    );
}

/// Runs the job over two halves of the flows, with other workers each time, and compares.
fn run_in_halves(name: &str, stores: Vec<Store>) -> (World, JobFiles) {
    let world = World::new(name);
    let mut flows = generator(200_000, 61);
    let mut job = world.job(name);
    job.stores.extend(stores);
    let flags = flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    for (workers, half) in [("1", 0), ("3", 1)] {
        write_moved(&world, &mut flows, half * FLOWS / 2..(half + 1) * FLOWS / 2);
        let more = [&["--until-end", "--slot-time", "end"], &flags[..]].concat();
        let (code, _, said) = ran_by(world.run(&job, workers, &more));
        assert_eq!(code, Some(0), "{said}");
        let mut input = world.input(&job);
        (input.fates, input.config.slot_time) = (true, oracle::Time::End);
        compare(&job, &input);
    }
    (world, job)
}

#[test]
fn any_dimensions_and_windows_equal_a_plain_recomputation() {
    let (world, job) = run_in_halves("dimensions", Vec::new());
    let verify = command(&world, &job, &job.stores, &["verify"]);
    let (code, lines, said) = ran_by(verify);
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}\n{lines:?}");
    damaged_rows_are_found(&world, &job);
    another_set_is_refused(&world, &job);
}

/// A row of an hour that says something else.
fn damaged_rows_are_found(world: &World, job: &JobFiles) {
    let Store::Sqlite(path) = &job.stores[0] else {
        panic!("SQLite comes first");
    };
    let database = rusqlite::Connection::open(path).expect("it opens");
    let one = "(SELECT slot, exporter, in_if, out_if FROM rollup_ifs ORDER BY 1, 2, 3, 4 LIMIT 1)";
    let changed = database.execute(
        &format!(
            "UPDATE rollup_ifs SET bytes = bytes + 7 WHERE (slot, exporter, in_if, out_if) = {one}"
        ),
        [],
    );
    assert_eq!(changed, Ok(1));
    let (code, lines, said) = ran_by(command(world, job, &job.stores, &["verify"]));
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["rollup"], &lines[0]["kind"]),
        (&"rollup_ifs".into(), &"changed".into())
    );
    let bytes = |side: &str| lines[0][side]["bytes"].as_u64().expect("a number");
    assert_eq!(bytes("stored"), bytes("computed") + 7);
    let only = ["verify", "--rollup", "rollup_as"];
    let (code, lines, said) = ran_by(command(world, job, &job.stores, &only));
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}");
    // Slots cannot be replaced one by one where longer ones hold them, too.
    let apply = ["replay", "--as-recorded", "--apply"];
    let (code, _, said) = ran_by(command(world, job, &job.stores, &apply));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("rollup_nets sums longer slots"), "{said}");
}

/// The set is recorded: rows of two sets would not agree.
fn another_set_is_refused(world: &World, job: &JobFiles) {
    for more in [
        &["--until-end", "--slot-time", "end"][..],
        &["--slot-time", "end", "--rollup", "rollup_5m=src_as"],
    ] {
        let (code, _, said) = ran_by(world.run(job, "1", more));
        assert_eq!(code, Some(78), "{said}");
        assert!(
            said.contains("the state was made with rollup rollup_5m=src_as,dst_as,etype@5m "),
            "{said}"
        );
    }
}

#[test]
fn any_dimensions_and_windows_in_every_store() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let stores = vec![servers.postgres("?raw=off"), servers.clickhouse("?raw=off")];
    let (world, job) = run_in_halves("dimensions-everywhere", stores);
    let (code, lines, said) = ran_by(command(&world, &job, &job.stores, &["verify"]));
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}\n{lines:?}");
}
