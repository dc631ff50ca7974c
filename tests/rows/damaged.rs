//! A byte that a broker's disk has changed: seen, told, and no flow is made of it or lost behind it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::own::Own;
use crate::world::World;
use crate::{generator, write};

const FLOWS: u64 = 100_000;

/// Turns every bit of one byte, two thirds into a file.
fn turn(path: &Path) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("a log");
    let at = file.metadata().expect("a length").len() * 2 / 3;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("read");
    file.write_all_at(&[!byte[0]], at).expect("written");
}

#[test]
fn a_changed_byte_in_the_brokers_log_ends_the_job_before_it() {
    let Some((own, servers)) = Own::up(&["kafka"]) else {
        return;
    };
    let url = servers.topic("damaged");
    let (_, topic) = url.rsplit_once('/').expect("a URL");
    let log = own
        .files("kafka")
        .join(format!("data/{topic}-0/00000000000000000000.log"));
    let world = World::on("damaged", url.clone());
    write(&world, &mut generator(FLOWS, 31), FLOWS);
    let job = world.job("damaged");
    own.tell("stop", "kafka");
    turn(&log);
    own.tell("start", "kafka");
    for workers in ["1", "2"] {
        let ran = world.run(&job, workers, &["--until-end"]).output();
        let ran = ran.expect("it runs");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(74), "{said}");
        let line = said.lines().find(|line| line.contains("is damaged"));
        let line = line.expect("it names the record");
        assert!(line.contains("partition 0: record at offset"), "{line}");
        println!("{line}");
    }
    // The disk is mended, as by a replica: the job goes on.
    own.tell("stop", "kafka");
    turn(&log);
    own.tell("start", "kafka");
    world.run_to_end(&job, "1");
    println!("{}", world.compare(&job));
}
