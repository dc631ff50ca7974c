//! `replay --apply`: a slot is replaced as a whole, whatever interrupts it, and the job goes on beside it and after it.
//!
//! Oracles: the store as it was before it was damaged, the counts of refused flows, and that of the whole job.

use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use crate::flowing::{Stop, complete, write_until};
use crate::own::{Live, until};
use crate::servers::Servers;
use crate::store::{Content, Store};
use crate::verified::{BEGIN_SECS, command, is_verified, made, ran_by, refused, slot, spoil};
use crate::world::{JobFiles, World};

const APPLY: [&str; 3] = ["replay", "--apply", "--json"];
const MEND: [&str; 4] = ["replay", "--as-recorded", "--apply", "--json"];
/// Slots that are damaged and mended.
const SLOTS: u64 = 12;

/// Every store there is.
fn stores() -> Vec<Store> {
    let servers = Servers::shared();
    servers.map_or_else(Vec::new, |servers| {
        vec![servers.postgres(""), servers.clickhouse("")]
    })
}

fn one(world: &World, job: &JobFiles, store: &Store, verb: &[&str]) -> Vec<serde_json::Value> {
    let (code, lines, said) = ran_by(command(world, job, std::slice::from_ref(store), verb));
    assert_eq!(code, Some(0), "{said}");
    lines
}

#[test]
fn what_was_refused_counts_from_then_on_and_the_job_leaves_it_so() {
    let (world, job) = made("replayed", stores());
    let mut was = Vec::new();
    for store in &job.stores {
        let (before, gained) = (store.content(), refused(store));
        one(&world, &job, store, &APPLY);
        let after = store.content();
        let mut replaced = 0;
        for (at, (state, counts)) in &before.slots {
            let (_, now) = after.slots[at];
            if state == "retired" && gained.contains_key(at) {
                assert_eq!(now.flows, counts.flows + gained[at], "slot {at}");
                assert_eq!((now.too_early, now.too_late), (0, 0), "slot {at}");
                assert_eq!(now.implausible, counts.implausible, "slot {at}");
                replaced += 1;
            } else {
                assert_eq!(now, *counts, "slot {at} is {state}");
            }
        }
        assert!(replaced > 20, "{replaced}");
        // Again it finds those alone that the job still owns.
        for line in one(&world, &job, store, &APPLY) {
            assert_ne!(after.slots[&slot(&line)].0, "retired", "{line}");
        }
        assert!(store.content() == after);
        is_verified(&world, &job, store);
        was.push(after);
    }
    // More than a day of silence, then flows: every slot retires, counts are forgotten.
    let more = ["--until-end", "--slot-time", "end"];
    crate::verified::append(&world, (40 * 3_600, 40 * 3_600), 2_000);
    let (code, _, said) = ran_by(world.run(&job, "2", &more));
    assert_eq!(code, Some(0), "{said}");
    for (store, was) in job.stores.iter().zip(&was) {
        let now = store.content();
        let replaced = was
            .slots
            .iter()
            .filter(|(_, (state, _))| state == "retired");
        for (at, slot) in replaced {
            assert_eq!(now.slots[at], *slot, "slot {at}");
        }
        is_verified(&world, &job, store);
        one(&world, &job, store, &APPLY);
        is_verified(&world, &job, store);
    }
}

/// Changes every row of the slots that are mended.
fn damage(store: &Store) {
    let until = BEGIN_SECS + 300 * SLOTS;
    let sql = match store {
        Store::Sqlite(_) => format!(
            "UPDATE rollup_5m SET bytes = bytes + 1 WHERE slot < {until} AND slot >= {BEGIN_SECS}"
        ),
        Store::Postgres(_) => format!(
            "UPDATE rollup_5m SET bytes = bytes + 1 WHERE slot < to_timestamp({until}) AND slot >= to_timestamp({BEGIN_SECS})"
        ),
        Store::ClickHouse(..) => format!(
            "ALTER TABLE rollup_5m_rows UPDATE bytes = bytes + 1 WHERE slot < fromUnixTimestamp({until}) \
             AND slot >= fromUnixTimestamp({BEGIN_SECS}) SETTINGS mutations_sync = 2"
        ),
    };
    spoil(store, &sql);
}

/// Slots of which every row is the first store's, slots of which every row is the second's; any other is a mixture.
fn whole(now: &Content, right: &Content, wrong: &Content) -> (usize, usize) {
    let (mut mended, mut damaged) = (0, 0);
    for at in (0..SLOTS).map(|n| BEGIN_SECS + 300 * n) {
        let rows = |content: &Content| {
            let rows = content
                .rows
                .iter()
                .filter(|((rollup, slot, _), _)| (*rollup, *slot) == (0, at));
            rows.map(|(key, sums)| (*key, *sums)).collect::<Vec<_>>()
        };
        match rows(now) {
            found if found == rows(right) => mended += 1,
            found if found == rows(wrong) => damaged += 1,
            _ => panic!("slot {at} holds rows of both"),
        }
    }
    (mended, damaged)
}

fn killed_at_any_moment(name: &str, stores: Vec<Store>, kills: u64) {
    let (world, job) = made(name, stores);
    let store = job.stores.last().expect("one at least");
    let right = store.content();
    let mut in_between = 0;
    for round in 0..kills {
        damage(store);
        let wrong = store.content();
        let recorded = || world.files(&job, "replaced");
        let before = recorded();
        // After so many slots were recorded, the last of which is being written or was.
        let wanted = before + round * 7 % SLOTS;
        let mut command = command(&world, &job, std::slice::from_ref(store), &MEND);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        while child.try_wait().expect("a child").is_none() && recorded() <= wanted {
            thread::yield_now();
        }
        thread::sleep(Duration::from_micros(round * 977 % 6_000));
        child.kill().expect("killed, or over");
        child.wait().expect("it is gone");
        if !matches!(store, Store::ClickHouse(..)) {
            let (mended, damaged) = whole(&store.content(), &right, &wrong);
            in_between += u64::from(mended > 0 && damaged > 0);
        }
        one(&world, &job, store, &MEND);
        assert!(store.content() == right, "round {round}");
    }
    is_verified(&world, &job, store);
    println!(
        "{}: {kills} kills, {in_between} between two slots",
        store.url()
    );
}

#[test]
fn killed_at_any_moment_over_sqlite() {
    killed_at_any_moment("replay-sqlite", Vec::new(), 24);
}

#[test]
fn killed_at_any_moment_over_postgresql() {
    if let Some(servers) = Servers::shared() {
        killed_at_any_moment("replay-postgres", vec![servers.postgres("")], 14);
    }
}

#[test]
fn killed_at_any_moment_over_clickhouse() {
    if let Some(servers) = Servers::shared() {
        killed_at_any_moment("replay-clickhouse", vec![servers.clickhouse("")], 14);
    }
}

/// Number of retired slots.
pub(crate) fn retired(store: &Store) -> u64 {
    let sql = "select count(*) from slots where rollup = 'rollup_5m' and state = 'retired'";
    store.query(sql)[0][0].parse().expect("a number")
}

#[test]
fn a_job_on_a_broker_and_a_replay_beside_it() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let world = World::on("replay-beside", servers.topic("replay-beside"));
    let mut job = world.job("replay-beside");
    job.stores
        .extend([servers.postgres(""), servers.clickhouse("")]);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopping = Stop(&stop);
        scope.spawn(|| write_until(&world, &stop, 200));
        let live = Live::start(&mut world.run(&job, "2", &[]));
        until("a checkpoint", || world.newest(&job, "checkpoints") > 0);
        for store in &job.stores {
            until("slots are retired", || retired(store) > 4);
            let before = complete(store);
            let five = format!("{}", BEGIN_SECS + 300);
            let place = match store {
                Store::Sqlite(_) => format!("slot = {five}"),
                Store::Postgres(_) => format!("slot = to_timestamp({five})"),
                Store::ClickHouse(..) => format!("slot = fromUnixTimestamp({five})"),
            };
            let sql = match store {
                Store::ClickHouse(..) => format!(
                    "ALTER TABLE rollup_5m_rows DELETE WHERE {place} SETTINGS mutations_sync = 2"
                ),
                _ => format!("DELETE FROM rollup_5m WHERE {place}"),
            };
            spoil(store, &sql);
            let lines = one(&world, &job, store, &MEND);
            let of_slot = lines.iter().filter(|line| slot(line) == BEGIN_SECS + 300);
            assert_eq!(of_slot.count(), 1, "{lines:?}");
            assert_eq!(lines.len(), 1, "nothing else differs: {lines:?}");
            until("the job goes on", || complete(store) > before);
        }
        drop(stopping);
        assert!(live.end().success());
    });
    world.run_to_end(&job, "3");
    println!("{}", world.compare(&job));
    for store in &job.stores {
        assert!(
            store.content() == job.stores[0].content(),
            "{}",
            store.url()
        );
        is_verified(&world, &job, store);
    }
}
