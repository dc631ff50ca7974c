//! Tables swapped while the job runs in one process or several, killed right before, during and after the announcement.
//!
//! Oracle: the rows of every slot by the tables of the version that the timeline names for it; each row has to name that one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use flow_state::table_hash;
use flow_tables::{DEMO_ASN_CSV, DEMO_COUNTRY_CSV, Kind, Source, TableSet};

use crate::own::until;
use crate::processes::Processes;
use crate::verified::{is_verified, ran_by};
use crate::world::{JobFiles, World, compare};
use crate::{generator, oracle, write};

/// When a job dies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// A request is put.
    Asked,
    /// The job says that the tables are in force from a slot on.
    Announced,
    /// A checkpoint says so.
    Recorded,
}

/// The demo's tables with some of its own AS numbers moved, each time to others.
pub(crate) fn other(round: u32) -> String {
    let moved = |asn: u32| (asn.to_string(), (asn + 500 + 10 * round).to_string());
    let mut text = DEMO_ASN_CSV.to_owned();
    for asn in [64497, 64499] {
        let (from, to) = moved(asn);
        text = text.replace(&from, &to);
    }
    assert_ne!(text, DEMO_ASN_CSV);
    text
}

/// The hash under which such tables are archived, and what the oracle makes of them.
pub(crate) fn known(asn: &str) -> (String, oracle::Tables) {
    let sources = [
        (Kind::Asn, Source::Text("asn", asn.as_bytes())),
        (
            Kind::Country,
            Source::Text("country", DEMO_COUNTRY_CSV.as_bytes()),
        ),
    ];
    let (set, _) = TableSet::load_sources(&sources).expect("good tables");
    let plain = oracle::Tables::from_csv(Some(asn), Some(DEMO_COUNTRY_CSV));
    (table_hash(&set.archive()), plain)
}

/// `tables swap`, not waiting for the job.
pub(crate) fn swap(job: &JobFiles, more: &[impl AsRef<std::ffi::OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
    command
        .args(["tables", "swap", "--timeout", "1ms"])
        .args(more);
    command.arg("--state").arg(&job.state);
    command
}

/// Runs it; a job may take it up at once, or later.
pub(crate) fn asked(mut command: Command) {
    let out = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(matches!(out.status.code(), Some(0 | 69)), "{said}");
}

/// Asks for a table; the number of the request.
fn ask(job: &JobFiles, table: &Path) -> u64 {
    let asn = format!("asn={}", table.display());
    asked(swap(job, &["--max-address-change", "100", "--table", &asn]));
    let state = flow_objects::join(&job.state).expect("a state");
    state
        .swap_requests()
        .expect("listed")
        .last()
        .copied()
        .expect("one")
}

pub(crate) fn decided(job: &JobFiles) -> u64 {
    let state = flow_objects::join(&job.state).expect("a state");
    let newest = state.newest().expect("whole");
    newest.map_or(0, |newest| newest.swaps.decided)
}

/// Waits for a moment; the job may be through before it comes.
pub(crate) fn wait(job: &JobFiles, all: &mut Processes, (moment, request): (Moment, u64)) {
    let begun = Instant::now();
    while all.ended().is_empty() && begun.elapsed() < Duration::from_secs(60) {
        let there = match moment {
            Moment::Asked => true,
            Moment::Announced => all.said(0).contains("tables are swapped"),
            Moment::Recorded => decided(job) >= request,
        };
        if there {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{moment:?} never comes: {}", all.said(0));
}

#[test]
fn swaps_are_one_event_whoever_dies() {
    let world = World::new("swapped").talkative();
    let mut flows = generator(1_000_000, 71);
    let job = world.job("swapped");
    write(&world, &mut flows, 60_000);
    world.run_to_end(&job, "1");
    let mut sets: BTreeMap<String, oracle::Tables> = BTreeMap::from([known(DEMO_ASN_CSV)]);
    let shapes = [(1, 2), (2, 1), (1, 4), (2, 2)];
    let moments = [Moment::Asked, Moment::Announced, Moment::Recorded];
    for (round, moment) in (1..=9_u32).zip(moments.into_iter().cycle()) {
        let asn = other(round);
        let file = world.path(&format!("asn-{round}.csv"));
        std::fs::write(&file, &asn).expect("a table");
        sets.extend([known(&asn)]);
        let shape = shapes[round as usize % shapes.len()];
        let before = world.newest(&job, "checkpoints");
        let mut all = Processes::start(&world, &job, shape, &[]);
        write(&world, &mut flows, 60_000);
        if round % 2 == 0 {
            until("it goes on", || world.newest(&job, "checkpoints") > before);
        }
        let request = ask(&job, &file);
        wait(&job, &mut all, (moment, request));
        all.lose(round as usize % shape.0);
        println!("round {round}, {shape:?}: lost when {moment:?}");
    }
    write(&world, &mut flows, 60_000);
    for workers in ["3", "1"] {
        // What was asked last may be taken up only now.
        let last = *flow_objects::join(&job.state)
            .expect("a state")
            .swap_requests()
            .expect("listed")
            .last()
            .expect("nine");
        let mut all = Processes::start(&world, &job, (1, workers.parse().expect("small")), &[]);
        wait(&job, &mut all, (Moment::Recorded, last));
        all.lose(0);
    }
    write(&world, &mut flows, 100_000);
    world.run_to_end(&job, "2");
    equal(&world, &job, &sets);
    is_verified(&world, &job, &job.stores[0]);
}

/// Rows by the versions of the timeline, and the version that each names.
fn equal(world: &World, job: &JobFiles, sets: &BTreeMap<String, oracle::Tables>) {
    let state = flow_objects::join(&job.state).expect("a state");
    let timeline = state.newest().expect("whole").expect("one").timeline;
    let versions = timeline.versions.iter();
    let mut input = world.input(job);
    input.versions = versions
        .map(|(from, version)| (*from, sets[&version.hash].clone()))
        .collect();
    let compared = compare(&oracle::run(&input), job.stores[0].content());
    let sql = "select distinct slot, table_version from rollup_5m order by 1, 2";
    let named = job.stores[0].query(sql);
    let mut of_slot = BTreeMap::new();
    for row in &named {
        let slot: u64 = row[0].parse().expect("a slot");
        let holds = timeline
            .versions
            .iter()
            .rev()
            .find(|(from, _)| *from <= slot);
        let number = holds.expect("from the beginning on").1.number;
        assert_eq!(row[1], number.to_string(), "slot {slot}");
        assert!(
            of_slot.insert(slot, number).is_none(),
            "two versions in slot {slot}"
        );
    }
    let mut in_rows: Vec<u32> = of_slot.into_values().collect();
    in_rows.dedup();
    assert!(in_rows.len() > 3, "versions in rows: {in_rows:?}");
    println!(
        "{compared}; versions of the timeline {}, in rows {in_rows:?}",
        timeline.versions.len()
    );
    let list = ["tables", "list", "--json", "--state"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
    command.args(list).arg(&job.state);
    let (code, lines, said) = ran_by(command);
    assert_eq!(code, Some(0), "{said}");
    let listed = lines.iter().filter(|line| line["version"].is_u64()).count();
    assert_eq!(listed, timeline.versions.len());
}
