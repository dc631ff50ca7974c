//! `tables swap --from`: slots of the past get other tables by `replay --queued`, killed on the way, and nothing else changes.
//!
//! Oracle: the rows of every slot by the tables of the version that it is to have: of a retired slot that was queued the last
//! one that was named for it, of all others the timeline's. Counts of flows stay as the job has them.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::own::until;
use crate::processes::Processes;
use crate::servers::Servers;
use crate::store::Store;
use crate::swapped::{self, Moment, decided, known, other, wait};
use crate::verified::{is_verified, ran_by};
use crate::world::{JobFiles, World, compare};
use crate::{generator, oracle, write};
use flow_tables::DEMO_ASN_CSV;

fn time(secs: u64) -> String {
    let secs = i64::try_from(secs).expect("a time");
    jiff::Timestamp::from_second(secs)
        .expect("a time")
        .to_string()
}

/// `tables swap --from`, not waiting for the job.
fn swap(world: &World, job: &JobFiles, (asn, from): (&str, &str), more: &[&str]) -> Command {
    let file = world.path("amended.csv");
    std::fs::write(&file, asn).expect("a table");
    let table = format!("asn={}", file.display());
    let words = [
        "--max-address-change",
        "100",
        "--from",
        from,
        "--table",
        &table,
    ];
    swapped::swap(job, &[&words[..], more].concat())
}

/// `replay --queued`.
fn queued(world: &World, job: &JobFiles, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
    command.args([
        "replay",
        "--queued",
        "--as-recorded",
        "--json",
        "--topic",
        world.url(),
    ]);
    command.arg("--state").arg(&job.state);
    for store in &job.stores {
        command.arg("--sink").arg(store.url());
    }
    command.args(more);
    command
}

/// Slots that have retired, ascending.
fn retired(job: &JobFiles) -> Vec<u64> {
    let slots = job.stores[0].content().slots.into_iter();
    let slots = slots.filter(|(slot, (state, _))| *slot > 0 && state == "retired");
    slots.map(|(slot, _)| slot).collect()
}

#[test]
fn slots_of_the_past_get_other_tables_as_they_retire() {
    run("amended", Vec::new());
}

#[test]
fn slots_of_the_past_in_every_store() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let stores = vec![servers.postgres("?raw=off"), servers.clickhouse("?raw=off")];
    run("amended-everywhere", stores);
}

fn run(name: &str, stores: Vec<Store>) {
    let world = World::new(name).talkative();
    let mut flows = generator(150_000, 73);
    let mut job = world.job(name);
    job.stores.extend(stores);
    write(&world, &mut flows, 250_000);
    world.run_to_end(&job, "2");
    let slots = retired(&job);
    assert!(slots.len() > 6, "{slots:?}");
    let mut sets = BTreeMap::from([known(DEMO_ASN_CSV)]);
    mistakes(&world, &job);
    // The second one takes some of the first one's slots.
    for (round, from) in [(1, slots[1]), (2, slots[3])] {
        let asn = other(round);
        sets.extend([known(&asn)]);
        let (_, lines, said) = ran_by(swap(
            &world,
            &job,
            (&asn, &time(from + 17)),
            &["--dry-run", "--json"],
        ));
        let past = &lines[0]["past"];
        assert_eq!(past["from_slot"], time(from), "{said}");
        assert_eq!(past["in_place_of"][0]["version"], 1, "{lines:?}");
        let ranges = past["in_place_of"][0]["changes"][0]["ipv4_changed"].as_f64();
        assert!(ranges.is_some_and(|part| part > 0.0), "{lines:?}");
        let asked = ran_by(swap(&world, &job, (&asn, &time(from + 17)), &["--json"]));
        assert_eq!(asked.0, Some(69), "{}", asked.2);
        let mut all = Processes::start(&world, &job, (1, 2), &[]);
        wait(&job, &mut all, (Moment::Recorded, round.into()));
        all.lose(0);
        assert_eq!(decided(&job), u64::from(round));
    }
    // Nothing has changed yet, and that is how the job has it.
    job.stores
        .iter()
        .for_each(|store| is_verified(&world, &job, store));
    write(&world, &mut flows, 150_000);
    world.run_to_end(&job, "3");
    let before = job.stores[0].content();
    let kills = killed_on_the_way(&world, &job);
    let (code, lines, said) = ran_by(queued(&world, &job, &["--apply"]));
    assert_eq!(code, Some(0), "{said}");
    println!("{kills} kills, then {} slots differ", lines.len());
    equal(&world, &job, &sets);
    let after = job.stores[0].content();
    assert_eq!(before.slots, after.slots, "the same flows");
    assert!(before.rows != after.rows);
    job.stores
        .iter()
        .for_each(|store| is_verified(&world, &job, store));
    let (code, lines, said) = ran_by(queued(&world, &job, &["--apply"]));
    assert_eq!((code, lines.len()), (Some(0), 0), "through: {said}");
    assert!(job.stores[0].content() == after);
}

/// One clear line for each.
fn mistakes(world: &World, job: &JobFiles) {
    let (code, _, said) = ran_by(swap(world, job, (&other(1), "2099-01-01T00:00:00Z"), &[]));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("get the tables anyway"), "{said}");
    let (code, _, said) = ran_by(queued(world, job, &[]));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("no slots are queued"), "{said}");
    let (code, _, said) = ran_by(queued(world, job, &["--from", "-1h"]));
    assert_eq!(code, Some(2), "{said}");
}

/// Kills it three times, each after another slot was recorded.
fn killed_on_the_way(world: &World, job: &JobFiles) -> u32 {
    let mut kills = 0;
    for _ in 0..3 {
        let before = world.files(job, "replaced");
        let mut command = queued(world, job, &["--apply"]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        // A process that has ended has recorded all that there was.
        let gone = |id: u32| {
            std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|it| it.contains(") Z "))
        };
        let id = child.id();
        until("a slot is recorded, or all are", || {
            world.files(job, "replaced") > before || gone(id)
        });
        child.kill().expect("killed");
        kills += u32::from(!child.wait().expect("it ends").success());
    }
    kills
}

/// Rows by the version that each slot is to have, which each row names.
fn equal(world: &World, job: &JobFiles, sets: &BTreeMap<String, oracle::Tables>) {
    let state = flow_objects::join(&job.state).expect("a state");
    let newest = state.newest().expect("whole").expect("one");
    let amended = &newest.swaps.amended;
    assert_eq!(amended.len(), 2, "{amended:?}");
    let recorded = |slot: u64| {
        let mut versions = newest.timeline.versions.iter().rev();
        let holds = versions.find(|(from, _)| *from <= slot);
        holds.expect("from the beginning on").1.clone()
    };
    let of = |slot: u64| {
        let mut last = amended.iter().rev();
        let queued = last.find(|it| it.from_secs <= slot && slot < it.until_secs);
        let is_retired = slot + 300 <= newest.timeline.retired_secs;
        queued
            .filter(|_| is_retired)
            .map_or_else(|| recorded(slot), |it| it.version.clone())
    };
    let slots: Vec<u64> = job.stores[0].content().slots.into_keys().collect();
    let mut input = world.input(job);
    let versions = slots.iter().map(|slot| (*slot, of(*slot)));
    input.versions = versions
        .map(|(slot, version)| (slot, sets[&version.hash].clone()))
        .collect();
    let expected = oracle::run(&input);
    for store in &job.stores {
        let compared = compare(&expected, store.content());
        let slot = store.seconds("slot");
        let mut named = BTreeMap::new();
        for row in store.query(&format!(
            "select distinct {slot}, table_version from rollup_5m"
        )) {
            let slot: u64 = row[0].parse().expect("a slot");
            assert_eq!(row[1], of(slot).number.to_string(), "slot {slot}");
            *named.entry(row[1].clone()).or_insert(0) += 1;
        }
        assert_eq!(named.len(), 3, "slots by version: {named:?}");
        println!("{}: {compared}; slots by version {named:?}", store.url());
    }
}
