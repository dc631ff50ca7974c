//! The disk of the state runs full under a running job, and has room again: the job goes on, says what is wrong without a
//! flood, counts it, and in the end the rows are those of the oracle.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use crate::flowing::{Stop, complete, write_until};
use crate::own::{Disk, Live};
use crate::store::Store;
use crate::world::World;

const DISK_MIB: u64 = 48;
/// Flows per second of simulated time.
const RATE: u64 = 50;
/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(120);
/// Failed tries while the disk is full: with half a second between two, a quarter of a minute.
const TRIES: u64 = 30;
/// Lines that tell of them: of each twenty tries one, for segments and for checkpoints.
const LINES: usize = 6;
const FAILED: &str = "flow_pipeline_checkpoint_failed_writes_total";
const FLOWS: &str = "flow_pipeline_source_flows_total";

#[test]
fn a_full_disk_of_the_state_holds_up_checkpoints_and_loses_nothing() {
    let world = World::new("full-state");
    let Some((disk, job, seen)) = Disk::with_state(&world, "full-state", DISK_MIB) else {
        return;
    };
    drop(world.topic());
    job.stores.iter().for_each(Store::apply_schema);
    let (store, log, page) = (&job.stores[0], world.path("log"), free());
    let stop = AtomicBool::new(false);
    let mut command = disk.command(&world.run(&job, "2", &["--http", &page]));
    let mut live = Live::start(command.stderr(File::create(&log).expect("a file")));
    let told = |words: &str| {
        let log = std::fs::read_to_string(&log).expect("a file");
        log.lines().filter(|line| line.contains(words)).count()
    };
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(&world, &stop, RATE));
        let ending = Stop(&stop);
        wait(&mut live, "a slot completes", || complete(store) > 0);
        assert_eq!(metric(&page, FAILED), 0);
        disk.fill();
        wait(&mut live, "a write fails", || metric(&page, FAILED) > 0);
        let (flows, slots) = (metric(&page, FLOWS), complete(store));
        wait(&mut live, "flows are read", || metric(&page, FLOWS) > flows);
        wait(&mut live, "it goes on failing", || {
            metric(&page, FAILED) >= TRIES
        });
        // What was durable before may still have been on its way to the store.
        assert!(
            complete(store) <= slots + 1,
            "rows beyond the last checkpoint"
        );
        let lines = told("not written, trying again");
        let tries = metric(&page, FAILED);
        println!("{tries} failed tries, {lines} lines");
        assert!((1..=LINES).contains(&lines), "{lines} lines");
        assert_eq!(told("the disk has room"), lines, "each says what to do");
        disk.empty();
        let slots = complete(store);
        wait(&mut live, "slots complete again", || {
            complete(store) > slots + 2
        });
        assert!(told("written again") > 0);
        drop(ending);
        writing.join().expect("it has written all")
    });
    live.end();
    let mut command = disk.command(&world.run(&job, "1", &["--until-end"]));
    assert!(command.status().expect("it runs").success());
    println!("{written} flows; {}", world.compare(&seen));
}

/// Waits for something, while the job goes on.
fn wait(live: &mut Live, what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(live.runs(), "the job has ended before: {what}");
        assert!(begun.elapsed() < LIMIT, "not seen: {what}");
    }
}

/// An address for the page.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").to_string()
}

/// A metric without labels; 0 while there is none.
fn metric(page: &str, name: &str) -> u64 {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(page)?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = ask().unwrap_or_default();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}
