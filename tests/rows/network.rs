//! Hosts and brokers that are lost without a word: no end of a connection, no refusal, only silence.
//!
//! Law: a silent host ends its job in time, a silent broker does not; afterwards every row is the oracle's.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use crate::flowing::{Stop, complete, write_until};
use crate::own::{Live, Own, until};
use crate::processes::{self, LOST, Processes};
use crate::switch::{NAME, Switch, address};
use crate::world::{JobFiles, World};
use crate::{generator, write};

/// Flows per second of simulated time.
const RATE: u64 = 60;
/// How long the broker is out of reach.
const AWAY: Duration = Duration::from_secs(60);
/// What the job has read by then may still complete slots.
const SETTLED: Duration = Duration::from_secs(20);
/// Longest wait for an end that is on its way, and for a job that has its broker again.
const END: Duration = Duration::from_secs(60);
/// In the process on the broker's host: the switch.
const SWITCH: &str = "FLOW_PIPELINE_TEST_SWITCH";

/// Files by which so many processes find each other, on whatever hosts they are.
fn files(world: &World, processes: usize) -> [String; 2] {
    let lines = (0..processes).map(|process| format!("{NAME}:{}", 26_000 + process));
    processes::name(world, lines.collect())
}

/// Two hosts, a process on each.
fn pair(world: &World, job: &JobFiles, switch: &Switch, more: &[&str]) -> Processes {
    let files = files(world, 2);
    let each = [0, 1].map(|process| {
        let command = processes::command(world, job, ((2, 1), process), &files, more);
        switch.command(process, &command)
    });
    Processes::of(world, each.into())
}

#[test]
fn a_host_that_is_lost_without_a_word_ends_all_in_time() {
    let Some(switch) = Switch::make(2) else {
        return;
    };
    let world = World::new("lost-host");
    drop(world.topic());
    let (job, stop) = (world.job("lost-host"), AtomicBool::new(false));
    job.stores[0].apply_schema();
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(&world, &stop, RATE));
        let ending = Stop(&stop);
        let mut all = pair(&world, &job, &switch, &[]);
        until("a slot is complete", || complete(&job.stores[0]) > 0);
        assert!(all.ended().is_empty(), "{}{}", all.said(0), all.said(1));
        switch.pull(1);
        let begun = Instant::now();
        let ended = all.end(LOST);
        println!("lost for {:?}: {ended:?}", begun.elapsed());
        for process in [0, 1] {
            let said = all.said(process);
            assert_eq!(ended[process].code(), Some(71), "{said}");
            let lines = said.lines().filter(|l| l.starts_with("flow-pipeline: "));
            let [line] = lines.collect::<Vec<_>>()[..] else {
                panic!("not one line: {said}");
            };
            assert!(line.contains(&format!("process {}", 1 - process)), "{line}");
            println!("{line}");
        }
        switch.put_back(1);
        let before = complete(&job.stores[0]);
        let again = pair(&world, &job, &switch, &[]);
        until("it goes on", || complete(&job.stores[0]) > before);
        drop((again, ending));
        writing.join().expect("it has written all")
    });
    let mut last = pair(&world, &job, &switch, &["--until-end"]);
    let ended = last.end(END);
    let well = ended.iter().all(std::process::ExitStatus::success);
    assert!(well, "{}{}", last.said(0), last.said(1));
    println!("{written} flows: {}", world.compare(&job));
}

/// Process 1 is started again on another host, while process 0 still takes the first one for alive.
#[test]
fn a_host_that_is_lost_during_the_start_is_replaced_by_another() {
    let Some(switch) = Switch::make(4) else {
        return;
    };
    let world = World::new("lost-start").talkative();
    write(&world, &mut generator(200_000, 3), 200_000);
    let job = world.job("lost-start");
    let files = files(&world, 3);
    let start = |host, process| {
        let (shape, end) = ((3, 1), &["--until-end"]);
        let command = processes::command(&world, &job, (shape, process), &files, end);
        let said = File::create(world.path(&format!("said-by-{host}"))).expect("a file");
        Live::start(switch.command(host, &command).stderr(said))
    };
    let said = |host: usize| {
        std::fs::read_to_string(world.path(&format!("said-by-{host}"))).expect("text")
    };
    let accepted = || {
        let said = said(1);
        let lines = said.lines().filter(|line| line.contains(r#""process":1,"#));
        lines.filter(|line| line.contains("has connected")).count()
    };
    let zero = start(1, 0);
    let _lost = start(0, 1);
    until("process 1 is there", || accepted() == 1);
    switch.pull(0);
    let begun = Instant::now();
    // Of the name's addresses host 2 is given host 1's before host 0's, which is less like its own (RFC 6724, section 6, rule
    // 9): so it never waits for the lost one when it calls process 0.
    let again = start(2, 1);
    until("its number is taken", || {
        said(1).contains("process 1 is there already")
    });
    until("the loss is noticed", || {
        assert!(begun.elapsed() < LOST, "{}{}", said(1), said(2));
        accepted() == 2
    });
    let took = begun.elapsed();
    let two = start(3, 2);
    for (host, process) in [(1, zero), (2, again), (3, two)] {
        let ended = process.ended(END);
        let well = ended.is_some_and(|status| status.success());
        assert!(well, "host {host}: {ended:?}: {}", said(host));
    }
    println!("in its place after {took:?}: {}", world.compare(&job));
}

#[test]
fn a_broker_out_of_reach_for_a_minute_and_no_word_of_it() {
    const THIS: &str = "network::a_broker_out_of_reach_for_a_minute_and_no_word_of_it";
    if let Ok(words) = std::env::var(SWITCH) {
        return out_of_reach(&Switch::of(&words));
    }
    let Some(switch) = Switch::make(2) else {
        return;
    };
    // The broker, and whoever writes to it and compares, is on host 0: this very test, started there. The job is on host 1.
    let mut there = Command::new(std::env::current_exe().expect("this test"));
    there.args(["--exact", THIS, "--nocapture"]);
    let mut there = switch.command(0, &there);
    there.env(SWITCH, switch.passed_on());
    let out = there.env("FLOW_PIPELINE_TEST_KAFKA_HOST", address(0));
    let out = out.stdin(Stdio::null()).output().expect("it runs");
    let [told, errors] =
        [out.stdout, out.stderr].map(|text| String::from_utf8(text).expect("text"));
    // What it has to tell, without the lines that tell of a test.
    for line in told.lines().chain(errors.lines()) {
        if !line.starts_with("test ") {
            println!("{line}");
        }
    }
    assert!(out.status.success(), "{}", out.status);
    let ran = told.contains("equal the oracle's") || errors.contains("SKIPPED: ");
    assert!(ran, "no such test: {THIS}");
}

fn out_of_reach(switch: &Switch) {
    let Some((_own, servers)) = Own::up(&["kafka"]) else {
        return;
    };
    let world = World::on("out-of-reach", servers.topic("out-of-reach"));
    drop(world.topic());
    let (job, stop) = (world.job("out-of-reach"), AtomicBool::new(false));
    let (store, said) = (&job.stores[0], world.path("said"));
    store.apply_schema();
    let mut command = switch.command(1, &world.run(&job, "2", &[]));
    let mut live = Live::start(command.stderr(File::create(&said).expect("a file")));
    let said = || std::fs::read_to_string(&said).expect("text");
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(&world, &stop, RATE));
        let ending = Stop(&stop);
        until("a slot is complete", || complete(store) > 0);
        switch.pull(1);
        thread::sleep(SETTLED);
        let held = complete(store);
        thread::sleep(AWAY - SETTLED);
        assert_eq!(complete(store), held, "it has read something all the same");
        assert!(live.runs(), "{}", said());
        switch.put_back(1);
        let back = Instant::now();
        // A slot is written in three seconds.
        let goal = held + AWAY.as_secs() / 3;
        while complete(store) < goal {
            assert!(live.runs() && back.elapsed() < END, "{}", said());
            thread::yield_now();
        }
        println!("{:?} later it has all {goal} slots", back.elapsed());
        drop(ending);
        writing.join().expect("it has written all")
    });
    assert!(live.end().success(), "{}", said());
    world.run_to_end(&job, "1");
    println!("{written} flows: {}", world.compare(&job));
}
