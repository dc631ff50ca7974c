//! A topic that was deleted, and made anew under its name, while the job was stopped: refused before anything is written.
//!
//! Law 1: offsets must name the records that were read, and in the new topic they name others.

use flow_topic::{Options, Timestamps};

use crate::admin::Admin;
use crate::own::until;
use crate::servers::Servers;
use crate::store::Store;
use crate::world::World;
use crate::{generator, write};

const FLOWS: u64 = 40_000;

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

/// The one line that says why the program ends; others are the log's.
fn ending(said: &str) -> &str {
    let mut lines = said
        .lines()
        .filter(|line| line.starts_with("flow-pipeline: "));
    let line = lines.next().expect("a line");
    assert_eq!(lines.next(), None, "{said}");
    line
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
        let ran = world.run(&job, "1", more).output().expect("it runs");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(78), "{more:?}: {said}");
        let line = ending(&said);
        let place = format!("{}: partition ", world.url());
        for words in [&place, "is not the one this state has read: ", words] {
            assert!(line.contains(words), "{line}");
        }
        println!("{line}");
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
