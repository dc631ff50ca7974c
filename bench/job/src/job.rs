//! The job under measurement: packs in memory to checkpointed rows in a state directory on disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use flow_dataflow::{Job, JobConfig, Metrics, Status};
use flow_proto::{RowRecord, Sums};
use flow_state::{Acks, Published, StateStore};
use flow_tables::TableSet;

use crate::digest::Digest;
use crate::packs::Packs;
use crate::topic::InMemory;

/// Runs the job to the end of the packs. `after` is called when the last checkpoint is durable, before the rows are
/// read back for the digest.
pub(crate) fn run(
    packs: &Arc<Packs>,
    tables: &Arc<TableSet>,
    workers: usize,
    after: impl FnOnce(),
) -> anyhow::Result<Digest> {
    let folder = tempfile::tempdir()?;
    let state = StateStore::open(folder.path())?;
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
            ..JobConfig::default()
        },
        topic: Arc::new(InMemory {
            packs: Arc::clone(packs),
            on_read: Arc::new(|_| ()),
        }),
        tables: Arc::clone(tables),
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
    Ok(digest)
}
