//! `verify --raw` and `replay --raw`: every damage of raw flows is named and mended, and what counts sums up to the rows.
//!
//! Oracles: the test's own readings of the store before and after the damage, and the rows, which others have checked.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;

use serde_json::Value;

use crate::flowing::{Stop, write_until};
use crate::generator;
use crate::oracle::{Key, Sums};
use crate::own::{Live, until};
use crate::raw_content::{Content, Place, RawStore, differences};
use crate::replayed::retired;
use crate::servers::Servers;
use crate::verified::{BEGIN_SECS, FLOWS, append, command, ran_by, slot, within, write_moved};
use crate::world::{JobFiles, World};

const MEND: [&str; 5] = ["replay", "--raw", "--as-recorded", "--apply", "--json"];
const APPLY: [&str; 4] = ["replay", "--raw", "--apply", "--json"];

/// A job with raw flows, stopped and started with other workers, over flows up to three hours late.
struct Made {
    world: World,
    job: JobFiles,
    raw: RawStore,
}

impl Made {
    fn new(name: &str, server: impl FnOnce(&JobFiles) -> RawStore) -> Made {
        let world = World::new(name);
        let mut job = world.job(name);
        let raw = server(&job);
        job.stores.clear();
        let made = Made { world, job, raw };
        let mut flows = generator(200_000, 47);
        for (workers, half) in [("1", 0), ("3", 1)] {
            write_moved(
                &made.world,
                &mut flows,
                half * FLOWS / 2..(half + 1) * FLOWS / 2,
            );
            made.run(workers);
        }
        made
    }

    fn run(&self, workers: &str) {
        let more = ["--sink", &self.raw.url, "--until-end", "--slot-time", "end"];
        let (code, _, said) = ran_by(self.world.run(&self.job, workers, &more));
        assert_eq!(code, Some(0), "{said}");
    }

    fn command(&self, verb: &[&str]) -> Command {
        let words = [verb, &["--sink", &self.raw.url]].concat();
        command(&self.world, &self.job, &[], &words)
    }

    /// Of the first slots alone.
    fn some_slots(&self, verb: &[&str], minutes: u64) -> Command {
        let end = format!("2023-11-14T22:{}:00Z", 15 + minutes);
        let range = ["--from", "2023-11-14T22:15:00Z", "--to", &end];
        let words = [verb, &range, &["--sink", &self.raw.url]].concat();
        within(&self.world, &self.job, &[], &words)
    }

    fn ran(&self, verb: &[&str]) -> Vec<Value> {
        let (code, lines, said) = ran_by(self.command(verb));
        assert_eq!(code, Some(0), "{said}");
        lines
    }

    fn apply(&self, verb: &[&str], slots: u64) {
        let (code, _, said) = ran_by(self.some_slots(verb, 5 * slots));
        assert_eq!(code, Some(0), "{said}");
    }

    fn is_verified(&self) {
        let lines = self.ran(&["verify", "--raw"]);
        assert!(lines.is_empty(), "{} lines", lines.len());
    }
}

/// Raw flows that count make up the rows of every slot that is retired; how many slots these are.
fn sums_up(raw: &RawStore) -> usize {
    let content = raw.store.content();
    let is_retired = |slot: u64| {
        content
            .slots
            .get(&slot)
            .is_some_and(|(s, _)| s == "retired")
    };
    let of = |sums: BTreeMap<Key, Sums>| -> BTreeMap<Key, Sums> {
        let base = sums.into_iter().filter(|((rollup, ..), _)| *rollup == 0);
        base.filter(|((_, slot, _), _)| is_retired(*slot)).collect()
    };
    let found = of(raw.store.raw_sums());
    assert!(
        found == of(content.rows.clone()),
        "raw flows make up other rows"
    );
    let slots = content.slots.keys();
    slots.filter(|slot| is_retired(**slot)).count()
}

fn place(line: &Value) -> Place {
    let number = |name: &str| line["key"][name].as_u64().expect("a number");
    let narrow = |name: &str| u32::try_from(number(name)).expect("32 bits");
    let (partition, index) = (narrow("topic_partition"), narrow("flow_index"));
    (slot(line), partition, number("topic_offset"), index)
}

fn every_damage_is_named_and_mended(made: &Made) {
    made.is_verified();
    sums_up(&made.raw);
    let before = made.raw.content();
    made.raw.damage(BEGIN_SECS);
    let expected = differences(&before, &made.raw.content());
    let (code, lines, said) = ran_by(made.command(&["verify", "--raw"]));
    assert_eq!(code, Some(1), "{said}");
    let mut named: BTreeMap<(Place, String), u64> = BTreeMap::new();
    for line in &lines {
        assert_eq!(line["rollup"], "raw_flows", "the rows are right: {line}");
        let kind = line["kind"].as_str().expect("text").to_owned();
        *named.entry((place(line), kind)).or_default() += 1;
    }
    let expected: BTreeMap<(Place, String), u64> = expected
        .into_iter()
        .map(|((place, kind), n)| ((place, kind.to_owned()), n))
        .collect();
    let kinds = |all: &BTreeMap<(Place, String), u64>| {
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        all.iter()
            .for_each(|((_, kind), n)| *kinds.entry(kind.clone()).or_default() += n);
        kinds
    };
    assert_eq!(kinds(&named), kinds(&expected));
    assert!(named == expected, "other places are named");
    // Shown, nothing is written.
    let shown = made.ran(&["replay", "--raw", "--as-recorded", "--json"]);
    let sum = |what: &str| -> u64 {
        let rows = shown
            .iter()
            .map(|line| line["rows"][what].as_u64().expect("a number"));
        rows.sum()
    };
    let of = |kind: &str| kinds(&expected).get(kind).copied().unwrap_or(0);
    assert_eq!(
        [sum("added"), sum("changed"), sum("removed")],
        [of("missing"), of("changed"), of("extra") + of("doubled")]
    );
    made.ran(&MEND);
    assert!(made.raw.content() == before, "mended");
    made.is_verified();
    println!("{}: {:?}", made.raw.url, kinds(&named));
}

/// What was refused counts from then on, and only that; what is refused later stays so.
fn what_counts_sums_up(made: &Made) {
    let flows = |content: &Content| content.values().map(Vec::len).sum::<usize>();
    let refused = |content: &Content| {
        let rows = content.values().flatten();
        rows.filter(|row| row[0] == "0").count()
    };
    let before = made.raw.content();
    made.ran(&APPLY);
    let after = made.raw.content();
    assert_eq!(flows(&before), flows(&after));
    assert!(
        refused(&after) + 1_000 < refused(&before),
        "{}",
        refused(&after)
    );
    assert!(sums_up(&made.raw) > 20);
    made.is_verified();
    // The same again changes nothing.
    for line in made.ran(&APPLY) {
        let state = &made.raw.store.content().slots[&slot(&line)].0;
        assert_ne!(state, "retired", "{line}");
    }
    assert!(made.raw.content() == after);
    // Flows of these slots that come later are refused by the job, and its follower writes them so.
    append(&made.world, (0, 3 * 3_600), 500);
    append(&made.world, (40 * 3_600, 40 * 3_600), 2_000);
    made.run("2");
    let later = made.raw.content();
    assert_eq!(flows(&later), flows(&after) + 2_500);
    assert!(
        refused(&later) >= refused(&after) + 500,
        "{}",
        refused(&later)
    );
    assert!(
        after
            .iter()
            .all(|(place, rows)| later.get(place) == Some(rows))
    );
    made.is_verified();
    sums_up(&made.raw);
    made.apply(&APPLY, 8);
    assert!(refused(&made.raw.content()) < refused(&later));
    made.is_verified();
    sums_up(&made.raw);
}

fn all_of(made: &Made) {
    every_damage_is_named_and_mended(made);
    what_counts_sums_up(made);
}

#[test]
fn raw_flows_of_sqlite() {
    let sqlite = |job: &JobFiles| RawStore::of(job.stores[0].clone());
    let made = Made::new("raw-replayed", sqlite);
    all_of(&made);
    // Without raw=on there are none to speak of, and it is said before anything is computed.
    let plain = made.raw.store.url();
    for verb in [&["verify", "--raw"][..], &["replay", "--raw"]] {
        let words = [verb, &["--sink", &plain]].concat();
        let (code, lines, said) = ran_by(command(&made.world, &made.job, &[], &words));
        assert_eq!((code, lines.len()), (Some(78), 0), "{said}");
        let line = "has no raw flows (its URL lacks raw=on); leave --raw away, or name the store as the job's `run` does";
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn raw_flows_of_postgresql() {
    if let Some(servers) = Servers::shared() {
        let postgres = |_: &JobFiles| RawStore::of(servers.postgres(""));
        all_of(&Made::new("raw-replayed-postgres", postgres));
    }
}

#[test]
fn raw_flows_of_clickhouse() {
    if let Some(servers) = Servers::shared() {
        let clickhouse = |_: &JobFiles| RawStore::of(servers.clickhouse(""));
        all_of(&Made::new("raw-replayed-clickhouse", clickhouse));
    }
}

/// Slots that are damaged, and put from one way of counting to the other.
const SLOTS: u64 = 5;

fn killed_at_any_moment(made: &Made, kills: u64) {
    let content = || made.raw.content_before(BEGIN_SECS + 300 * SLOTS);
    let recorded = content();
    made.apply(&APPLY, SLOTS);
    let every = content();
    assert!(recorded != every);
    let mut in_between = 0;
    for round in 0..kills {
        for n in 0..SLOTS {
            made.raw.delete(BEGIN_SECS + 300 * n, "bytes % 4 = 0");
        }
        // Twice the same, so that once rows and raw flows are replaced, and once raw flows alone.
        let (verb, right) = match round / 2 % 2 {
            0 => (&MEND[..], &recorded),
            _ => (&APPLY[..], &every),
        };
        let mut child = made
            .some_slots(verb, 5 * SLOTS)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        // After the store was seen to change so often.
        let (mut seen, mut changes) = (made.raw.count(), 0);
        while child.try_wait().expect("a child").is_none() && changes <= round % 5 {
            let now = made.raw.count();
            changes += u64::from(now != seen);
            seen = now;
            thread::yield_now();
        }
        child.kill().expect("killed, or over");
        child.wait().expect("it is gone");
        in_between += u64::from(content() != *right);
        made.apply(verb, SLOTS);
        let left = differences(right, &content());
        assert!(left.is_empty(), "round {round}: {} differ", left.len());
        sums_up(&made.raw);
    }
    made.is_verified();
    println!(
        "{}: {kills} kills, {in_between} before the end",
        made.raw.url
    );
}

#[test]
fn killed_at_any_moment_raw_flows_of_sqlite_are_mended() {
    let sqlite = |job: &JobFiles| RawStore::of(job.stores[0].clone());
    killed_at_any_moment(&Made::new("raw-killed", sqlite), 6);
}

#[test]
fn killed_at_any_moment_raw_flows_of_postgresql_are_mended() {
    if let Some(servers) = Servers::shared() {
        let postgres = |_: &JobFiles| RawStore::of(servers.postgres(""));
        killed_at_any_moment(&Made::new("raw-killed-postgres", postgres), 6);
    }
}

#[test]
fn killed_at_any_moment_raw_flows_of_clickhouse_are_mended() {
    if let Some(servers) = Servers::shared() {
        let clickhouse = |_: &JobFiles| RawStore::of(servers.clickhouse(""));
        killed_at_any_moment(&Made::new("raw-killed-clickhouse", clickhouse), 4);
    }
}

#[test]
fn a_job_that_runs_and_a_replay_of_raw_flows_beside_it() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let world = World::on("raw-beside", servers.topic("raw-beside"));
    let mut job = world.job("raw-beside");
    let mut stores = std::mem::take(&mut job.stores);
    stores.extend([servers.postgres(""), servers.clickhouse("")]);
    let all: Vec<RawStore> = stores.into_iter().map(RawStore::of).collect();
    let sinks: Vec<&str> = all.iter().flat_map(|raw| ["--sink", &raw.url]).collect();
    let ran = |raw: &RawStore, verb: &[&str]| {
        let words = [verb, &["--sink", &raw.url]].concat();
        ran_by(command(&world, &job, &[], &words))
    };
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopping = Stop(&stop);
        scope.spawn(|| write_until(&world, &stop, 20));
        let live = Live::start(&mut world.run(&job, "2", &sinks));
        until("a checkpoint", || world.newest(&job, "checkpoints") > 0);
        for raw in &all {
            until("slots are retired", || retired(&raw.store) > 4);
            raw.delete(BEGIN_SECS + 300, "bytes % 2 = 0");
            raw.update("bytes = bytes + 1", BEGIN_SECS + 600, "bytes % 2 = 0");
            let (code, lines, said) = ran(raw, &APPLY);
            assert_eq!(code, Some(0), "{said}");
            let named = |at: u64| {
                let mut of_slot = lines.iter().filter(|line| slot(line) == BEGIN_SECS + at);
                of_slot.any(|line| line["rollup"] == "raw_flows")
            };
            assert!(named(300) && named(600), "{said}");
            let before = raw.count();
            until("the job goes on", || raw.count() > before);
        }
        drop(stopping);
        assert!(live.end().success());
    });
    let more = [&sinks[..], &["--until-end"]].concat();
    let (code, _, said) = ran_by(world.run(&job, "3", &more));
    assert_eq!(code, Some(0), "{said}");
    for raw in &all {
        let (code, lines, said) = ran(raw, &["verify", "--raw"]);
        assert_eq!((code, lines.len()), (Some(0), 0), "{said}");
        println!("{}: {} slots", raw.url, sums_up(raw));
    }
}
