//! A job in several processes: the rows are those of one, whatever shape follows whatever shape, and whoever is lost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::own::until;
use crate::processes::{self, LOST, Processes};
use crate::world::World;
use crate::{generator, write};

/// Longest wait for an end that is on its way.
const END: Duration = Duration::from_secs(60);

#[test]
fn killed_and_started_in_another_shape() {
    let world = World::new("shapes");
    let mut flows = generator(1_200_000, 13);
    let job = world.job("shapes");
    let shapes = [(1, 1), (2, 2), (1, 4), (3, 1), (2, 1), (1, 2)];
    for (round, shape) in (0..12usize).zip(shapes.into_iter().cycle()) {
        write(&world, &mut flows, 100_000);
        let job_at = || world.newest(&job, ["segments", "checkpoints"][round % 2]);
        let before = job_at();
        let all = Processes::start(&world, &job, shape, &[]);
        let begun = Instant::now();
        while job_at() <= before {
            let said = || {
                (0..shape.0)
                    .map(|process| all.said(process))
                    .collect::<Vec<_>>()
            };
            assert!(
                begun.elapsed() < 2 * END,
                "round {round}: no checkpoint: {:?}",
                said()
            );
            std::thread::yield_now();
        }
        all.lose(round % shape.0);
    }
    let mut last = Processes::start(&world, &job, (2, 2), &["--until-end"]);
    let ended = last.end(END);
    assert!(
        ended.iter().all(std::process::ExitStatus::success),
        "{}",
        last.said(0)
    );
    println!("12 times lost a process: {}", world.compare(&job));
}

#[test]
fn a_signal_to_one_drains_all() {
    let world = World::new("drains");
    write(&world, &mut generator(200_000, 3), 200_000);
    for process in [0, 1] {
        let job = world.job(&format!("drains-{process}"));
        let mut all = Processes::start(&world, &job, (2, 1), &[]);
        until("a checkpoint is there", || {
            world.newest(&job, "checkpoints") > 0
        });
        all.signal(process, "-TERM");
        let ended = all.end(END);
        assert!(
            ended.iter().all(std::process::ExitStatus::success),
            "{}",
            all.said(0)
        );
        // What they have drained is durable and in the store; what was not read yet is read now.
        world.run_to_end(&job, "1");
        println!("told to process {process}: {}", world.compare(&job));
    }
}

/// TCP does not notice it: the kernel goes on acknowledging for a process that is stopped.
#[test]
fn one_that_stands_still_ends_all_in_time() {
    let world = World::new("still");
    write(&world, &mut generator(200_000, 3), 200_000);
    for (still, other) in [(0, 1), (1, 0)] {
        let job = world.job(&format!("still-{still}"));
        let mut all = Processes::start(&world, &job, (2, 1), &[]);
        until("two checkpoints are there", || {
            world.newest(&job, "checkpoints") > 1
        });
        all.signal(still, "-STOP");
        let begun = Instant::now();
        while all.ended().is_empty() {
            assert!(begun.elapsed() < LOST, "the other one waits on");
        }
        let took = begun.elapsed();
        all.signal(still, "-CONT");
        let ended = all.end(END);
        assert!(
            ended.iter().all(|status| status.code() == Some(71)),
            "{ended:?}"
        );
        let said = all.said(other);
        let line = said
            .lines()
            .find(|line| line.contains("for 12 s"))
            .expect("a line");
        assert!(
            line.contains(&format!("process {still} (127.0.0.1:")),
            "{line}"
        );
        println!("{took:?}: {line}");
    }
}

/// What a stranger hears and a newcomer with other options is told, while process 0 waits; the job then starts.
#[test]
fn strangers_and_misfits_are_turned_away_from_a_start() {
    let world = World::new("strangers");
    write(&world, &mut generator(200_000, 3), 200_000);
    let job = world.job("strangers");
    let files = processes::files(&world, 2);
    let shape = (2, 1);
    let first = |more: &[&str]| {
        let mut command = processes::command(&world, &job, (shape, 0), &files, more);
        command.stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    let mut zero = first(&["--until-end"]);
    let hosts = std::fs::read_to_string(&files[0]).expect("text");
    let address = hosts.lines().next().expect("two lines");
    until("it listens", || TcpStream::connect(address).is_ok());
    let mut page = TcpStream::connect(address).expect("it listens");
    page.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    let mut heard = Vec::new();
    drop(page.read_to_end(&mut heard));
    assert_eq!(heard.len(), 24, "a greeting and a nonce, no more");
    let refused = |more: &[&str], says: &str| {
        let mut command = processes::command(&world, &job, (shape, 1), &files, more);
        let out = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(78), "{said}");
        assert!(said.contains(says), "{said}");
    };
    refused(
        &["--until-end", "--slot-time", "end"],
        "process 1 has slot-time end, process 0 has received",
    );
    refused(&[], "process 1 has until-end false, process 0 has true");
    let mut one = processes::command(&world, &job, (shape, 1), &files, &["--until-end"]);
    assert!(one.status().expect("it runs").success());
    assert!(zero.wait().expect("ended").success());
    let mut said = String::new();
    let mut errors = zero.stderr.take().expect("piped");
    errors.read_to_string(&mut said).expect("text");
    assert!(
        said.contains("does not speak as a process of a job"),
        "{said}"
    );
    println!("{}", world.compare(&job));
}

#[test]
fn a_process_with_another_state_is_refused() {
    let world = World::new("states");
    write(&world, &mut generator(200_000, 3), 20_000);
    let (job, other, none) = (world.job("here"), world.job("there"), world.job("nowhere"));
    // A state of its own, as on a disk that is not shared; or none, as in a place that is not mounted.
    world.run_to_end(&other, "1");
    let files = processes::files(&world, 2);
    let start = |job, process| {
        let mut command = processes::command(&world, job, ((2, 1), process), &files, &[]);
        command.stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    for second in [&other, &none] {
        let (zero, one) = (start(&job, 0), start(second, 1));
        let one = one.wait_with_output().expect("ended");
        let said = String::from_utf8_lossy(&one.stderr);
        assert_eq!(one.status.code(), Some(78), "{said}");
        assert!(said.contains("is not that of process 0"), "{said}");
        let zero = zero.wait_with_output().expect("ended");
        assert_eq!(zero.status.code(), Some(71), "the other one is lost");
    }
    assert!(!none.state.exists(), "it was only looked for");
}

#[test]
fn the_loser_of_two_jobs_on_one_state_ends() {
    let world = World::new("two-jobs");
    write(&world, &mut generator(200_000, 3), 200_000);
    let job = world.job("two-jobs");
    let holder = Processes::start(&world, &job, (2, 1), &[]);
    until("a checkpoint is there", || {
        world.newest(&job, "checkpoints") > 0
    });
    let out = world.run(&job, "1", &[]).output().expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(75), "{said}");
    holder.lose(1);
    world.run_to_end(&job, "1");
    println!("{}", world.compare(&job));
}
