//! `verify` and `replay` by several processes: what they find is what one finds, and none is left behind.
//!
//! Oracle: the same command in one process.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::own::until;
use crate::processes::{Processes, files};
use crate::verified::{command, made, ran_by};
use crate::world::{JobFiles, World};

/// Ends within this.
const SOON: Duration = Duration::from_secs(60);

fn each(world: &World, job: &JobFiles, processes: usize, verb: &[&str]) -> Vec<Command> {
    let [hosts, token] = files(world, processes);
    let one = |process: usize| {
        let mut command = command(world, job, &job.stores, verb);
        let (processes, process) = (processes.to_string(), process.to_string());
        command.args(["--processes", &processes, "--process", &process]);
        command.args(["--hosts", &hosts, "--token-file", &token]);
        command
    };
    (0..processes).map(one).collect()
}

/// What process 0 prints; all of them end well.
fn together(
    world: &World,
    job: &JobFiles,
    processes: usize,
    verb: &[&str],
) -> (Option<i32>, Vec<Value>, String) {
    let mut all = each(world, job, processes, verb);
    let others = Processes::of(world, all.split_off(1));
    let printed = ran_by(all.remove(0));
    let mut others = others;
    for status in others.end(SOON) {
        assert_eq!(status.code(), Some(0), "{}", others.said(0));
    }
    printed
}

#[test]
fn several_processes_find_what_one_finds() {
    let (world, job) = made("together", Vec::new());
    let all = ["replay", "--json", "--largest", "1000000", "-w", "2"];
    let (_, one, said) = ran_by(command(&world, &job, &job.stores, &all));
    assert!(one.len() > 20, "{said}");
    for processes in [2, 3] {
        let (code, lines, said) = together(&world, &job, processes, &all);
        assert_eq!(code, Some(0), "{said}");
        assert!(lines == one, "{} lines of {}", lines.len(), one.len());
    }
    let (code, lines, said) = together(&world, &job, 2, &["verify"]);
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}");
    // Several parts of the range, each computed by all of them.
    let (code, lines, said) = together(
        &world,
        &job,
        2,
        &["replay", "--repair", "--apply", "--json"],
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(lines.len() > 20);
    let (code, lines, said) = together(&world, &job, 2, &["verify", "-w", "3"]);
    assert_eq!((code, lines.len()), (Some(0), 0), "{said}");
}

#[test]
fn a_process_that_is_lost_ends_the_others() {
    let (world, job) = made("together-lost", Vec::new());
    for victim in [0, 1] {
        let scratch = world.path(&format!("scratch-{victim}"));
        std::fs::create_dir(&scratch).expect("made");
        let place = scratch.to_string_lossy().into_owned();
        // Slow enough to be met.
        let slow = ["verify", "--throttle", "256KiB", "--scratch", &place];
        let mut all = each(&world, &job, 2, &slow);
        all.iter_mut().for_each(|command| {
            command.stdout(Stdio::null());
        });
        let running = Processes::of(&world, all);
        until("they compute", || {
            let made = std::fs::read_dir(&scratch).expect("a folder").flatten();
            made.into_iter()
                .any(|entry| entry.path().join("state").exists())
        });
        running.lose(victim);
    }
}
