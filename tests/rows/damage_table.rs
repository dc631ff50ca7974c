//! Damage by damage, in every store: what `verify` names, what mends it, and that `verify` is silent then.
//!
//! Oracle: the test's own reading of the store before and after each damage. Law: every row that differs is named, and none
//! besides; mended is as before.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::backup::{Backup, CURSORS};
use crate::generator;
use crate::half_applied;
use crate::oracle::Key;
use crate::servers::Servers;
use crate::store::{Content, Store};
use crate::verified::{
    self, BEGIN_SECS, append, command, damages, differences, key, ran_by, slot, spoil, write_moved,
};
use crate::world::{JobFiles, World};

/// Flows of two hours and a half,
const FLOWS: u64 = 45_000;
/// written in so many parts, each of them read by a run of its own.
const PARTS: u64 = 8;
/// The backup is made after so many of them.
const SAVED: u64 = 5;
/// The slots that are compared: all but those of the flows that retire them.
const COMPARED: std::ops::Range<u64> = 1_699_984_800..1_700_013_600;
/// What the job says of a store that was put back.
pub(crate) const GONE_BACK: &str =
    "this store has gone back to an older copy, or was left out for a while";
const MEND: [&str; 4] = ["replay", "--as-recorded", "--apply", "--json"];
/// The table's last columns: what has mended it, and what `verify` says then.
const BY_REPLAY: (&str, &str) = ("`replay --as-recorded --apply`", "0, silent");
const BY_RUN: (&str, &str) = ("the next run", "0, silent");

/// A store whose slots have all retired, and an older copy of it.
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) job: JobFiles,
    pub(crate) before: Content,
    backup: Backup,
    table: Vec<String>,
}

/// What `verify` has said.
pub(crate) struct Named {
    code: Option<i32>,
    lines: Vec<Value>,
    said: String,
}

impl Named {
    /// How many lines there are of each kind; those of the table `slots` are told apart.
    fn kinds(&self) -> String {
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        for line in &self.lines {
            let kind = line["kind"].as_str().expect("text");
            let of_slots = line["rollup"] == "slots";
            let name = if of_slots {
                format!("slots: {kind}")
            } else {
                kind.to_owned()
            };
            *kinds.entry(name).or_default() += 1;
        }
        let all = kinds.iter().map(|(kind, count)| format!("{count} {kind}"));
        all.collect::<Vec<_>>().join(", ")
    }

    /// The slots whose rows in `slots` differ.
    fn slots(&self) -> BTreeSet<u64> {
        let of_slots = self.lines.iter().filter(|line| line["rollup"] == "slots");
        of_slots.map(slot).collect()
    }

    /// The keys of rows whose totals differ, and how.
    fn rows(&self) -> BTreeMap<Key, String> {
        let alike = ["table_version", "revision"];
        let of_rows = self.lines.iter().filter(|line| line["rollup"] != "slots");
        let kind = |line: &Value| line["kind"].as_str().expect("text").to_owned();
        let named = of_rows.map(|line| (key(line), kind(line)));
        named
            .filter(|(_, kind)| !alike.contains(&kind.as_str()))
            .collect()
    }
}

impl Case {
    fn new(name: &str, others: Vec<Store>) -> Case {
        let world = World::new(name);
        let mut flows = generator(36_000, 67);
        let mut job = world.job(name);
        if !others.is_empty() {
            job.stores = others;
        }
        let mut backup = None;
        for part in 0..PARTS {
            let part_flows = FLOWS / PARTS;
            write_moved(
                &world,
                &mut flows,
                part * part_flows..(part + 1) * part_flows,
            );
            let workers = ["1", "3", "2"][usize::try_from(part % 3).expect("small")];
            assert!(!notices(&world, &job, workers));
            if part + 1 == SAVED {
                backup = Some(Backup::of(&job.stores[0]));
            }
        }
        append(&world, (5 * 3_600, 5 * 3_600), 2_000);
        assert!(!notices(&world, &job, "2"));
        let before = compared(job.stores[0].content());
        let retired = before
            .slots
            .values()
            .filter(|(state, _)| state == "retired");
        assert_eq!(retired.count(), before.slots.len());
        Case {
            world,
            job,
            before,
            backup: backup.expect("saved"),
            table: Vec::new(),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.job.stores[0]
    }

    pub(crate) fn verb(&self, verb: &[&str]) -> std::process::Command {
        command(&self.world, &self.job, &self.job.stores, verb)
    }

    fn verify(&self) -> Named {
        let (code, lines, said) = ran_by(self.verb(&["verify"]));
        Named { code, lines, said }
    }

    /// Every row that differs from what was there is named, and no other.
    fn is_named(&self, what: &str) -> Named {
        let found = self.verify();
        let now = compared(self.store().content());
        let differ = differences(&self.before.rows, &now.rows);
        let differ = differ.into_iter().map(|(key, kind)| (key, kind.to_owned()));
        assert_eq!(found.rows(), differ.collect(), "{what}: named, found");
        let slots = self.before.slots.iter();
        let differ = slots.filter(|(slot, row)| now.slots.get(slot) != Some(row));
        let differ: BTreeSet<u64> = differ.map(|(slot, _)| *slot).collect();
        assert_eq!(found.slots(), differ, "{what}: slots named, found");
        assert_eq!(found.code, Some(1), "{what}: {}", found.said);
        found
    }

    /// A store that is behind is not wrong: nothing is named, and slots are left aside.
    fn left_aside(&self, what: &str, code: i32) -> Named {
        let found = self.verify();
        assert_eq!(
            (found.code, found.lines.len()),
            (Some(code), 0),
            "{what}: {}",
            found.said
        );
        assert!(
            found.said.contains("not compared: the store is behind"),
            "{what}: {}",
            found.said
        );
        found
    }

    /// Mends it and looks again.
    fn is_mended(&self, what: &str) {
        let (code, _, said) = ran_by(self.verb(&MEND));
        assert_eq!(code, Some(0), "{what}: {said}");
        self.is_right(what);
    }

    /// It is as it was, and `verify` has nothing to say.
    fn is_right(&self, what: &str) {
        let now = compared(self.store().content());
        assert_eq!(now.slots, self.before.slots, "{what}: slots");
        assert!(now.rows == self.before.rows, "{what}: rows");
        let silent = self.verify();
        assert_eq!(
            (silent.code, silent.lines.len()),
            (Some(0), 0),
            "{what}: {}",
            silent.said
        );
    }

    /// A line of the table.
    fn tell(&mut self, what: &str, named: &Named, (mended, after): (&str, &str)) {
        let code = named.code.expect("a code");
        let kinds = match named.kinds() {
            none if none.is_empty() => "nothing".to_owned(),
            some => some,
        };
        self.table.push(format!(
            "| {what} | {code} | {kinds} | {mended} | {after} |"
        ));
    }

    /// A damage, once it is done.
    fn is_named_and_mended(&mut self, what: &str) {
        let named = self.is_named(what);
        self.is_mended(what);
        self.tell(what, &named, BY_REPLAY);
    }
}

/// The job goes on to the topic's end; whether it has noticed that a store had gone back.
fn notices(world: &World, job: &JobFiles, workers: &str) -> bool {
    let ran = world.run(job, workers, &["--until-end", "--slot-time", "end"]);
    let (code, _, said) = ran_by(ran);
    assert_eq!(code, Some(0), "{said}");
    said.contains(GONE_BACK)
}

/// What is compared of a store.
fn compared(mut content: Content) -> Content {
    content.slots.retain(|slot, _| COMPARED.contains(slot));
    content
        .rows
        .retain(|(_, slot, _), _| COMPARED.contains(slot));
    content
}

/// All rows of a table.
fn emptied(store: &Store, table: &str) -> String {
    match store {
        Store::Sqlite(_) => format!("DELETE FROM {table}"),
        Store::Postgres(_) => format!("TRUNCATE {table}"),
        Store::ClickHouse(..) if table == CURSORS => format!("TRUNCATE TABLE {table}"),
        Store::ClickHouse(..) => format!("TRUNCATE TABLE {table}_rows"),
    }
}

/// What hands and a killed program do.
fn damaged(case: &mut Case, store: &Store) {
    let slots: Vec<u64> = (0..11).map(|n| BEGIN_SECS + 300 * n).collect();
    let by_hand = damages(store, &slots);
    let one = |number: usize| vec![by_hand[number].1.clone()];
    for (what, statements) in [
        ("rows deleted", one(0)),
        ("totals changed", one(1)),
        ("rows added", one(2)),
        ("a slot of a rollup deleted", one(3)),
        ("another table version", one(4)),
        ("a row of `slots` deleted", one(6)),
        ("the other rollup of a slot deleted", one(7)),
        ("other totals under a forged revision", one(8)),
        ("a forged revision", one(9)),
        ("a row of `slots` changed", one(10)),
        ("a whole slot deleted", verified::dropped(store, slots[5])),
        ("`rollup_5m` emptied", vec![emptied(store, "rollup_5m")]),
        ("`slots` emptied", vec![emptied(store, "slots")]),
    ] {
        for sql in statements {
            spoil(store, &sql);
        }
        case.is_named_and_mended(what);
    }
    let half = half_applied::killed(case);
    case.is_named_and_mended(half);
}

/// What comes from a store that goes back, and from one that has forgotten how far it was.
fn gone_back(case: &mut Case, store: &Store) {
    case.backup.put_back(store, false);
    case.is_named_and_mended("an older copy put back, cursors left");

    let what = "an older copy put back, cursors too";
    case.backup.put_back(store, true);
    let named = case.left_aside(what, 69);
    assert!(notices(&case.world, &case.job, "2"), "{what}");
    case.tell(what, &named, (BY_RUN.0, "1, the next line"));
    case.is_named_and_mended("the same after the next run");

    let what = "the cursors deleted";
    spoil(store, &emptied(store, CURSORS));
    let named = case.left_aside(what, 69);
    assert!(!notices(&case.world, &case.job, "2"), "{what}");
    case.is_right(what);
    case.tell(what, &named, BY_RUN);
}

fn every_damage(name: &str, others: Vec<Store>) {
    let mut case = Case::new(name, others);
    let store = case.store().clone();
    damaged(&mut case, &store);
    gone_back(&mut case, &store);
    println!("{}\n", store.url());
    println!("| damage | exit | rows named by `verify` | mended by | `verify` after |");
    println!("| --- | --- | --- | --- | --- |");
    case.table.iter().for_each(|line| println!("{line}"));
}

#[test]
fn damages_of_sqlite() {
    every_damage("damage-sqlite", Vec::new());
}

#[test]
fn damages_of_postgresql() {
    if let Some(servers) = Servers::shared() {
        every_damage("damage-postgres", vec![servers.postgres("")]);
    }
}

#[test]
fn damages_of_clickhouse() {
    if let Some(servers) = Servers::shared() {
        every_damage("damage-clickhouse", vec![servers.clickhouse("")]);
    }
}
