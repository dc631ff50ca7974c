//! A process that writes checkpoints to an S3 server is killed at random moments: what it was told is durable is there, whole.

// Clippy takes only the functions marked as tests for tests, not their helpers; these tell what they skip.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use flow_state::Put;
use support::records::{Chance, checkpoint, name, records};

const PLACE: &str = "FLOW_PIPELINE_TEST_STATE";
const KILLS: u64 = 8;

/// What the process does that gets killed.
fn write_for_ever(place: &Path) -> ! {
    let state = flow_objects::open(place).unwrap();
    let attempt = u64::from(std::process::id());
    let mut out = std::io::stdout();
    loop {
        let number = state.next_number().unwrap();
        writeln!(out, "begun {number}").unwrap();
        let segment = name(number, attempt);
        state.write_segment(segment, &records(number)).unwrap();
        let mut next = checkpoint(number, attempt, &[]);
        let group = *next.complete.keys().next().unwrap();
        next.segments = [(segment, vec![group])].into();
        assert_eq!(state.put(&next).unwrap(), Put::Won);
        writeln!(out, "durable {number}").unwrap();
        state.delete_unlisted(&next, u64::MAX).unwrap();
    }
}

#[test]
fn nothing_durable_is_lost_by_kill_9() {
    // The process that gets killed is this very test, started with `PLACE` set.
    if let Some(place) = std::env::var_os(PLACE) {
        write_for_ever(Path::new(&place));
    }
    let Some(bucket) = support::bucket() else {
        return;
    };
    let place = support::place(&bucket);
    let seed = 0x5eed_0002;
    eprintln!("seed {seed:#x}");
    let mut chance = Chance(seed);
    let mut durable = 0;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "nothing_durable_is_lost_by_kill_9",
                "--nocapture",
            ])
            .env(PLACE, &place)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        // After so many lines: a checkpoint has begun, or is durable, and the writer is somewhere behind that.
        for _ in 0..chance.below(6) + 2 {
            let line = said.next().expect("the writer has ended").unwrap();
            durable = told(&line).unwrap_or(durable);
        }
        for _ in 0..chance.below(40_000) {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let rest = said.map_while(Result::ok);
        durable = rest
            .filter_map(|line| told(&line))
            .last()
            .unwrap_or(durable);

        let state = flow_objects::open(&place).unwrap();
        let newest = state.newest().unwrap().map_or(0, |newest| newest.number);
        assert!(newest >= durable, "round {round}: {newest} < {durable}");
        assert!(state.objects().list("damaged").unwrap().is_empty());
        if newest > 0 {
            let newest = state.checkpoint(newest).unwrap().unwrap();
            for name in newest.segments.keys() {
                let segment = state.read_segment::<[u64; 9]>(*name).unwrap();
                assert_eq!(segment.records(), records(name.number).concat());
            }
        }
        durable = newest;
    }
    eprintln!("{KILLS} kills, {durable} checkpoints");
    assert!(durable >= KILLS / 2);
}

fn told(line: &str) -> Option<u64> {
    line.strip_prefix("durable ")?.parse().ok()
}
