//! A process that writes checkpoints is killed at random moments: what it was told is durable is there, whole.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use flow_state::{Put, StateStore};
use support::{Chance, checkpoint, name, records};

const FOLDER: &str = "FLOW_PIPELINE_TEST_STATE";
const KILLS: u64 = 20;

/// What the process does that gets killed.
fn write_for_ever(folder: &Path) -> ! {
    let state = StateStore::open(folder).unwrap();
    let attempt = u64::from(std::process::id());
    let mut listed = state.newest().unwrap().map_or(vec![], |c| segments(&c));
    loop {
        let number = state.next_number().unwrap();
        state
            .write_segment(name(number, attempt), &records(number))
            .unwrap();
        listed.push((number, attempt));
        // The two newest segments stay listed, so that deletion has something to do each time.
        listed = listed.split_off(listed.len().saturating_sub(2));
        let mut next = checkpoint(number, attempt, &[]);
        let group = *next.complete.keys().next().unwrap();
        next.segments = listed
            .iter()
            .map(|(n, a)| (name(*n, *a), vec![group]))
            .collect();
        assert_eq!(state.put(&next).unwrap(), Put::Won);
        let mut out = std::io::stdout();
        writeln!(out, "durable {number}").unwrap();
        out.flush().unwrap();
        state.delete_unlisted(&next, u64::MAX).unwrap();
    }
}

fn segments(checkpoint: &flow_state::Checkpoint) -> Vec<(u64, u64)> {
    checkpoint
        .segments
        .keys()
        .map(|name| (name.number, name.attempt))
        .collect()
}

#[test]
fn nothing_durable_is_lost_by_kill_9() {
    // The process that gets killed is this very test, started with `FOLDER` set.
    if let Some(folder) = std::env::var_os(FOLDER) {
        write_for_ever(Path::new(&folder));
    }
    let seed = 0x5eed_0001;
    eprintln!("seed {seed:#x}");
    let mut chance = Chance(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut durable = 0;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "nothing_durable_is_lost_by_kill_9",
                "--nocapture",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, told) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(number) = line.strip_prefix("durable ") {
                    tell.send(number.parse::<u64>().unwrap()).unwrap();
                }
            }
        });
        for _ in 0..chance.below(12) + 1 {
            let number = told
                .recv_timeout(Duration::from_secs(60))
                .expect("the writer has ended");
            assert!(number > durable, "number {number} was used before");
            durable = number;
        }
        // Somewhere between this checkpoint and the next ones: nothing to wait for, so a moment by the clock.
        if let Ok(number) = told.recv_timeout(Duration::from_micros(chance.below(3000))) {
            durable = number;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap();
        durable = told.try_iter().last().unwrap_or(durable);

        let state = StateStore::open(folder.path()).expect("the lock goes with the process");
        let newest = state.newest().unwrap().unwrap();
        assert!(
            newest.number >= durable,
            "round {round}: {} < {durable}",
            newest.number
        );
        assert_eq!(
            std::fs::read_dir(folder.path().join("damaged"))
                .unwrap()
                .count(),
            0
        );
        assert!(!newest.segments.is_empty());
        for name in newest.segments.keys() {
            let segment = state.read_segment::<[u64; 9]>(*name).unwrap();
            assert_eq!(segment.records(), records(name.number).concat());
        }
        durable = newest.number;
    }
    eprintln!("{KILLS} kills, {durable} checkpoints");
    assert!(durable >= KILLS);
    // Bounded: what is left is what two checkpoints list, and what the last attempts left unfinished.
    let files = std::fs::read_dir(folder.path().join("segments"))
        .unwrap()
        .count();
    assert!(files < 12, "{files} segments are left");
}
