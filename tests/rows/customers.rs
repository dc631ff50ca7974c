//! Customers in rollups and raw flows: by the version of each flow's slot, in every store, over a change of names and prefixes;
//! names of exporters and interfaces in raw flows.
//!
//! The oracle judges each flow and finds its customer in rows painted on a wall; the test groups by the text itself, so it
//! knows nothing of the words that stand for a text in keys. Longer slots hold both versions' names.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flow_ingest::mock::Generator;
use flow_tables::DEMO_ASN_CSV;

use crate::generator;
use crate::oracle::{self, Fate, Input, Tables, record_messages};
use crate::servers::Servers;
use crate::store::Store;
use crate::verified::{command, ran_by, write_moved};
use crate::world::{JobFiles, World};

/// What stores and their protocols spell in ways of their own.
const NAMES: [&str; 6] = [
    "Stadtwerke Süd",
    "O'Brien \\n Sons",
    "\"Käse\", Brot & Co",
    "日本の客",
    "100% {a}",
    "NULL",
];
const ROLLUPS: [(&str, &str, u64); 3] = [
    ("rollup_customers", "src_customer, dst_customer", 300),
    ("rollup_customer", "dst_customer", 3_600),
    ("rollup_from", "src_customer", 1_800),
];
/// What raw flows are grouped by beside customers.
const BY_NAMES: &str = "exporter_name, in_if_name, out_if_name";
const FLOWS: u64 = 60_000;

/// Flows and bytes by slot and the text of each column of the key.
type Rows = BTreeMap<(u64, Vec<String>), [u64; 2]>;

/// A version of the customers: ranges and names.
fn customers(version: u32) -> Vec<(String, String)> {
    let named = DEMO_ASN_CSV.lines().enumerate().filter_map(|(n, line)| {
        let fields: Vec<&str> = line.splitn(4, ',').collect();
        let asn: usize = fields[2].parse().expect("a number");
        let name = *NAMES.get((asn + n) % 8)?;
        let name = match (version, n % 3) {
            (2, 0) => format!("{name} (new)"),
            (2, 1) if n % 2 == 0 => return None,
            _ => name.to_owned(),
        };
        Some((format!("{},{}", fields[0], fields[1]), name))
    });
    named.collect()
}

/// The name of an exporter of the generator, which counts them in the last byte; the second has none.
fn exporter(address: &[u8]) -> String {
    match address.last() {
        None | Some(2) => String::new(),
        Some(n) => format!("edge-{n}"),
    }
}

/// The name of every other of its interfaces.
fn interface(address: &[u8], index: u32) -> String {
    match address.last() {
        Some(n) if index % 2 == 1 => format!("xe-{n}/{index}"),
        _ => String::new(),
    }
}

/// Files with these names, as `--table` takes them.
fn names(world: &World) -> [String; 2] {
    let (mut exporters, mut interfaces) = (String::new(), String::new());
    for n in 0..32 {
        let address = Generator::address(n).as_v4().expect("IPv4");
        let shown = Ipv4Addr::from(address);
        let name = exporter(&address);
        if !name.is_empty() {
            exporters += &format!("{shown},{name}\n");
        }
        for index in (1..40).step_by(2) {
            interfaces += &format!("{shown},{index},{}\n", interface(&address, index));
        }
    }
    [("exporters", exporters), ("interfaces", interfaces)].map(|(kind, text)| {
        let file = world.path(kind);
        std::fs::write(&file, text).expect("a table");
        format!("{kind}={}", file.display())
    })
}

/// As a user would write the file.
fn csv(rows: &[(String, String)]) -> String {
    let line =
        |(range, name): &(String, String)| format!("{range},\"{}\"\n", name.replace('"', "\"\""));
    rows.iter().map(line).collect()
}

/// The oracle's wall, whose values are the places of the rows.
fn wall(rows: &[(String, String)]) -> Tables {
    let lines = rows
        .iter()
        .zip(1..)
        .map(|((range, _), n)| format!("{range},{n}\n"));
    Tables::from_csv(Some(&lines.collect::<String>()), None)
}

/// What each rollup should hold, and raw flows by names; `from`: the slot from which version 2 is in force.
fn expected(input: &Input, from: u64) -> [Rows; 4] {
    let fates = oracle::run(input).fates;
    let versions = [1, 2].map(|n| (customers(n), wall(&customers(n))));
    let mut all = [const { Rows::new() }; 4];
    for (partition, records) in &input.partitions {
        for record in records {
            let messages = record_messages(record, input.config.framing);
            for (index, flow) in messages.into_iter().flatten() {
                let fated = fates[&(*partition, record.offset, index)];
                if fated.fate != Fate::Counts {
                    continue;
                }
                let (rows, wall) = &versions[usize::from(fated.slot >= from)];
                let name = |address| match wall.asn(address) {
                    0 => String::new(),
                    n => rows[n as usize - 1].1.clone(),
                };
                let (src, dst) = (name(flow.source()), name(flow.destination()));
                let raw = ("raw", BY_NAMES, 300);
                for ((_, by, secs), rows) in ROLLUPS.iter().chain([&raw]).zip(&mut all) {
                    let sender = &flow.sampler_address;
                    let column = |one| match one {
                        "src_customer" => src.clone(),
                        "dst_customer" => dst.clone(),
                        "exporter_name" => exporter(sender),
                        "in_if_name" => interface(sender, flow.in_if),
                        _ => interface(sender, flow.out_if),
                    };
                    let key = by.split(", ").map(column).collect();
                    let row = rows.entry((fated.slot / secs * secs, key)).or_default();
                    row[0] += 1;
                    row[1] += flow.bytes;
                }
            }
        }
    }
    all
}

/// The text of a column as it is; ClickHouse's format has escapes.
fn plain(store: &Store, text: &str) -> String {
    match store {
        Store::ClickHouse(..) => text.replace("\\'", "'").replace("\\\\", "\\"),
        _ => text.to_owned(),
    }
}

/// What a question for slot, the key's columns, flows and bytes finds.
fn held(store: &Store, by: &str, (flows, bytes, rest): (&str, &str, &str)) -> Rows {
    let slot = store.seconds("slot");
    let rows = store.query(&format!(
        "select {slot}, {flows}, {bytes}, {by} from {rest}"
    ));
    let rows = rows.into_iter().map(|row| {
        let number = |at: usize| row[at].parse::<u64>().expect("a number");
        let key = row[3..].iter().map(|text| plain(store, text)).collect();
        ((number(0), key), [number(1), number(2)])
    });
    rows.collect()
}

fn same(what: &str, want: &Rows, got: &Rows) {
    let differs = want.iter().find(|(key, sums)| got.get(*key) != Some(sums));
    let differs = differs.map(|(key, sums)| (key, sums, got.get(key)));
    assert_eq!(differs, None, "{what}");
    assert_eq!(
        got.len(),
        want.len(),
        "{what}: rows that should not be there"
    );
}

/// Compares rollups and raw flows of each store.
fn compare(job: &JobFiles, input: &Input, from: u64) {
    let expected = expected(input, from);
    for store in &job.stores {
        for ((name, by, _), all) in ROLLUPS.iter().zip(&expected) {
            let slot = store.seconds("slot");
            let written =
                format!("select {slot} from slots where rollup = '{name}' and state <> 'open'");
            let written = store.query(&written).concat();
            let mut want = all.clone();
            want.retain(|(slot, _), _| written.contains(&slot.to_string()));
            assert!(want.len() > 4, "{name}: {} rows", want.len());
            let got = held(store, by, ("flows", "bytes", name));
            same(&format!("{}: {name}", store.url()), &want, &got);
        }
        let raw = if matches!(store, Store::Postgres(_)) {
            "flows"
        } else {
            "raw_flows"
        };
        for (by, want) in [(ROLLUPS[0].1, &expected[0]), (BY_NAMES, &expected[3])] {
            let raw = format!("{raw} where counted group by slot, {by}");
            let got = held(store, by, ("count(*)", "sum(bytes)", &raw));
            same(&format!("{}: raw flows by {by}", store.url()), want, &got);
        }
    }
    let has = |slot: u64, name: String| expected[1].contains_key(&(slot, vec![name]));
    let slots: BTreeSet<u64> = expected[1].keys().map(|(slot, _)| *slot).collect();
    let both = |slot: &u64| {
        NAMES
            .iter()
            .any(|name| has(*slot, (*name).to_owned()) && has(*slot, format!("{name} (new)")))
    };
    assert_eq!(
        slots.iter().any(both),
        from < u64::MAX,
        "an hour holds both versions' names"
    );
    println!("{} rows by both customers", expected[0].len());
}

/// A job over both versions, started anew in between, with other workers.
fn run(name: &str, stores: Vec<Store>) {
    let world = World::new(name);
    let mut flows = generator(200_000, 67);
    let mut job = world.job(name);
    job.stores.extend(stores);
    let raw = format!("{}?raw=on", job.stores[0].url());
    let file = world.path("customers.csv");
    let table = format!("customer={}", file.display());
    let [exporters, interfaces] = names(&world);
    let mut flags = vec!["--table", &exporters, "--table", &interfaces];
    flags.extend(["--until-end", "--slot-time", "end", "--table", &table]);
    flags.extend(["--max-range-change", "100", "--max-address-change", "100"]);
    flags.extend(["--rollup", "rollup_5m=src_as,dst_as,etype"]);
    flags.extend(["--rollup", "rollup_customers=src_customer,dst_customer"]);
    flags.extend(["--rollup", "rollup_customer=dst_customer@1h"]);
    flags.extend(["--rollup", "rollup_from=src_customer@30m"]);
    let mut from = u64::MAX;
    for (workers, version) in [("2", 1), ("1", 2)] {
        std::fs::write(&file, csv(&customers(version))).expect("a table");
        let half = u64::from(version - 1);
        write_moved(&world, &mut flows, half * FLOWS / 2..(half + 1) * FLOWS / 2);
        let mut sinks = job.stores.split_off(1);
        let others: Vec<String> = sinks.iter().map(Store::url).collect();
        let first = job.stores.remove(0);
        let mut more = [&flags[..], &["--sink", &raw]].concat();
        for url in &others {
            more.extend(["--sink", url]);
        }
        let (code, _, said) = ran_by(world.run(&job, workers, &more));
        job.stores.push(first);
        job.stores.append(&mut sinks);
        assert_eq!(code, Some(0), "{said}");
        let state = flow_objects::open(&job.state).expect("nobody holds it any more");
        let checkpoint = state.newest().expect("whole").expect("one at least");
        drop(state);
        if let Some((slot, _)) = checkpoint.timeline.versions.get(1) {
            from = *slot;
        }
        assert_eq!(
            from < u64::MAX,
            version == 2,
            "{:?}",
            checkpoint.timeline.versions
        );
        let mut input = world.input(&job);
        (input.fates, input.config.slot_time) = (true, oracle::Time::End);
        compare(&job, &input, from);
    }
    let (code, lines, said) = ran_by(command(&world, &job, &job.stores, &["verify"]));
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}\n{lines:?}");
    renamed_rows_are_found(&world, &job);
}

/// A row under another name is two differences, both by name.
fn renamed_rows_are_found(world: &World, job: &JobFiles) {
    let Store::Sqlite(path) = &job.stores[0] else {
        panic!("SQLite comes first");
    };
    let database = rusqlite::Connection::open(path).expect("it opens");
    let slot = "(SELECT max(slot) FROM rollup_from WHERE src_customer = ?1)";
    let set = "UPDATE rollup_from SET src_customer = 'Nobody'";
    let changed = database.execute(
        &format!("{set} WHERE src_customer = ?1 AND slot = {slot}"),
        [NAMES[1]],
    );
    assert_eq!(changed, Ok(1));
    let (code, lines, said) = ran_by(command(world, job, &job.stores[..1], &["verify"]));
    assert_eq!((code, lines.len()), (Some(1), 2), "{said}");
    let mut told: Vec<[&str; 2]> = lines
        .iter()
        .map(|line| {
            [&line["kind"], &line["key"]["src_customer"]].map(|it| it.as_str().expect("text"))
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, [["extra", "Nobody"], ["missing", NAMES[1]]]);
}

#[test]
fn customers_are_those_of_the_slots_version() {
    run("customers", Vec::new());
}

#[test]
fn customers_in_every_store() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let stores = vec![servers.postgres(""), servers.clickhouse("?raw=on")];
    run("customers-everywhere", stores);
}
