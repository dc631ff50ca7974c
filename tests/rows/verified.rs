//! `verify` and `replay`: a store that holds what the job has counted is equal, and every way of damaging it is named.
//!
//! Oracles: the test's own reading of the store before and after the damage, and the counts in the table `slots`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::{Command, Output};

use flow_ingest::mock::{Generator, TopicWriter};
use flow_proto::Dialect;
use serde_json::Value;

use crate::gaps::Pair;
use crate::generator;
use crate::oracle::{Key, Sums};
use crate::servers::Servers;
use crate::store::Store;
use crate::world::{JobFiles, World};

const SECOND_NS: u64 = 1_000_000_000;
/// Flows of two hours and a half.
pub(crate) const FLOWS: u64 = 250_000;
/// The first slot of these flows, 2023-11-14 22:15:00 UTC, and the range that holds all of them.
pub(crate) const BEGIN_SECS: u64 = 1_700_000_100;
const RANGE: [&str; 4] = [
    "--from",
    "2023-11-14T18:00:00Z",
    "--to",
    "2023-11-15T02:00:00Z",
];

/// `verify` or `replay` of all slots of a job in some of its stores.
pub(crate) fn command(world: &World, job: &JobFiles, stores: &[Store], verb: &[&str]) -> Command {
    within(world, job, stores, &[verb, &RANGE[..]].concat())
}

/// The same, with a range.
pub(crate) fn within(world: &World, job: &JobFiles, stores: &[Store], words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
    command.args(words).arg("--topic").arg(world.url());
    command.arg("--state").arg(&job.state);
    for store in stores {
        command.arg("--sink").arg(store.url());
    }
    command
}

pub(crate) fn ran_by(mut command: Command) -> (Option<i32>, Vec<Value>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&stderr).into_owned();
    let lines = String::from_utf8_lossy(&stdout).into_owned();
    let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    (status.code(), lines.lines().map(read).collect(), said)
}

/// Writes so many flows, some of which end, which names their slots, up to three hours late or half an hour early.
pub(crate) fn write_moved(world: &World, flows: &mut Generator, numbers: Range<u64>) {
    let topic = world.topic();
    let mut writer = TopicWriter::open(topic.as_ref(), true, Dialect::default()).expect("a writer");
    for at in numbers {
        let mut flow = flows.next().expect("without end");
        match at % 100 {
            17 => flow.time_flow_end_ns -= (at * 7_919 % 10_800) * SECOND_NS,
            53 => flow.time_flow_end_ns += (at * 7_919 % 1_800) * SECOND_NS,
            _ => {}
        }
        writer.write(&flow, flows.now_ns()).expect("written");
    }
    writer.finish(flows.now_ns()).expect("durable");
}

/// A job that was stopped and started with other workers, over flows of which some are late or early.
pub(crate) fn made(name: &str, stores: Vec<Store>) -> (World, JobFiles) {
    let world = World::new(name);
    let mut flows = generator(200_000, 47);
    let mut job = world.job(name);
    job.stores.extend(stores);
    for (workers, half) in [("1", 0), ("3", 1)] {
        write_moved(&world, &mut flows, half * FLOWS / 2..(half + 1) * FLOWS / 2);
        let ran = world.run(&job, workers, &["--until-end", "--slot-time", "end"]);
        let (code, _, said) = ran_by(ran);
        assert_eq!(code, Some(0), "{said}");
    }
    (world, job)
}

/// Flows that end and are received that long after the first ones. Seconds.
pub(crate) fn append(world: &World, (ended_secs, after_secs): (u64, u64), flows: u64) {
    let mut generator = generator(200_000, 53);
    let mut writer =
        TopicWriter::open(world.topic().as_ref(), true, Dialect::default()).expect("a writer");
    let later = after_secs * SECOND_NS;
    for _ in 0..flows {
        let mut flow = generator.next().expect("without end");
        flow.time_received_ns = flow.time_flow_end_ns + later;
        flow.time_flow_end_ns += ended_secs * SECOND_NS;
        writer
            .write(&flow, generator.now_ns() + later)
            .expect("written");
    }
    writer.finish(generator.now_ns() + later).expect("durable");
}

/// Refused flows that a replay counts, by slot, of slots that have rows.
pub(crate) fn refused(store: &Store) -> BTreeMap<u64, u64> {
    let slots = store.content().slots.into_iter();
    let refused = slots.filter(|(slot, (state, _))| *slot > 0 && state != "open");
    refused
        .map(|(slot, (_, counts))| (slot, counts.too_early + counts.too_late))
        .filter(|(_, refused)| *refused > 0)
        .collect()
}

pub(crate) fn slot(line: &Value) -> u64 {
    let text = line["slot"].as_str().expect("a time");
    let time: jiff::Timestamp = text.parse().expect("RFC 3339");
    u64::try_from(time.as_second()).expect("after 1970")
}

#[test]
fn what_a_job_has_written_is_verified_and_a_replay_adds_what_it_refused() {
    let others =
        Servers::shared().map(|servers| vec![servers.postgres(""), servers.clickhouse("")]);
    let (world, job) = made("verified", others.unwrap_or_default());
    let (code, lines, said) = ran_by(command(&world, &job, &job.stores, &["verify", "-w", "2"]));
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}");
    let as_recorded = ["replay", "--as-recorded", "--json"];
    let (code, lines, said) = ran_by(command(&world, &job, &job.stores, &as_recorded));
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}");

    for store in &job.stores {
        let replayed = command(
            &world,
            &job,
            std::slice::from_ref(store),
            &["replay", "--json", "-w", "3"],
        );
        let (code, lines, said) = ran_by(replayed);
        assert_eq!(code, Some(0), "{said}");
        let base = lines.iter().filter(|line| line["rollup"] == "rollup_5m");
        let flows = |line: &Value, side: &str| line[side]["flows"].as_u64().expect("a number");
        let added = base.map(|line| (slot(line), flows(line, "after") - flows(line, "before")));
        let (added, expected): (BTreeMap<_, _>, _) = (added.collect(), refused(store));
        assert!(expected.len() > 3, "{expected:?}");
        assert_eq!(
            added, expected,
            "flows that a replay adds, by slot; the refused ones"
        );
        // Alone a slot is the same: what was refused hours later is looked for.
        for at in [BEGIN_SECS, BEGIN_SECS + 1_800] {
            let [from, to] = [at, at + 300].map(|secs| {
                let time = jiff::Timestamp::from_second(secs as i64);
                time.expect("a time").to_string()
            });
            let words = ["replay", "--json", "--from", &from, "--to", &to];
            let (_, alone, said) =
                ran_by(within(&world, &job, std::slice::from_ref(store), &words));
            let together = lines.iter().filter(|line| slot(line) == at);
            assert!(alone.iter().eq(together), "{said}");
            assert!(!alone.is_empty(), "slot {at}");
        }
        println!(
            "{}: {} slots gain {} refused flows",
            store.url(),
            added.len(),
            added.values().sum::<u64>()
        );
    }
}

/// That `verify` has nothing to say.
pub(crate) fn is_verified(world: &World, job: &JobFiles, store: &Store) {
    let (code, lines, said) = ran_by(command(
        world,
        job,
        std::slice::from_ref(store),
        &["verify"],
    ));
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}");
}

/// Takes a slot out of every table.
pub(crate) fn dropped(store: &Store, slot: u64) -> Vec<String> {
    let tables = ["rollup_5m", "rollup_5m_country", "slots"];
    tables
        .map(|table| gone(store, table, place(store, slot)))
        .into()
}

/// The rows of a slot.
fn place(store: &Store, slot: u64) -> String {
    match store {
        Store::Sqlite(_) => format!("slot = {slot}"),
        Store::Postgres(_) => format!("slot = to_timestamp({slot})"),
        Store::ClickHouse(..) => format!("slot = fromUnixTimestamp({slot})"),
    }
}

/// Deletes rows.
fn gone(store: &Store, table: &str, at: String) -> String {
    match store {
        Store::ClickHouse(..) => {
            format!("ALTER TABLE {table}_rows DELETE WHERE {at} SETTINGS mutations_sync = 2")
        }
        _ => format!("DELETE FROM {table} WHERE {at}"),
    }
}

/// What happens to a store.
pub(crate) fn damages(store: &Store, slots: &[u64]) -> Vec<(&'static str, String)> {
    let place = |slot| place(store, slot);
    let changed_in = |table: &str, set: &str, at: String| match store {
        Store::ClickHouse(..) => {
            format!("ALTER TABLE {table}_rows UPDATE {set} WHERE {at} SETTINGS mutations_sync = 2")
        }
        _ => format!("UPDATE {table} SET {set} WHERE {at}"),
    };
    let changed = |set: &str, at: String| changed_in("rollup_5m", set, at);
    let gone = |table, at| gone(store, table, at);
    let added = {
        let table = if matches!(store, Store::ClickHouse(..)) {
            "rollup_5m_rows"
        } else {
            "rollup_5m"
        };
        let columns = "slot, src_as, dst_as, etype, bytes, packets, flows, scaled_bytes, scaled_packets, \
                       unknown_rate_flows, table_version, revision";
        let other = columns.replace("src_as, dst_as", "src_as + 4000000000, dst_as");
        let at = place(slots[2]);
        format!(
            "INSERT INTO {table} ({columns}) SELECT {other} FROM {table} WHERE {at} AND etype = 2048 AND src_as < 70000"
        )
    };
    // Rows of a revision that no writer would ever go above.
    let forged = |bytes: &str, slot: u64| match store {
        Store::ClickHouse(..) => {
            let keys = "slot, src_as, dst_as, etype";
            let sums =
                "packets, flows, scaled_bytes, scaled_packets, unknown_rate_flows, table_version";
            format!(
                "INSERT INTO rollup_5m_rows ({keys}, bytes, {sums}, revision) SELECT {keys}, {bytes}, {sums}, \
                 9223372036854775807 FROM rollup_5m WHERE {}",
                place(slot)
            )
        }
        _ => changed(
            &format!("bytes = {bytes}, revision = 9223372036854775807"),
            place(slot),
        ),
    };
    vec![
        (
            "missing",
            gone(
                "rollup_5m",
                format!("{} AND etype = 2048 AND bytes % 3 = 0", place(slots[0])),
            ),
        ),
        (
            "changed",
            changed(
                "bytes = bytes + 1",
                format!("{} AND bytes % 2 = 0", place(slots[1])),
            ),
        ),
        ("extra", added),
        ("missing", gone("rollup_5m", place(slots[3]))),
        (
            "table_version",
            changed(
                "table_version = 2",
                format!("{} AND bytes % 5 = 0", place(slots[4])),
            ),
        ),
        ("changed", changed("flows = 0", place(slots[5]))),
        (
            "missing",
            gone(
                "slots",
                format!("{} AND rollup = 'rollup_5m'", place(slots[6])),
            ),
        ),
        ("missing", gone("rollup_5m_country", place(slots[7]))),
        ("changed", forged("bytes + 1", slots[8])),
        ("revision", forged("bytes", slots[9])),
        (
            "changed",
            changed_in(
                "slots",
                "too_late = too_late + 1",
                format!("{} AND rollup = 'rollup_5m'", place(slots[10])),
            ),
        ),
    ]
}

/// Changes a store from outside.
pub(crate) fn spoil(store: &Store, sql: &str) {
    match store {
        Store::Sqlite(path) => {
            let database = rusqlite::Connection::open(path).expect("a database");
            database.execute(sql, []).expect("sql");
        }
        _ => drop(store.query(sql)),
    }
}

/// The keys at which two readings of a store differ, and how.
pub(crate) fn differences(
    before: &BTreeMap<Key, Sums>,
    after: &BTreeMap<Key, Sums>,
) -> BTreeMap<Key, &'static str> {
    let keys = before.keys().chain(after.keys());
    let kind = |key: &Key| match (before.get(key), after.get(key)) {
        (Some(a), Some(b)) if a == b => None,
        (Some(_), Some(_)) => Some("changed"),
        (Some(_), None) => Some("missing"),
        _ => Some("extra"),
    };
    keys.filter_map(|key| Some((*key, kind(key)?))).collect()
}

/// The key of a line of `verify`.
pub(crate) fn key(line: &Value) -> Key {
    let country = line["rollup"] == "rollup_5m_country";
    let names = match country {
        true => ["src_country", "dst_country", "etype"],
        false => ["src_as", "dst_as", "etype"],
    };
    let number = |name: &str| match &line["key"][name] {
        Value::String(code) => flow_proto::country_number(code),
        number => number
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .expect("32 bits"),
    };
    (u16::from(country), slot(line), names.map(number))
}

fn every_damage_is_named(name: &str, stores: Vec<Store>) {
    let (world, job) = made(name, stores);
    let store = job.stores.last().expect("one at least");
    let slots: Vec<u64> = (0..11).map(|n| BEGIN_SECS + 300 * n).collect();
    let before = store.content();
    for (what, sql) in damages(store, &slots) {
        spoil(store, &sql);
        let (code, lines, said) = ran_by(command(
            &world,
            &job,
            std::slice::from_ref(store),
            &["verify"],
        ));
        assert_eq!(code, Some(1), "{what} after {sql}: {said}");
        assert!(
            lines.iter().any(|line| line["kind"] == what),
            "{what} is not among the {} after {sql}: {said}",
            lines.len()
        );
    }
    let after = store.content();
    let (_, lines, said) = ran_by(command(
        &world,
        &job,
        std::slice::from_ref(store),
        &["verify"],
    ));
    let of_rows = |kind: &str| {
        let rows = lines.iter().filter(|line| line["rollup"] != "slots");
        rows.filter(|line| line["kind"] == kind).count()
    };
    let rows = lines.iter().filter(|line| {
        line["rollup"] != "slots" && line["kind"] != "table_version" && line["kind"] != "revision"
    });
    let named: BTreeMap<Key, String> = rows
        .map(|line| (key(line), line["kind"].as_str().expect("text").to_owned()))
        .collect();
    let expected = differences(&before.rows, &after.rows);
    let expected: BTreeMap<Key, String> = expected
        .into_iter()
        .map(|(k, kind)| (k, kind.to_owned()))
        .collect();
    assert!(expected.len() > 100, "{}", expected.len());
    assert_eq!(named, expected);
    let (tables, revisions) = (of_rows("table_version"), of_rows("revision"));
    assert!(tables > 50 && revisions > 50, "{tables}, {revisions}");
    let others = lines.len() - named.len() - tables - revisions;
    assert_eq!(others, 2, "rows of slots");
    assert!(
        said.ends_with(&format!("flow-pipeline: {} differences\n", lines.len())),
        "{said}"
    );
    let mend = ["replay", "--as-recorded", "--apply", "--json"];
    let (code, _, said) = ran_by(command(&world, &job, std::slice::from_ref(store), &mend));
    assert_eq!(code, Some(0), "{said}");
    assert!(store.content() == before, "mended: {said}");
    is_verified(&world, &job, store);
    println!(
        "{}: {} rows named, {tables} versions",
        store.url(),
        named.len()
    );
}

#[test]
fn every_damage_of_sqlite_is_named() {
    every_damage_is_named("verify-sqlite", Vec::new());
}

#[test]
fn every_damage_of_postgresql_is_named() {
    if let Some(servers) = Servers::shared() {
        every_damage_is_named("verify-postgres", vec![servers.postgres("")]);
    }
}

#[test]
fn every_damage_of_clickhouse_is_named() {
    if let Some(servers) = Servers::shared() {
        every_damage_is_named("verify-clickhouse", vec![servers.clickhouse("")]);
    }
}

#[test]
fn what_retention_has_deleted_is_told_before_anything_is_computed() {
    let mut pair = Pair::new("verify-retention");
    let job = pair.world.job("verify-retention");
    for _ in 0..10 {
        pair.write(9_700);
        pair.world.run_to_end(&job, "2");
    }
    assert!(pair.lost());
    let verify = |from: &str, to: &str| {
        let words = ["verify", "--from", from, "--to", to];
        ran_by(within(&pair.world, &job, &job.stores, &words))
    };
    let (code, lines, said) = verify("2023-11-14T22:20:00Z", "2023-11-14T22:30:00Z");
    assert_eq!((code, lines.len()), (Some(78), 0), "{said}");
    let words = "retention has deleted what these slots need, up to offset ";
    assert!(
        said.contains(words) && said.contains(", written at 2023-11-14T23:"),
        "{said}"
    );
    // What is there is enough for the last slots.
    let (code, lines, said) = verify("2023-11-14T23:35:00Z", "2023-11-14T23:40:00Z");
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}");
    what_is_left_is_made_of_what_there_is(&pair.world, &job);
}

/// With `--partial` slots that lack something are named, marked, and never put in the place of more.
fn what_is_left_is_made_of_what_there_is(world: &World, job: &JobFiles) {
    // Hours later every slot has retired.
    append(world, (4 * 3_600, 4 * 3_600), 400);
    world.run_to_end(job, "1");
    let store = &job.stores[0];
    let before = store.content();
    let run = |verb: &[&str]| {
        let (code, lines, said) = ran_by(command(world, job, &job.stores, verb));
        (code, lines, said)
    };
    let (code, lines, said) = run(&["verify", "--partial"]);
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}");
    assert!(
        said.contains("the topic does not hold all that these slots were made of"),
        "{said}"
    );
    let (code, lines, said) = run(&["replay", "--as-recorded", "--partial", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let lacking: BTreeMap<u64, u64> = lines
        .iter()
        .filter(|line| line["rollup"] == "rollup_5m")
        .map(|line| {
            assert_eq!(line["partial"], true, "{line}");
            assert_eq!(
                line["missing_partitions"],
                serde_json::json!([0, 1, 2, 3]),
                "{line}"
            );
            (
                slot(line),
                line["after"]["flows"].as_u64().expect("a number"),
            )
        })
        .collect();
    assert!(lacking.len() > 3, "{said}");
    let apply = ["replay", "--as-recorded", "--partial", "--apply", "--json"];
    let (code, _, said) = run(&apply);
    assert_eq!(code, Some(0), "{said}");
    let retired = |content: &crate::store::Content, at: &u64| content.slots[at].0 == "retired";
    assert!(
        store.content().rows == before.rows,
        "the store has more: {said}"
    );
    // Where the store has lost them, what is left is better than nothing.
    for (at, _) in lacking.iter().filter(|(at, _)| retired(&before, at)) {
        for table in ["rollup_5m", "rollup_5m_country"] {
            spoil(store, &format!("DELETE FROM {table} WHERE slot = {at}"));
        }
    }
    let (code, _, said) = run(&apply);
    assert_eq!(code, Some(0), "{said}");
    let after = store.content();
    let mut replaced = 0;
    for (at, flows) in lacking.iter().filter(|(at, _)| retired(&before, at)) {
        let marked = format!(
            "select partial, missing_partitions from slots where rollup = 'rollup_5m' and slot = {at}"
        );
        if *flows > 0 {
            assert_eq!(after.slots[at].1.flows, *flows, "slot {at}");
            assert_eq!(store.query(&marked), [["1", "[0,1,2,3]"]], "slot {at}");
            replaced += 1;
        }
    }
    assert!(replaced > 0, "{lacking:?}");
}
