//! A job is told to end while its state cannot be written: it ends in time all the same, in one process and in several, says
//! why and from where the next start goes on, and that one has the oracle's rows.

use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use crate::flowing::{Stop, write_until};
use crate::own::{Disk, until};
use crate::processes::{self, Processes, Shape};
use crate::world::{JobFiles, World};

const DISK_MIB: u64 = 48;
/// Flows per second of simulated time.
const RATE: u64 = 50;
/// What the program promises, and some time for a machine that has other work.
const PROMISED: Duration = Duration::from_secs(25 + 10);
/// What a supervisor gives.
const SUPERVISOR: Duration = Duration::from_secs(60);
/// Exit codes: its state's disk is full, another process is lost.
const FULL: i32 = 74;
const LOST: i32 = 71;

#[test]
fn a_signal_while_the_disk_of_the_state_is_full() {
    let world = World::new("full-end");
    let Some((disk, job, seen)) = Disk::with_state(&world, "full-end", DISK_MIB) else {
        return;
    };
    drop(world.topic());
    let stop = AtomicBool::new(false);
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(&world, &stop, RATE));
        let ending = Stop(&stop);
        for (shape, told) in [((1, 2), 0), ((2, 1), 1), ((2, 1), 0)] {
            ends(&world, &disk, (&job, &seen), (shape, told));
        }
        drop(ending);
        writing.join().expect("it has written all")
    });
    let command = disk.command(&world.run(&job, "1", &["--until-end"]));
    let mut last = Processes::of(&world, vec![command]);
    assert!(last.end(SUPERVISOR)[0].success(), "{}", last.said(0));
    println!("{written} flows; {}", world.compare(&seen));
}

/// Starts the job, leaves no room, and tells one of its processes to end.
fn ends(
    world: &World,
    disk: &Disk,
    (job, seen): (&JobFiles, &JobFiles),
    (shape, told): (Shape, usize),
) {
    let files = processes::files(world, shape.0);
    let command = |process| processes::command(world, job, (shape, process), &files, &[]);
    let commands: Vec<Command> = (0..shape.0)
        .map(|process| disk.command(&command(process)))
        .collect();
    let before = world.newest(seen, "checkpoints");
    let mut all = Processes::of(world, commands);
    until("a checkpoint is there", || {
        world.newest(seen, "checkpoints") > before
    });
    disk.fill();
    let said = |all: &Processes| -> String { (0..shape.0).map(|p| all.said(p)).collect() };
    until("a write fails", || said(&all).contains("not written"));
    let durable = world.newest(seen, "checkpoints");
    all.signal(told, "-TERM");
    let begun = Instant::now();
    let ended = all.end(SUPERVISOR);
    let (took, said) = (begun.elapsed(), said(&all));
    assert!(took < PROMISED, "ended after {took:?}: {said}");
    assert!(said.contains("the end waits for the last"), "{said}");
    let codes: Vec<_> = ended.iter().filter_map(|status| status.code()).collect();
    assert_eq!(codes.len(), shape.0, "{ended:?}: {said}");
    let known = |code: &i32| *code == FULL || shape.0 > 1 && *code == LOST;
    assert!(codes.iter().all(known), "{codes:?}: {said}");
    assert!(codes.contains(&FULL), "{codes:?}: {said}");
    let begins = "flow-pipeline: the last checkpoint could not be written within";
    let line = said.lines().find(|line| line.starts_with(begins));
    let line = line.expect("a line that says why it ends");
    let state = job.state.to_string_lossy();
    for part in [&*state, "No space left", "nothing is lost"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let on = format!("the next start goes on from checkpoint {durable}");
    assert!(line.ends_with(&on), "{on}: {line}");
    println!("{shape:?}: {codes:?} after {took:?}: {line}");
    disk.empty();
}
