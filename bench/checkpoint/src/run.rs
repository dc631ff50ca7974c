//! The job under measurement: packs in memory to checkpoints in a directory on disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use flow_dataflow::{Job, JobConfig, Metrics, RowConfig, Status, TableShelf};
use flow_state::{Acks, Published, StateStore};

use crate::packs::Packs;
use crate::topic::{InMemory, OnRead};
use crate::watch::Watch;

/// How often the state is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checkpoints {
    /// Once, at the end.
    None,
    /// As the program does by default: every 10 s, and when a slot completes.
    Default,
    /// Every second, and when a slot completes.
    EverySecond,
}

/// A job over these packs, and its watches.
pub(crate) fn job(
    packs: &Arc<Packs>,
    state: &Path,
    (workers, until_end): (usize, bool),
    checkpoints: Checkpoints,
) -> anyhow::Result<(Job, Arc<Vec<Watch>>)> {
    let watches: Arc<Vec<Watch>> = Arc::new((0..workers).map(|_| Watch::default()).collect());
    let clock = || {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    };
    let mut config = JobConfig {
        workers,
        until_end,
        rows: RowConfig {
            lateness_secs: 600, // so that slots retire within the run
            ..RowConfig::default()
        },
        ..JobConfig::default()
    };
    match checkpoints {
        Checkpoints::None => {
            config.checkpoint_millis = u64::MAX;
            config.checkpoint_gap_millis = u64::MAX;
        }
        Checkpoints::Default => {}
        Checkpoints::EverySecond => config.checkpoint_millis = 1000,
    }
    let state = StateStore::open(state)?;
    let job = Job {
        config,
        topic: Arc::new(InMemory {
            packs: Arc::clone(packs),
            on_read: on_read(&watches),
        }),
        tables: TableShelf::new(state.clone(), Arc::default()),
        state,
        published: Published::new(),
        acks: Acks::new(0),
        metrics: Metrics::default(),
        status: Arc::new(Status::default()),
        clock: Arc::new(clock),
        id: "bench".to_owned(),
        attempt: u64::from(std::process::id()),
        stop: Arc::new(AtomicBool::new(false)),
    };
    Ok((job, watches))
}

/// Partitions go to workers by their number.
fn on_read(watches: &Arc<Vec<Watch>>) -> OnRead {
    let watches = Arc::clone(watches);
    Arc::new(move |partition| {
        let worker = usize::try_from(partition).unwrap_or(0) % watches.len().max(1);
        if let Some(watch) = watches.get(worker) {
            watch.read();
        }
    })
}

/// A number from a file of `/proc/self`: the first on the line that begins so.
pub(crate) fn own(file: &str, line: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/{file}"))?;
    let found = text.lines().find_map(|l| l.strip_prefix(line));
    let number = found.and_then(|rest| rest.split_whitespace().next());
    Ok(number
        .ok_or_else(|| anyhow::anyhow!("no {line} in /proc/self/{file}"))?
        .parse()?)
}
