//! kill -9 at random moments: what was acknowledged is there, nothing torn is seen, the next writer goes on.
//!
//! The writer is this test binary run again as a child; its oracle is arithmetic: a record's bytes follow from
//! its partition and offset.

// Helpers of tests may panic, as tests do; the child's output is its report.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flow_topic::{EmbeddedTopic, NewRecord, Options, Topic, TopicError};

const PARTITIONS: u32 = 3;
const TOPIC_VARIABLE: &str = "FLOW_TOPIC_CRASH_TEST_TOPIC";

/// A small generator: tests print its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// What record `offset` of `partition` holds.
fn payload(partition: u32, offset: u64) -> Vec<u8> {
    let mut random = Random(offset << 8 | u64::from(partition));
    let length = random.below(if offset.is_multiple_of(50) {
        300_000
    } else {
        3_000
    });
    (0..length).map(|_| random.below(256) as u8).collect()
}

fn open(path: &Path) -> EmbeddedTopic {
    let options = Options {
        partitions: PARTITIONS,
        segment_bytes: 400_000,
        ..Options::default()
    };
    EmbeddedTopic::open_or_create(path, options, flow_topic::Context::default()).unwrap()
}

/// Not a test of its own: the process that is killed. Appends for ever and says what is acknowledged.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(path) = std::env::var(TOPIC_VARIABLE) else {
        return;
    };
    let topic = open(Path::new(&path));
    let mut next: Vec<u64> = Vec::new();
    let mut writer = topic.writer().unwrap();
    for partition in 0..PARTITIONS {
        next.push(topic.bounds(partition).unwrap().end);
    }
    let mut random = Random(next.iter().sum());
    loop {
        for _ in 0..random.below(20) + 1 {
            let partition = random.below(u64::from(PARTITIONS)) as u32;
            let offset = &mut next[partition as usize];
            let name = offset.to_string();
            let headers: &[(&str, &[u8])] = &[("offset", name.as_bytes())];
            let payload = payload(partition, *offset);
            let record = NewRecord {
                timestamp_millis: 0,
                headers,
                payload: &payload,
            };
            writer.append(partition, record).unwrap();
            *offset += 1;
        }
        writer.flush().unwrap();
        let ends: Vec<String> = next.iter().map(u64::to_string).collect();
        println!("ends {}", ends.join(" "));
        std::io::stdout().flush().unwrap();
    }
}

fn start_child(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_that_writes_until_it_is_killed",
            "--nocapture",
        ])
        .env(TOPIC_VARIABLE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Offsets after the last acknowledged record, from one line of the child.
fn acknowledged(line: &str) -> Option<Vec<u64>> {
    let ends = line.trim().split_once("ends ")?.1;
    let ends: Vec<u64> = ends.split(' ').filter_map(|end| end.parse().ok()).collect();
    (ends.len() == PARTITIONS as usize).then_some(ends)
}

/// Reads everything from `from` on, comparing; returns the offset after it.
fn read_on(topic: &EmbeddedTopic, partition: u32, from: u64) -> u64 {
    let mut reader = topic.reader(partition, from).unwrap();
    while let Some(record) = reader.peek().unwrap() {
        let offset = record.offset;
        assert_eq!(
            record.payload,
            payload(partition, offset),
            "{partition}/{offset}"
        );
        assert_eq!(
            record.headers.get("offset"),
            Some(offset.to_string().as_bytes())
        );
        reader.advance();
    }
    reader.position()
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let seed = u64::from(std::process::id());
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows");
    let topic = open(&path);
    let mut last = vec![0; PARTITIONS as usize];
    let begun = Instant::now();
    let mut kills = 0;
    while kills < 20 && begun.elapsed() < Duration::from_secs(15) {
        let mut child = start_child(&path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut wanted = random.below(12) + 1;
        while wanted > 0 {
            let line = lines.next().expect("the child ended by itself").unwrap();
            if let Some(ends) = acknowledged(&line) {
                last = ends;
                wanted -= 1;
            }
        }
        // Somewhere in the next writes and syncs, which take some milliseconds.
        let moment = Instant::now() + Duration::from_micros(random.below(8_000));
        while Instant::now() < moment {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        for line in lines.map_while(Result::ok) {
            last = acknowledged(&line).unwrap_or(last);
        }
        for partition in 0..PARTITIONS {
            // What is published before anybody repairs anything, and after a writer has opened the topic.
            let seen = read_on(&topic, partition, 0);
            let wanted = last[partition as usize];
            assert!(
                seen >= wanted,
                "{partition}: {seen} of {wanted} acknowledged, seed {seed}"
            );
        }
        drop(topic.writer().unwrap());
        for partition in 0..PARTITIONS {
            assert!(read_on(&topic, partition, 0) >= last[partition as usize]);
        }
    }
    eprintln!("{kills} kills, ends {last:?}, {:?}", begun.elapsed());
    assert!(kills >= 5, "too slow to mean anything: {kills} kills");
}

#[test]
fn another_process_sees_a_growing_prefix_and_no_second_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows");
    let topic = open(&path);
    let mut child = start_child(&path);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ends: BTreeMap<u32, u64> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
    let mut grown = 0;
    let told = lines
        .map_while(Result::ok)
        .filter_map(|line| acknowledged(&line));
    for acknowledged in told.take(40) {
        for (partition, end) in &mut ends {
            let seen = read_on(&topic, *partition, *end);
            // The child may be ahead of its own line, never behind it.
            assert!(
                seen >= acknowledged[*partition as usize],
                "{partition}: {seen}"
            );
            grown += u64::from(seen > *end);
            *end = seen;
        }
        assert!(matches!(
            topic.writer().map(drop),
            Err(TopicError::Locked { .. })
        ));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(grown > 20, "grew {grown} times");
    topic.writer().unwrap();
}
