//! Rows in SQLite are right: the program reads an embedded log, and the database equals, row by row, what the oracle
//! computes from the same log and the recorded timeline; the same from a real Kafka, in every store.
//!
//! The oracle shares no code with the program (prost, `BTreeMap`, a scan over the tables). Covered: 5 M mock flows with
//! late, early, implausible and poisoned ones on 1, 2 and 4 workers; every real capture; kill -9 on the way.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test tells what it compared and what it skipped"
)]

mod absent;
mod admin;
mod adopted;
mod against;
mod amended;
mod backup;
mod bombs;
mod cluster;
mod collecting;
mod customers;
mod damage_table;
mod damaged;
mod every_store;
mod flowing;
mod full_disk;
mod full_end;
mod full_state;
mod gaps;
mod gaps_on_kafka;
mod grown;
mod half_applied;
mod kills;
mod leaders;
mod looked_at;
mod memory;
mod namespace;
mod network;
mod on_s3;
#[path = "../../dataflow/tests/oracle/mod.rs"]
mod oracle;
mod outages;
mod own;
mod parity;
mod processes;
mod published;
mod put_back;
mod raw;
mod raw_content;
mod raw_replayed;
mod remade;
mod repaired;
mod replayed;
mod retabled;
mod retention;
mod rollups;
mod servers;
mod slow;
mod store;
mod swapped;
mod switch;
mod together;
mod verified;
mod world;

use std::process::Stdio;

use flow_ingest::mock::{AddressBlock, Disorder, Generator, Options, TopicWriter};
use flow_proto::Dialect;
use flow_tables::{DEMO_ASN_CSV, DEMO_OWN_ASNS};
use world::World;

/// 2023-11-14 22:15:00 UTC.
const BEGIN_NS: u64 = 1_700_000_100_000_000_000;

/// Mock flows of two hours, late, early, implausible and poisoned ones among them.
fn generator(flows: u64, seed: u64) -> Generator {
    let disorder = Disorder {
        late_ppm: 20_000,
        early_ppm: 10_000,
        implausible_ppm: 1_000,
        poisoned_ppm: 10_000,
    };
    disordered(flows, seed, disorder)
}

/// Mock flows of two hours, so many of them out of order.
fn disordered(flows: u64, seed: u64, disorder: Disorder) -> Generator {
    let blocks = AddressBlock::parse(DEMO_ASN_CSV, &DEMO_OWN_ASNS).expect("the demo's table");
    let options = Options {
        seed,
        exporters: 16,
        unknown_rate_exporters: 2,
        flows_per_second: flows / 7_200,
        from_ns: BEGIN_NS,
        disorder,
        ..Options::default()
    };
    Generator::new(options, &blocks)
}

/// Writes the next so many flows.
fn write(world: &World, generator: &mut Generator, flows: u64) {
    write_as(world, generator, flows, Dialect::default());
}

/// Writes the next so many flows in a dialect.
fn write_as(world: &World, generator: &mut Generator, flows: u64, dialect: Dialect) {
    let topic = world.topic();
    let mut writer = TopicWriter::open(topic.as_ref(), true, dialect).expect("a writer");
    for _ in 0..flows {
        let flow = generator.next().expect("without end");
        writer.write(&flow, generator.now_ns()).expect("written");
    }
    let written = writer.finish(generator.now_ns()).expect("durable");
    assert_eq!(written.flows, flows);
}

#[test]
fn five_million_mock_flows_on_one_two_and_four_workers() {
    let world = World::new("mock");
    write(&world, &mut generator(5_000_000, 7), 5_000_000);
    let mut checked = None;
    for workers in ["1", "2", "4"] {
        let job = world.job(workers);
        let status = world
            .run(&job, workers, &["--until-end"])
            .status()
            .expect("it runs");
        assert!(status.success(), "{workers} workers: {status}");
        let compared = world.compare(&job);
        println!("{workers} workers: {compared}");
        assert!(compared.rows > 10_000, "{compared}");
        checked = Some(compared);
    }
    let refused = checked.expect("three runs").refused;
    assert!(refused > 0, "late and implausible flows are refused");
}

#[test]
fn killed_at_any_moment_and_started_with_other_workers() {
    let world = World::new("kill");
    let mut flows = generator(1_200_000, 11);
    let job = world.job("killed");
    let rounds = 12;
    for round in 0..rounds {
        // Ten more minutes of flows: slots complete, and a checkpoint is written.
        write(&world, &mut flows, 100_000);
        let workers = ["1", "3", "2", "4"][round % 4];
        let mut child = world
            .run(&job, workers, &[])
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        // Killed after an amount of work, not of time: when a new segment is there (its checkpoint is not, or just),
        // or when a new checkpoint is.
        let done = |world: &World| match round % 2 {
            0 => world.newest(&job, "segments"),
            _ => world.newest(&job, "checkpoints"),
        };
        let before = done(&world);
        while done(&world) == before {
            assert!(
                child.try_wait().expect("a child").is_none(),
                "it ended by itself"
            );
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    let status = world
        .run(&job, "2", &["--until-end"])
        .status()
        .expect("it runs");
    assert!(status.success(), "{status}");
    println!("killed {rounds} times: {}", world.compare(&job));
}

#[test]
fn every_real_capture() {
    let Some(files) = world::captures() else {
        eprintln!("SKIPPED: ../shared/captures is not here");
        return;
    };
    let world = World::new("captures");
    let flows = world.fill_from_captures(&files, BEGIN_NS / 1_000_000);
    assert!(flows > 3_000, "{flows} flows of all captures");
    let job = world.job("captures");
    let status = world
        .run(&job, "2", &["--until-end"])
        .status()
        .expect("it runs");
    assert!(status.success(), "{status}");
    println!(
        "{flows} flows of {} files: {}",
        files.len(),
        world.compare(&job)
    );
}
