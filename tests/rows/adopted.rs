//! A job that has lost its state, or has an older copy of it, takes its stores over with `--adopt`.
//!
//! Law 6: without the flag every such store is refused. At the end every row of every store and every raw flow is the
//! oracle's, though slots were complete and retired before, and the AS numbers of another table are in keys that no
//! flow has any more. Whoever has written before writes nothing from then on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use flow_tables::DEMO_ASN_CSV;

use crate::flowing::complete;
use crate::own::until;
use crate::servers::Servers;
use crate::store::Store;
use crate::world::{self, JobFiles, World};
use crate::{generator, write};

/// Flows of two hours.
const FLOWS: u64 = 300_000;

/// A job with raw flows in every store.
struct Job {
    world: World,
    files: JobFiles,
    /// An SQLite file beside the other stores.
    file: PathBuf,
}

/// A process that is killed if the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Job {
    fn new(name: &str, others: Vec<Store>) -> Job {
        let world = World::new(name);
        let mut files = world.job(name);
        files.stores = others;
        let file = world.path("raw.sqlite");
        Job { world, files, file }
    }

    fn stores(&self) -> Vec<Store> {
        let mut stores = vec![Store::Sqlite(self.file.clone())];
        stores.extend(self.files.stores.iter().cloned());
        stores
    }

    fn command(&self, workers: &str, more: &[&str]) -> Command {
        let mut command = self.world.run(&self.files, workers, more);
        let sink = format!("sqlite://{}?raw=on", self.file.display());
        command.arg("--sink").arg(sink);
        command
    }

    /// Runs to the topic's end.
    fn end(&self, more: &[&str]) -> Output {
        let mut command = self.command("2", more);
        command.arg("--until-end").output().expect("it runs")
    }

    fn must_end(&self, more: &[&str]) {
        let ran = self.end(more);
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{}: {told}", ran.status);
    }

    /// Starts it and kills it when a checkpoint above this one is there.
    fn killed_above(&self, number: u64, more: &[&str]) {
        let mut command = self.command("2", more);
        let child = command.stderr(Stdio::null()).spawn();
        let child = Killed(child.expect("it starts"));
        until("a checkpoint", || {
            self.world.newest(&self.files, "checkpoints") > number
        });
        drop(child);
    }

    /// Every AS number of the table is moved by so much.
    fn tables(&self, by: u32) {
        let line = |line: &str| {
            let mut columns: Vec<String> = line.split(',').map(str::to_owned).collect();
            if let Some(Ok(number)) = columns.get(2).map(|number| number.parse::<u32>()) {
                columns[2] = (number + by).to_string();
            }
            columns.join(",") + "\n"
        };
        let moved: String = DEMO_ASN_CSV.lines().map(line).collect();
        fs::write(self.world.path("asn.csv"), moved).expect("a table");
    }

    /// Without the flag it ends with one line that says this.
    fn is_refused(&self, words: &str) {
        let refused = self.end(&[]);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(78), "{told}");
        let lines: Vec<&str> = told.lines().filter(|l| !l.starts_with('{')).collect();
        assert_eq!(lines.len(), 1, "{told}");
        assert!(
            lines[0].contains(words) && lines[0].contains("start once with --adopt"),
            "{told}"
        );
    }

    /// Compares everything with the oracle.
    fn equals_the_oracle(&self) {
        let expected = self.world.expected(&self.files);
        let base = world::base_rows(&expected);
        for store in self.stores() {
            let url = store.url();
            let compared = world::compare(&expected, store.content());
            assert!(compared.rows > 5_000, "{url}: {compared}");
            assert!(store.raw_sums() == base, "{url}: raw flows");
            let raw: &[&str] = match store {
                Store::Postgres(_) => &["flows", "flows_implausible"],
                _ => &["raw_flows"],
            };
            let count = |table: &&str| -> u64 {
                let sql = format!("select count(*) from {table}");
                store.query(&sql)[0][0].parse().expect("a number")
            };
            let flows: u64 = raw.iter().map(count).sum();
            assert_eq!(flows, expected.flows, "{url}: raw flows");
            println!("{url}: {flows} raw flows; {compared}");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.expect("cp").success());
}

fn signal(child: &Killed, signal: &str) {
    let id = child.0.id().to_string();
    let told = Command::new("kill").args([signal, &id]).status();
    assert!(told.expect("kill").success());
}

fn state_is_lost(job: &Job) {
    let mut flows = generator(FLOWS, 21);
    job.tables(7);
    write(&job.world, &mut flows, FLOWS / 2);
    job.must_end(&[]);
    write(&job.world, &mut flows, FLOWS / 4);
    job.killed_above(job.world.newest(&job.files, "checkpoints"), &[]);
    fs::remove_dir_all(&job.files.state).expect("it was there");
    job.tables(0);
    write(&job.world, &mut flows, FLOWS / 4);
    job.is_refused("written by job");
    // Killed when the adoption's checkpoint is there, then at later ones.
    for _ in 0..4 {
        let newest = job.world.newest(&job.files, "checkpoints");
        job.killed_above(newest, &["--adopt"]);
    }
    job.must_end(&["--adopt"]);
    job.equals_the_oracle();
    let sql = "select min(generation) from slots where last_written is not null";
    for store in job.stores() {
        assert_ne!(store.query(sql)[0][0], "0", "{}", store.url());
    }
    // With nothing to adopt it goes on as ever, with the flag and without.
    job.must_end(&["--adopt"]);
    job.must_end(&[]);
    job.equals_the_oracle();
}

fn state_is_an_older_copy(job: &Job) {
    let mut flows = generator(FLOWS, 22);
    write(&job.world, &mut flows, 2 * FLOWS / 3);
    job.must_end(&[]);
    let kept = job.world.path("kept");
    copy(&job.files.state, &kept);
    // What the copy does not know: more flows, corrections, and other tables.
    job.tables(7);
    write(&job.world, &mut flows, FLOWS / 6);
    job.must_end(&[]);
    job.must_end(&[]);
    fs::remove_dir_all(&job.files.state).expect("it was there");
    copy(&kept, &job.files.state);
    job.tables(0);
    job.is_refused("the state directory only");
    job.killed_above(job.world.newest(&job.files, "checkpoints"), &["--adopt"]);
    write(&job.world, &mut flows, FLOWS / 6);
    job.must_end(&["--adopt"]);
    job.equals_the_oracle();
}

/// A copy that lacks a segment is of no use, and takes nothing over.
fn state_lacks_a_segment(job: &Job) {
    let mut flows = generator(FLOWS, 24);
    write(&job.world, &mut flows, FLOWS / 2);
    job.must_end(&[]);
    let kept = job.world.path("kept");
    copy(&job.files.state, &kept);
    write(&job.world, &mut flows, FLOWS / 6);
    job.must_end(&[]);
    let (newer, store) = (job.world.path("newer"), &job.stores()[0]);
    fs::rename(&job.files.state, &newer).expect("moved");
    copy(&kept, &job.files.state);
    let segments = fs::read_dir(job.files.state.join("segments")).expect("a folder");
    let segment = segments.flatten().next().expect("one at least").path();
    fs::remove_file(&segment).expect("it was there");
    let held = || store.query("select * from flow_pipeline_cursors");
    let before = held();
    let ended = job.end(&["--adopt"]);
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(74), "{told}");
    let name = segment.to_str().expect("text");
    assert!(told.contains(name) && told.contains("missing"), "{told}");
    assert_eq!(held(), before, "{told}");
    // The state that is whole still owns it.
    fs::remove_dir_all(&job.files.state).expect("it was there");
    fs::rename(&newer, &job.files.state).expect("moved");
    write(&job.world, &mut flows, FLOWS / 3);
    job.must_end(&[]);
    job.equals_the_oracle();
}

/// The job before, stopped while another takes over, and continued after.
fn zombie_writes_nothing(job: &mut Job) {
    let mut flows = generator(FLOWS, 23);
    job.tables(7);
    write(&job.world, &mut flows, FLOWS / 2);
    let said = job.world.path("said");
    let mut command = job.command("2", &[]);
    command.stderr(File::create(&said).expect("a file"));
    let mut zombie = Killed(command.spawn().expect("it starts"));
    let stores = job.stores();
    until("rows", || {
        job.world.newest(&job.files, "checkpoints") > 1
            && stores.iter().all(|store| complete(store) > 0)
    });
    job.tables(0);
    job.files.state = job.world.path("another-state");
    // Stopped in the middle of a transaction it may hold a lock: then once more.
    loop {
        signal(&zombie, "-STOP");
        let ran = job.end(&["--adopt"]);
        if ran.status.success() {
            break;
        }
        let told = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(69), "{told}");
        signal(&zombie, "-CONT");
        std::thread::yield_now();
    }
    write(&job.world, &mut flows, FLOWS / 2);
    signal(&zombie, "-CONT");
    let status = zombie.0.wait().expect("it ends by itself");
    let told = fs::read_to_string(&said).expect("text");
    assert_eq!(status.code(), Some(78), "{told}");
    assert!(
        told.contains("written by job") || told.contains("has written it meanwhile"),
        "{told}"
    );
    job.must_end(&[]);
    job.equals_the_oracle();
}

fn others(servers: &Servers) -> Vec<Store> {
    let stores = vec![servers.postgres(""), servers.clickhouse("")];
    stores.iter().for_each(Store::apply_schema);
    stores
}

#[test]
fn a_lost_state() {
    state_is_lost(&Job::new("lost", Vec::new()));
}

#[test]
fn an_older_copy_of_the_state() {
    state_is_an_older_copy(&Job::new("copied", Vec::new()));
}

#[test]
fn a_state_that_lacks_a_segment() {
    state_lacks_a_segment(&Job::new("lacking-state", Vec::new()));
}

#[test]
fn a_zombie() {
    zombie_writes_nothing(&mut Job::new("zombie", Vec::new()));
}

#[test]
fn a_lost_state_beside_every_store() {
    if let Some(servers) = Servers::shared() {
        state_is_lost(&Job::new("lost-stores", others(&servers)));
    }
}

#[test]
fn an_older_copy_of_the_state_beside_every_store() {
    if let Some(servers) = Servers::shared() {
        state_is_an_older_copy(&Job::new("copied-stores", others(&servers)));
    }
}

#[test]
fn a_zombie_beside_every_store() {
    if let Some(servers) = Servers::shared() {
        zombie_writes_nothing(&mut Job::new("zombie-stores", others(&servers)));
    }
}
