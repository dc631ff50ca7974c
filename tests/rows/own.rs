//! Servers of one test alone, which it may stop and starve, and a job that runs meanwhile.
//!
//! Law: they end with the test, however it ends, and so does what was mounted for them: it is mounted where only they and
//! a process that waits for the test's end see it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::namespace::Namespace;
use crate::servers::Servers;
use crate::world::{JobFiles, World};

/// Servers of one test; they end with it, or with the process.
pub(crate) struct Own {
    script: PathBuf,
    mounts: Option<Mounts>,
    folder: tempfile::TempDir,
}

impl Own {
    /// `None`, and said so, if they cannot be.
    pub(crate) fn up(names: &[&str]) -> Option<(Own, Servers)> {
        let folder = tempfile::tempdir().expect("a folder");
        Own::begin(names, folder, None)
    }

    /// Each with its folder on a disk of its own, of so many mebibytes.
    pub(crate) fn up_on_disks(names: &[&str], mebibytes: u64) -> Option<(Own, Servers)> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounts = Mounts::make(folder.path(), names, mebibytes)?;
        Own::begin(names, folder, Some(mounts))
    }

    fn begin(
        names: &[&str],
        folder: tempfile::TempDir,
        mounts: Option<Mounts>,
    ) -> Option<(Own, Servers)> {
        let Ok(script) = std::env::var("FLOW_PIPELINE_TEST_SERVICES") else {
            eprintln!("SKIPPED: FLOW_PIPELINE_TEST_SERVICES is not set: no servers to stop");
            return None;
        };
        let own = Own {
            script: script.into(),
            mounts,
            folder,
        };
        let id = std::process::id().to_string();
        let folder = own.folder.path().to_string_lossy().into_owned();
        let printed = own.call(&[&["up", "--with-parent", &id, &folder][..], names].concat());
        let servers = Servers::printed(&printed, names)?;
        Some((own, servers))
    }

    /// A verb of `scripts/services` for one server.
    pub(crate) fn tell(&self, verb: &str, name: &str) {
        self.call(&[verb, &self.folder.path().to_string_lossy(), name]);
    }

    /// Where a server has its files.
    pub(crate) fn files(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether a server runs.
    pub(crate) fn runs(&self, name: &str) -> bool {
        let status = self.call(&["status", &self.folder.path().to_string_lossy()]);
        let down = format!("{name} down");
        !status.lines().any(|line| line == down)
    }

    /// Leaves no room on a server's disk.
    pub(crate) fn fill(&self, name: &str) {
        self.mounts().fill(&self.folder.path().join(name));
    }

    /// Gives the room back.
    pub(crate) fn empty(&self, name: &str) {
        self.mounts().empty(&self.folder.path().join(name));
    }

    fn mounts(&self) -> &Mounts {
        self.mounts.as_ref().expect("disks")
    }

    fn call(&self, arguments: &[&str]) -> String {
        let out = self.command().args(arguments).output().expect("it runs");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(out.stdout).expect("text")
    }

    fn command(&self) -> Command {
        let command = Command::new(&self.script);
        match &self.mounts {
            Some(Mounts(namespace)) => namespace.command(&command),
            None => command,
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.command().arg("down").arg(self.folder.path()).output());
    }
}

/// A mount namespace with the disks of a folder.
struct Mounts(Namespace);

impl Mounts {
    fn make(folder: &Path, names: &[&str], mebibytes: u64) -> Option<Mounts> {
        const SCRIPT: &str = r#"folder=$1; size=$2; shift 2
            for name; do mkdir "$folder/$name"; mount -t tmpfs -o "size=${size}m,mode=755" full-disk "$folder/$name"; done"#;
        let (folder, size) = (folder.to_str().expect("text"), mebibytes.to_string());
        let arguments = [&[folder, &size][..], names].concat();
        match Namespace::make(&["--mount"], SCRIPT, &arguments) {
            Ok(namespace) => Some(Mounts(namespace)),
            Err(why) => {
                eprintln!("SKIPPED: no disk can be mounted: {why}");
                None
            }
        }
    }

    /// A mounted folder as it is seen from outside.
    fn seen(&self, folder: &Path) -> PathBuf {
        format!("/proc/{}/root{}", self.0.id(), folder.display()).into()
    }

    /// Leaves no room on the disk of a folder.
    fn fill(&self, folder: &Path) {
        let file = std::fs::File::create(self.seen(folder).join("ballast"));
        let (mut file, block) = (file.expect("a disk"), [0; 1 << 16]);
        let full = loop {
            if let Err(error) = std::io::Write::write(&mut file, &block) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    }

    /// Gives the room back.
    fn empty(&self, folder: &Path) {
        std::fs::remove_file(self.seen(folder).join("ballast")).expect("a disk");
    }
}

/// A disk, and a job whose state is there: for its processes, and from outside.
pub(crate) type StateOnDisk = (Disk, JobFiles, JobFiles);

/// A small disk for something that is no server.
pub(crate) struct Disk {
    mounts: Mounts,
    folder: PathBuf,
}

impl Disk {
    /// At this path, of so many mebibytes; `None`, and said so, if it cannot be.
    pub(crate) fn make(path: &Path, mebibytes: u64) -> Option<Disk> {
        let name = path.file_name()?.to_str()?;
        Some(Disk {
            mounts: Mounts::make(path.parent()?, &[name], mebibytes)?,
            folder: path.to_owned(),
        })
    }

    /// With a job's state on it: the job as its own processes see it, and as it is seen from outside.
    pub(crate) fn with_state(world: &World, name: &str, mebibytes: u64) -> Option<StateOnDisk> {
        let disk = Disk::make(&world.path("disk"), mebibytes)?;
        let at = |folder: PathBuf| JobFiles {
            state: folder.join("state"),
            ..world.job(name)
        };
        let (job, seen) = (at(world.path("disk")), at(disk.seen()));
        Some((disk, job, seen))
    }

    /// A command that sees it.
    pub(crate) fn command(&self, command: &Command) -> Command {
        self.mounts.0.command(command)
    }

    /// Its folder, seen from outside.
    pub(crate) fn seen(&self) -> PathBuf {
        self.mounts.seen(&self.folder)
    }

    pub(crate) fn fill(&self) {
        self.mounts.fill(&self.folder);
    }

    pub(crate) fn empty(&self) {
        self.mounts.empty(&self.folder);
    }
}

/// A job that runs on; killed if the test fails.
pub(crate) struct Live(Child);

impl Live {
    pub(crate) fn start(command: &mut Command) -> Live {
        Live(command.spawn().expect("it starts"))
    }

    pub(crate) fn memory_mib(&self) -> u64 {
        memory_mib(&self.0)
    }

    /// The most that it has had in memory. Mebibytes.
    pub(crate) fn peak_mib(&self) -> u64 {
        status_mib(&self.0, "VmHWM:")
    }

    /// Whether one of its threads has this name.
    pub(crate) fn has_thread(&self, name: &str) -> bool {
        let tasks = Path::new("/proc")
            .join(self.0.id().to_string())
            .join("task");
        let names = std::fs::read_dir(tasks).into_iter().flatten().flatten();
        let mut names = names.map(|task| std::fs::read_to_string(task.path().join("comm")));
        names.any(|found| found.is_ok_and(|found| found.trim_end() == name))
    }

    /// Whether it goes on.
    pub(crate) fn runs(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_none()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let told = Command::new("kill").args(["-s", name, &id]).status();
        assert!(told.expect("kill").success());
    }

    /// Waits until it has ended by itself; `None`: it goes on.
    pub(crate) fn ended(mut self, within: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            let ended = self.0.try_wait().expect("a child");
            if ended.is_some() || begun.elapsed() > within {
                return ended;
            }
            std::thread::yield_now();
        }
    }

    /// Tells it to end, and waits for that.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.signal("TERM");
        self.0.wait().expect("it has ended")
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a process has in memory. Mebibytes.
pub(crate) fn memory_mib(process: &Child) -> u64 {
    status_mib(process, "VmRSS:")
}

fn status_mib(process: &Child, name: &str) -> u64 {
    let path = Path::new("/proc")
        .join(process.id().to_string())
        .join("status");
    let text = std::fs::read_to_string(path).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("a number") / 1024
}

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(120);

/// Looks until it holds.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}
