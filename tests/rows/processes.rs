//! A job of the real program in one process or several, each of which may be killed.
//!
//! Law: none outlives the test; what each has said is kept for whoever has to know why it ended.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::world::{JobFiles, World};

/// How many processes, and how many workers in each.
pub(crate) type Shape = (usize, usize);

/// A lost process ends the others within this.
pub(crate) const LOST: Duration = Duration::from_secs(15);

/// The processes of one attempt.
pub(crate) struct Processes {
    running: Vec<Child>,
    said: Vec<PathBuf>,
}

/// Files by which processes find and know each other: free ports, a token. The ports are below those that the system gives to
/// whoever connects, so that no client takes one before its process listens.
pub(crate) fn files(world: &World, processes: usize) -> [String; 2] {
    static NEXT: AtomicU16 = AtomicU16::new(26_000);
    let free = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed))
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let lines = free.take(processes).map(|port| format!("127.0.0.1:{port}"));
    name(world, lines.collect())
}

/// Files with these addresses and a token.
pub(crate) fn name(world: &World, addresses: Vec<String>) -> [String; 2] {
    std::fs::write(world.path("hosts"), addresses.join("\n")).expect("written");
    std::fs::write(world.path("token"), "the token of this test\n").expect("written");
    ["hosts", "token"].map(|name| world.path(name).to_string_lossy().into_owned())
}

/// `flow-pipeline run` as one of several processes.
pub(crate) fn command(
    world: &World,
    job: &JobFiles,
    ((processes, workers), process): (Shape, usize),
    [hosts, token]: &[String; 2],
    more: &[&str],
) -> Command {
    let mut command = world.run(job, &workers.to_string(), more);
    if processes > 1 {
        let (processes, process) = (processes.to_string(), process.to_string());
        command.args(["--processes", &processes, "--process", &process]);
        command.args(["--hosts", hosts, "--token-file", token]);
    }
    command
}

impl Processes {
    /// Starts them, the last one first.
    pub(crate) fn start(world: &World, job: &JobFiles, shape: Shape, more: &[&str]) -> Processes {
        let files = files(world, shape.0);
        let each = (0..shape.0).map(|process| command(world, job, (shape, process), &files, more));
        Processes::of(world, each.collect())
    }

    /// Starts these, the last one first.
    pub(crate) fn of(world: &World, commands: Vec<Command>) -> Processes {
        let mut all = Processes {
            running: Vec::new(),
            said: Vec::new(),
        };
        for (process, mut command) in commands.into_iter().enumerate().rev() {
            let said = world.path(&format!("said-{process}"));
            command.stderr(File::create(&said).expect("a file"));
            command.stdout(Stdio::null());
            all.running.insert(0, command.spawn().expect("it starts"));
            all.said.insert(0, said);
        }
        all
    }

    /// What a process has said.
    pub(crate) fn said(&self, process: usize) -> String {
        std::fs::read_to_string(&self.said[process]).expect("text")
    }

    /// Those that have ended by themselves, and how.
    pub(crate) fn ended(&mut self) -> Vec<(usize, ExitStatus)> {
        let each = self.running.iter_mut().enumerate();
        each.filter_map(|(process, child)| Some((process, child.try_wait().expect("a child")?)))
            .collect()
    }

    /// Signals a process.
    pub(crate) fn signal(&self, process: usize, signal: &str) {
        let id = self.running[process].id().to_string();
        let told = Command::new("kill").args([signal, &id]).status();
        assert!(told.expect("kill").success());
    }

    /// kill -9 of one of them; the others must end by themselves in time, with the code for a lost peer, or, if the job was
    /// still starting, wait for it.
    pub(crate) fn lose(mut self, process: usize) {
        self.signal(process, "-KILL");
        let begun = Instant::now();
        let mut victim = self.running.remove(process);
        assert!(!victim.wait().expect("gone").success());
        self.said.remove(process);
        for (child, said) in self.running.iter_mut().zip(&self.said) {
            let status = wait(child, begun + LOST);
            let said = std::fs::read_to_string(said).expect("text");
            match status {
                Some(status) => assert_eq!(status.code(), Some(71), "{said}"),
                None => assert!(
                    said.contains("waiting for a process of this job"),
                    "one goes on alone: {said}"
                ),
            }
        }
    }

    /// Waits until all of them have ended by themselves.
    pub(crate) fn end(&mut self, within: Duration) -> Vec<ExitStatus> {
        let until = Instant::now() + within;
        let mut all = Vec::new();
        for (process, child) in self.running.iter_mut().enumerate() {
            let status = wait(child, until);
            let said = std::fs::read_to_string(&self.said[process]).expect("text");
            all.push(status.unwrap_or_else(|| panic!("process {process} does not end: {said}")));
        }
        all
    }
}

fn wait(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        let ended = child.try_wait().expect("a child");
        if ended.is_some() || Instant::now() > until {
            return ended;
        }
        std::thread::yield_now();
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.running {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
