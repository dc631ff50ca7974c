//! Servers that one test stops and starts as it likes, and a job that runs on beside.
//!
//! Law: nothing outlives the test, however it ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::servers::Servers;
use crate::store::Store;

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(120);

/// Servers of one test; they end with it, or with the process.
pub(crate) struct Own {
    script: PathBuf,
    folder: tempfile::TempDir,
}

impl Own {
    pub(crate) fn up() -> Option<(Own, Servers)> {
        let Ok(script) = std::env::var("FLOW_PIPELINE_TEST_SERVICES") else {
            eprintln!("SKIPPED: FLOW_PIPELINE_TEST_SERVICES is not set: no servers to stop");
            return None;
        };
        let own = Own {
            script: script.into(),
            folder: tempfile::tempdir().expect("a folder"),
        };
        let id = std::process::id().to_string();
        let folder = own.folder.path().to_string_lossy().into_owned();
        let printed = own.call(&[
            "up",
            "--with-parent",
            &id,
            &folder,
            "kafka",
            "postgres",
            "clickhouse",
        ]);
        let servers = Servers::printed(&printed)?;
        Some((own, servers))
    }

    pub(crate) fn tell(&self, verb: &str, name: &str) {
        self.call(&[verb, &self.folder.path().to_string_lossy(), name]);
    }

    fn call(&self, arguments: &[&str]) -> String {
        let out = Command::new(&self.script)
            .args(arguments)
            .output()
            .expect("it runs");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(out.stdout).expect("text")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let folder = self.folder.path();
        drop(Command::new(&self.script).arg("down").arg(folder).output());
    }
}

/// A job that runs on; killed if the test fails.
pub(crate) struct Live(pub(crate) Child);

impl Live {
    pub(crate) fn memory_mib(&self) -> u64 {
        let path = Path::new("/proc")
            .join(self.0.id().to_string())
            .join("status");
        let text = std::fs::read_to_string(path).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("a number") / 1024
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Number of slots with rows.
pub(crate) fn complete(store: &Store) -> u64 {
    let sql = "select count(*) from slots where rollup = 'rollup_5m' and state in ('complete', 'retired')";
    store.query(sql)[0][0].parse().expect("a number")
}

/// Looks until it holds.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}
