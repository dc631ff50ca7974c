//! The job under measurement, live or as a replay: packs in memory to checkpointed rows in a state directory on disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use flow_dataflow::{
    Asked, Counting, Job, JobConfig, Metrics, Replay, RowConfig, SamplingRates, Status, TableShelf,
};
use flow_proto::{RowRecord, Sums};
use flow_state::{Acks, Checkpoint, Published, StateStore};
use flow_tables::TableSet;
use tempfile::TempDir;

use crate::digest::Digest;
use crate::packs::Packs;
use crate::topic::InMemory;

/// A job that has come to the end of the packs.
pub(crate) struct Done {
    /// What its rows are.
    pub(crate) digest: Digest,
    /// Its last checkpoint.
    pub(crate) checkpoint: Arc<Checkpoint>,
    pub(crate) state: StateStore,
    _folder: TempDir,
}

/// Runs the job to the end of the packs. `after` is called when the last checkpoint is durable, before the rows are
/// read back for the digest.
pub(crate) fn run(
    packs: &Arc<Packs>,
    tables: &Arc<TableSet>,
    workers: usize,
    after: impl FnOnce(),
) -> anyhow::Result<Done> {
    run_as((packs, tables), workers, None, after)
}

/// Runs a replay of a job that has come to the end, over all of its slots.
pub(crate) fn replay(
    packs: &Arc<Packs>,
    live: &Done,
    workers: usize,
    after: impl FnOnce(),
) -> anyhow::Result<Done> {
    run_as((packs, &Arc::default()), workers, Some(live), after)
}

fn run_as(
    (packs, tables): (&Arc<Packs>, &Arc<TableSet>),
    workers: usize,
    live: Option<&Done>,
    after: impl FnOnce(),
) -> anyhow::Result<Done> {
    let folder = tempfile::tempdir()?;
    let state = StateStore::open(folder.path())?;
    let topic = InMemory {
        packs: Arc::clone(packs),
        on_read: Arc::new(|_| ()),
    };
    let plan = live.map(|live| {
        let asked = Asked {
            slots: (300, u64::from(u32::MAX)),
            counting: Counting::Every {
                early: false,
                late: false,
            },
            partial: false,
            rates: SamplingRates::default(),
            versions: &live.checkpoint.timeline.versions,
        };
        Replay::of(&live.checkpoint, &topic, &RowConfig::default(), &asked)
    });
    let plan = plan.transpose()?;
    for version in plan.iter().flat_map(Replay::versions) {
        let archived = live.map(|live| live.state.read_table(&version.hash));
        if let Some(archived) = archived.transpose()? {
            state.archive_table(&version.hash, &archived)?;
        }
    }
    let published = Published::new();
    let clock = || {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    };
    let job = Job {
        config: JobConfig {
            workers,
            until_end: true,
            replay: plan.map(Arc::new),
            ..JobConfig::default()
        },
        topic: Arc::new(topic),
        tables: TableShelf::new(state.clone(), Arc::clone(tables)),
        state: state.clone(),
        published: Arc::clone(&published),
        // One sink that never acknowledges: every segment stays listed, and the digest can read them all.
        acks: Acks::new(1),
        metrics: Metrics::default(),
        status: Arc::new(Status::default()),
        clock: Arc::new(clock),
        id: "bench".to_owned(),
        attempt: 1,
        stop: Arc::new(AtomicBool::new(false)),
    };
    job.run()?;
    after();
    let checkpoint = published
        .newest()
        .ok_or_else(|| anyhow::anyhow!("no checkpoint"))?;
    let mut rows: BTreeMap<(u16, u64, [u32; 3]), Sums> = BTreeMap::new();
    for name in checkpoint.segments.keys() {
        for row in state.read_segment::<RowRecord>(*name)?.records() {
            rows.insert((row.rollup, row.slot_secs, row.key), row.sums);
        }
    }
    let mut digest = Digest::default();
    for ((rollup, slot, key), sums) in &rows {
        digest.add(*rollup, *slot, *key, sums);
    }
    Ok(Done {
        digest,
        checkpoint,
        state,
        _folder: folder,
    })
}
