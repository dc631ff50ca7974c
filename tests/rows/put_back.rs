//! Older copies of databases are put back while the job writes them: it goes on from where they stand, and what it can
//! give them no more is named by `verify` and put right by `replay`.
//!
//! Oracle: that of the whole job. A store that nobody has touched stands beside them.

use crate::backup::Backup;
use crate::damage_table::GONE_BACK;
use crate::flowing::complete;
use crate::generator;
use crate::oracle::{self, Time};
use crate::own::{Live, until};
use crate::servers::Servers;
use crate::verified::{append, command, is_verified, ran_by, write_moved};
use crate::world::{self, World};

/// Flows of two hours and 24 minutes,
const FLOWS: u64 = 36_000;
/// in parts of 18 minutes.
const PARTS: u64 = 8;
/// The copies are made after so many of them, and put back after so many.
const SAVED: u64 = 2;
const PUT_BACK: u64 = 6;
const RUN: [&str; 2] = ["--slot-time", "end"];

#[test]
fn under_a_job_that_runs() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let world = World::new("put-back");
    let mut job = world.job("put-back");
    job.stores
        .extend([servers.postgres(""), servers.clickhouse("")]);
    let others = &job.stores[1..];
    let mut flows = generator(30_000, 71);
    let said = world.path("said");
    let mut run = world.run(&job, "2", &RUN);
    run.stderr(std::fs::File::create(&said).expect("a file"));
    let mut live = Live::start(&mut run);
    let mut copies = Vec::new();
    for part in 0..PARTS {
        let all: Vec<u64> = match part {
            0 => vec![0; job.stores.len()],
            _ => job.stores.iter().map(complete).collect(),
        };
        let part_flows = FLOWS / PARTS;
        write_moved(
            &world,
            &mut flows,
            part * part_flows..(part + 1) * part_flows,
        );
        if part == 0 {
            until("a checkpoint", || world.newest(&job, "checkpoints") > 0);
        }
        for (store, before) in job.stores.iter().zip(all) {
            until("slots complete", || complete(store) > before + 2);
        }
        if part + 1 == SAVED {
            copies = others.iter().map(Backup::of).collect();
        }
        if part + 1 == PUT_BACK {
            for (store, copy) in others.iter().zip(&copies) {
                copy.put_back(store, true);
            }
        }
    }
    assert!(live.runs());
    assert!(live.end().success());
    append(&world, (5 * 3_600, 5 * 3_600), 1_000);
    let ran = world.run(&job, "3", &[&RUN[..], &["--until-end"]].concat());
    let (code, _, ended) = ran_by(ran);
    assert_eq!(code, Some(0), "{ended}");
    let heard = std::fs::read_to_string(said).expect("text");

    let mut input = world.input(&job);
    input.config.slot_time = Time::End;
    let expected = oracle::run(&input);
    for store in &job.stores {
        let verb =
            |words: &[&str]| ran_by(command(&world, &job, std::slice::from_ref(store), words));
        let (code, lines, said) = verb(&["verify"]);
        let damaged = store.url() != job.stores[0].url();
        assert_eq!(code, Some(i32::from(damaged)), "{}: {said}", store.url());
        let sink = format!("\"{}\"", store.url());
        let notices = |line: &str| line.contains(GONE_BACK) && line.contains(&sink);
        assert_eq!(heard.lines().any(notices), damaged, "{sink}: {heard}");
        let (mended, _, said) = verb(&["replay", "--as-recorded", "--apply", "--json"]);
        assert_eq!(mended, Some(0), "{said}");
        is_verified(&world, &job, store);
        println!(
            "{}: {} differences; {}",
            store.url(),
            lines.len(),
            world::compare(&expected, store.content())
        );
    }
}
