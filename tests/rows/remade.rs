//! A topic that was deleted, and made anew under its name: of a job that was stopped nothing is written, one that runs ends.
//!
//! Law 1: offsets must name the records that were read, and in the new topic they name others.

use std::fs::File;
use std::time::Duration;

use flow_topic::{Options, Timestamps};

use crate::admin::Admin;
use crate::own::{Live, until};
use crate::servers::Servers;
use crate::store::Store;
use crate::world::{JobFiles, World};
use crate::{generator, write};

const FLOWS: u64 = 40_000;
/// Longest wait for a job that has to end.
const LIMIT: Duration = Duration::from_secs(120);

/// Another topic of the same name, which has no records.
fn make_anew(world: &World) {
    Admin::of(world.url()).delete();
    // The brokers forget a topic when they come to it, and its name is free then.
    until("the topic is made anew", || {
        let options = Options {
            timestamps: Timestamps::Create,
            ..Options::default()
        };
        flow_topic::create(world.url(), options).is_ok()
    });
}

/// The one line that says why the program ends, before one that says what to do; others are the log's.
fn ending(said: &str) -> &str {
    let hint = "to begin with the new topic give --state a new place";
    assert!(said.contains(hint), "{said}");
    let mut lines = said
        .lines()
        .filter(|line| line.starts_with("flow-pipeline: "));
    let line = lines.next().expect("a line");
    assert_eq!(lines.next(), None, "{said}");
    line
}

/// A start says so, and ends with the code for what a person has to decide.
fn is_refused(world: &World, job: &JobFiles, more: &[&str], words: &str) {
    let ran = world.run(job, "1", more).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(78), "{more:?}: {said}");
    let line = ending(&said);
    let place = format!("{}: partition ", world.url());
    for words in [&place, "is not the one this state has read: ", words] {
        assert!(line.contains(words), "{line}");
    }
    println!("{line}");
}

/// Runs a job whose topic is made anew with so many other flows, and is told by these words.
fn refused(name: &str, flows: u64, words: &str) {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let world = World::on(name, servers.topic(name));
    write(&world, &mut generator(144_000, 41), FLOWS);
    let mut job = world.job(name);
    job.stores.push(servers.postgres(""));
    job.stores.push(servers.clickhouse(""));
    world.run_to_end(&job, "2");
    println!("{}", world.compare(&job));
    let held = |stores: &[Store]| {
        let of = |store: &Store| (store.content(), store.raw_sums());
        stores.iter().map(of).collect::<Vec<_>>()
    };
    let (before, number) = (held(&job.stores), world.newest(&job, "checkpoints"));

    make_anew(&world);
    write(&world, &mut generator(144_000, 43), flows);
    // With leave for a gap, too: it is none.
    for more in [&["--until-end"][..], &["--until-end", "--accept-gap"], &[]] {
        is_refused(&world, &job, more, words);
    }
    assert!(held(&job.stores) == before, "nothing was written");
    assert_eq!(world.newest(&job, "checkpoints"), number);
}

#[test]
fn a_topic_made_anew_that_is_shorter_is_refused() {
    refused("remade-shorter", FLOWS / 4, "it ends at offset ");
}

#[test]
fn a_topic_made_anew_that_is_longer_is_refused() {
    refused("remade-longer", 2 * FLOWS, "the record at offset ");
}

/// A job reads on while its topic is made anew with so many other flows, awake or stopped so that it sees nothing of it.
fn ends(name: &str, asleep: bool, flows: u64, words: &str) {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let world = World::on(name, servers.topic(name));
    write(&world, &mut generator(144_000, 41), FLOWS);
    let job = world.job(name);
    let told = world.path("told");
    let file = File::create(&told).expect("a file");
    let live = Live::start(world.run(&job, "2", &[]).stderr(file));
    until("a checkpoint", || world.newest(&job, "checkpoints") > 0);
    if asleep {
        live.signal("STOP");
    }
    make_anew(&world);
    write(&world, &mut generator(144_000, 43), flows);
    if asleep {
        // A reader that has missed no look at the topic suspects nothing.
        std::thread::sleep(Duration::from_secs(2));
        live.signal("CONT");
    }
    let status = live.ended(LIMIT).expect("it goes on");
    let said = std::fs::read_to_string(&told).expect("text");
    assert_eq!(status.code(), Some(78), "{said}");
    let line = ending(&said);
    assert!(line.contains("is not the one that was read: "), "{said}");
    println!("{line}");
    // The state is still that of the topic that is gone.
    is_refused(&world, &job, &["--until-end"], words);
    let slots = job.stores[0].content().slots;
    let counts = slots.values().map(|(_, slot)| slot);
    let known: u64 = counts
        .map(|slot| slot.flows + slot.too_early + slot.too_late + slot.implausible)
        .sum();
    assert!(known <= FLOWS, "{known} flows of {FLOWS}");
}

#[test]
fn a_job_that_runs_ends_when_its_topic_is_made_anew() {
    ends("remade-awake", false, FLOWS / 4, "it ends at offset ");
}

#[test]
fn a_job_that_slept_while_its_topic_was_made_anew_and_grew_ends() {
    ends("remade-asleep", true, 2 * FLOWS, "the record at offset ");
}
