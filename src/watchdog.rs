//! The watchdog: ends a process of a job whose ticks no longer end.
//!
//! A host that vanishes is noticed by its connection, a process that is stopped or hangs is not: the kernel goes on
//! acknowledging for it. Law: when no tick has ended for `SILENT`, every process of the job that still runs ends, with one
//! line and the exit code for a lost peer.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flow_dataflow::{Snapshot, Status};

use crate::failure::Exit;

/// How long ticks may stand still: with the ticks that process 0 may open meanwhile, all end within 15 s.
const SILENT: Duration = Duration::from_secs(12);
/// And when the last one is out: what it has sealed may have to wait for a disk.
const CLOSING: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// The first ticks may take as long as the slowest process needs to restore.
const FIRST: u64 = 3;

/// What it has seen.
#[derive(Debug, Default)]
struct Watch {
    tick: u64,
    still: Duration,
}

impl Watch {
    /// Some time has passed since the last look; true when it is over. More than a second between two looks is this machine's
    /// own sleep, not the others' silence.
    fn look(&mut self, tick: u64, passed: Duration, most: Duration) -> bool {
        if tick != self.tick || tick < FIRST {
            *self = Watch {
                tick,
                still: Duration::ZERO,
            };
        } else {
            self.still += passed.min(Duration::from_secs(1));
        }
        self.still >= most
    }
}

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog(Arc<AtomicBool>);

impl Watchdog {
    /// For process number `process`.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub(crate) fn start(
        process: usize,
        addresses: Vec<String>,
        status: Arc<Status>,
    ) -> std::io::Result<Watchdog> {
        let over = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&over);
        let watching = move || {
            let (mut watch, mut last) = (Watch::default(), Instant::now());
            while !asked.load(Ordering::Acquire) {
                thread::sleep(LOOK);
                let (now, look) = (Instant::now(), status.look());
                let most = if look.closing { CLOSING } else { SILENT };
                if watch.look(look.tick, now - last, most) && !asked.load(Ordering::Acquire) {
                    let line = silent(process, &addresses, &look, most);
                    // Standard error may be gone; the exit code still tells.
                    let _ = writeln!(std::io::stderr(), "flow-pipeline: {line}");
                    std::process::exit(i32::from(Exit::PeerLost.code()));
                }
                last = now;
            }
        };
        let thread = thread::Builder::new().name("watchdog".to_owned());
        thread.spawn(watching)?;
        Ok(Watchdog(over))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Who has been silent, in one line.
fn silent(process: usize, addresses: &[String], look: &Snapshot, most: Duration) -> String {
    let ends =
        "this process ends too, and goes on from the last checkpoint when all are started again";
    let seconds = most.as_secs();
    let at = |p: usize| addresses.get(p).map_or("?", String::as_str);
    if process > 0 {
        return format!(
            "process 0 ({}) has opened no tick for {seconds} s: {ends}",
            at(0)
        );
    }
    let behind = behind(&look.heard_of, addresses.len());
    let behind: Vec<String> = behind
        .iter()
        .map(|p| format!("process {p} ({})", at(*p)))
        .collect();
    match behind.is_empty() {
        true => format!("no tick has ended for {seconds} s: {ends}"),
        false => format!(
            "{} has ended no tick for {seconds} s: {ends}",
            behind.join(", ")
        ),
    }
}

/// The other processes that have told of no tick or of an older one than the others.
fn behind(heard_of: &BTreeMap<usize, u64>, processes: usize) -> Vec<usize> {
    let newest = heard_of.values().max().copied().unwrap_or(0);
    let told = |p: &usize| heard_of.get(p).copied().unwrap_or(0);
    let behind: Vec<usize> = (1..processes).filter(|p| told(p) < newest).collect();
    if behind.is_empty() && processes == 2 {
        return vec![1];
    }
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silence_of_others_counts() {
        let mut watch = Watch::default();
        let second = Duration::from_secs(1);
        for _ in 0..60 {
            assert!(!watch.look(2, second, SILENT), "a slow start");
        }
        assert!(!watch.look(3, second, SILENT));
        // The machine was asleep for an hour: that counts as one second.
        assert!(!watch.look(3, Duration::from_secs(3600), SILENT));
        for _ in 0..10 {
            assert!(!watch.look(3, second, SILENT));
        }
        assert!(watch.look(3, second, SILENT));
        assert!(!watch.look(4, second, SILENT), "it goes on");
    }

    #[test]
    fn the_silent_one_is_named() {
        let addresses = ["a:1", "b:2", "c:3"].map(str::to_owned);
        let look = Snapshot {
            heard_of: BTreeMap::from([(1, 7), (2, 6)]),
            ..Snapshot::default()
        };
        let line = silent(0, &addresses, &look, SILENT);
        assert!(
            line.starts_with("process 2 (c:3) has ended no tick"),
            "{line}"
        );
        let line = silent(2, &addresses, &look, SILENT);
        assert!(
            line.starts_with("process 0 (a:1) has opened no tick"),
            "{line}"
        );
        assert_eq!(behind(&BTreeMap::from([(1, 7)]), 2), [1]);
    }
}
