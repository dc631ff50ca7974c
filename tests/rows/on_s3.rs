//! The state in an S3 bucket: the rows are those of the oracle, whatever is killed, and of two jobs one ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use crate::flowing::{Stop, complete, write_until};
use crate::servers::unique;
use crate::store::Store;
use crate::world::{JobFiles, World};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(120);

/// A state in a new bucket; `None`, and said so, without a server.
fn bucket() -> Option<PathBuf> {
    let Ok(server) = std::env::var("FLOW_PIPELINE_TEST_S3") else {
        eprintln!("SKIPPED: FLOW_PIPELINE_TEST_S3 is not set: no server to test with");
        return None;
    };
    let bucket = format!("rows-{}", unique()).replace('_', "-");
    let address = server.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("it runs");
    let request = format!(
        "PUT /{bucket} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Some(format!("s3://{bucket}/flows/job?endpoint={server}").into())
}

fn on_s3(world: &World, name: &str) -> Option<JobFiles> {
    Some(JobFiles {
        state: bucket()?,
        ..world.job(name)
    })
}

#[test]
fn killed_and_started_with_other_workers() {
    let world = World::new("s3-kill");
    let Some(job) = on_s3(&world, "killed") else {
        return;
    };
    let mut flows = crate::generator(400_000, 13);
    for (round, workers) in ["1", "3", "2", "4"].iter().enumerate() {
        crate::write(&world, &mut flows, 100_000);
        let mut child = world
            .run(&job, workers, &[])
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        // After an amount of work: a new segment, whose checkpoint is not there or just is, or a new checkpoint.
        let folder = ["segments", "checkpoints"][round % 2];
        let (before, begun) = (world.newest(&job, folder), Instant::now());
        while world.newest(&job, folder) == before {
            assert!(child.try_wait().expect("a child").is_none(), "it has ended");
            assert!(begun.elapsed() < LIMIT, "nothing new in {folder}");
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    world.run_to_end(&job, "2");
    println!("killed 4 times: {}", world.compare(&job));
}

/// There is no lock: the next checkpoint decides, and the loser ends with 75 and has harmed nothing.
#[test]
fn of_two_jobs_on_one_state_one_ends() {
    let world = World::new("s3-two");
    drop(world.topic());
    let Some(job) = on_s3(&world, "two") else {
        return;
    };
    job.stores.iter().for_each(Store::apply_schema);
    let stop = AtomicBool::new(false);
    let mut jobs: Vec<Child> = Vec::new();
    let start = || {
        let mut command = world.run(&job, "1", &[]);
        command.stderr(Stdio::null()).spawn().expect("it starts")
    };
    let ended = thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(&world, &stop, 50));
        let ending = Stop(&stop);
        jobs.push(start());
        let begun = Instant::now();
        while complete(&job.stores[0]) < 2 {
            assert!(begun.elapsed() < LIMIT, "no slot completes");
        }
        jobs.push(start());
        let ended = loop {
            let ended = jobs.iter_mut().map(|job| job.try_wait().expect("a child"));
            let ended: Vec<_> = ended.collect();
            if ended.iter().any(Option::is_some) {
                break ended;
            }
            assert!(begun.elapsed() < LIMIT, "both go on");
        };
        drop(ending);
        writing.join().expect("it has written all");
        ended
    });
    for job in &mut jobs {
        drop(job.kill());
        job.wait().expect("gone");
    }
    let codes: Vec<_> = ended.iter().map(|e| e.and_then(|e| e.code())).collect();
    println!("first and second job: {codes:?}");
    assert!(codes.contains(&Some(75)), "{codes:?}");
    assert_eq!(codes.iter().flatten().count(), 1, "{codes:?}");
    world.run_to_end(&job, "2");
    println!("{}", world.compare(&job));
}
