//! `verify --against`: two stores, compared with each other alone.
//!
//! Oracle: the test's own reading of both.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::oracle::Key;
use crate::servers::Servers;
use crate::store::Store;
use crate::verified::{BEGIN_SECS, key, made, ran_by, slot, spoil};

fn against(one: &Store, two: &Store, more: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
    command.args(["verify", "--sink", &one.url(), "--against", &two.url()]);
    command.args([
        "--from",
        "2023-11-14T18:00:00Z",
        "--to",
        "2023-11-15T02:00:00Z",
    ]);
    command.args(more);
    ran_by(command)
}

/// Keys at which two stores differ, and slots at which their rows of `slots` do.
fn expected(one: &Store, two: &Store) -> (BTreeSet<Key>, BTreeSet<u64>) {
    let (one, two) = (one.content(), two.content());
    let keys = one.rows.keys().chain(two.rows.keys());
    let rows = keys.filter(|key| one.rows.get(key) != two.rows.get(key));
    let slots = one.slots.keys().chain(two.slots.keys());
    let slots = slots.filter(|slot| **slot > 0 && one.slots.get(slot) != two.slots.get(slot));
    (rows.copied().collect(), slots.copied().collect())
}

#[test]
fn two_stores_are_compared_with_each_other() {
    let servers = Servers::shared();
    let servers = servers.map(|servers| vec![servers.postgres(""), servers.clickhouse("")]);
    let second = tempfile::tempdir().expect("a folder");
    let mut stores = servers.unwrap_or_default();
    stores.push(Store::Sqlite(second.path().join("second.sqlite")));
    let (world, job) = made("against", stores);
    let first = &job.stores[0];
    for (at, other) in job.stores.iter().enumerate().skip(1) {
        let (code, lines, said) = against(first, other, &[]);
        assert_eq!((code, lines.len()), (Some(0), 0), "{said}");
        let later = BEGIN_SECS + 300 * u64::try_from(at).expect("small");
        let place = |slot: u64| format!("{} = {slot}", other.seconds("slot"));
        let sql = match other {
            Store::ClickHouse(..) => format!(
                "ALTER TABLE rollup_5m_rows DELETE WHERE {} AND bytes % 2 = 0 SETTINGS mutations_sync = 2",
                place(later)
            ),
            _ => format!(
                "UPDATE rollup_5m SET flows = flows + 1 WHERE {}",
                place(later)
            ),
        };
        spoil(other, &sql);
        let gone = match other {
            Store::ClickHouse(..) => format!(
                "ALTER TABLE slots_rows DELETE WHERE {} SETTINGS mutations_sync = 2",
                place(later + 3_000)
            ),
            _ => format!("DELETE FROM slots WHERE {}", place(later + 3_000)),
        };
        spoil(other, &gone);
        let (rows, slots) = expected(first, other);
        assert!(rows.len() > 20, "{}", rows.len());
        assert_eq!(slots, BTreeSet::from([later + 3_000]));
        // What the one lacks the other has too much of.
        for (one, two) in [(first, other), (other, first)] {
            let (code, lines, said) = against(one, two, &[]);
            assert_eq!(code, Some(1), "{said}");
            let (of_slots, of_rows): (Vec<_>, Vec<_>) =
                lines.iter().partition(|line| line["rollup"] == "slots");
            let named: BTreeSet<Key> = of_rows.iter().map(|line| key(line)).collect();
            assert_eq!((named.len(), of_rows.len()), (rows.len(), rows.len()));
            assert!(named == rows);
            let named: BTreeSet<u64> = of_slots.iter().map(|line| slot(line)).collect();
            assert_eq!(named, slots);
            let kind = if std::ptr::eq(one, other) {
                "missing"
            } else {
                "extra"
            };
            assert!(of_slots.iter().all(|line| line["kind"] == kind));
            assert!(lines.iter().all(|line| line["against"].is_string()));
        }
        let (code, lines, said) = against(first, other, &["--rollup", "rollup_5m_country"]);
        assert!(
            lines.iter().all(|line| line["rollup"] == "slots"),
            "{code:?} {said}"
        );
        println!("{}: {} rows differ from the first", other.url(), rows.len());
    }
    // Another job over the same topic, whose checkpoints have other numbers: its final slots are the same.
    let other = world.job("another");
    let more = ["--until-end", "--slot-time", "end"];
    let (code, _, said) = ran_by(world.run(&other, "1", &more));
    assert_eq!(code, Some(0), "{said}");
    let other = &other.stores[0];
    let (rows, _) = expected(first, other);
    let [one, two] = [first, other].map(Store::content);
    let is_final = |slot: &u64| {
        let state = |slots: &BTreeMap<u64, (String, _)>| {
            slots.get(slot).map(|(state, _)| state == "retired")
        };
        state(&one.slots) == Some(true) && state(&two.slots) == Some(true)
    };
    let rows: BTreeSet<Key> = rows
        .into_iter()
        .filter(|(_, slot, _)| is_final(slot))
        .collect();
    let (code, lines, said) = against(first, other, &[]);
    let of_rows = lines.iter().filter(|line| line["rollup"] != "slots");
    let named: BTreeSet<Key> = of_rows
        .map(key)
        .filter(|(_, slot, _)| is_final(slot))
        .collect();
    assert!(
        named == rows,
        "{} rows of {}: {said}",
        named.len(),
        rows.len()
    );
    println!(
        "another job: {code:?}, {} lines, {} rows",
        lines.len(),
        rows.len()
    );
}
