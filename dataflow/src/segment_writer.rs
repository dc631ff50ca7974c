//! The segment writer: one thread a process, off the workers, makes sealed rows durable.
//!
//! It takes each worker's part of a checkpoint, sorts, writes one file for all, and acknowledges to every worker.
//! Law 5: a failed write is tried again; the flow goes on meanwhile, within the bounds of the sources.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use flow_proto::RowRecord;
use flow_state::{Group, SegmentName, StateDir};
use timely::scheduling::SyncActivator;

use crate::tick::Sealed;
use crate::window_state::SealedRows;

/// One worker's rows of a checkpoint, and how to tell it that they are durable.
pub(crate) struct Part {
    pub(crate) number: u64,
    pub(crate) worker: usize,
    pub(crate) rows: SealedRows,
    pub(crate) ack: mpsc::Sender<Sealed>,
    pub(crate) wake: SyncActivator,
}

/// The way to the writer thread. When the last one is dropped, the thread ends.
#[derive(Clone)]
pub(crate) struct SegmentWriter {
    parts: mpsc::Sender<Part>,
}

/// Between two tries of a write that failed.
const RETRY: Duration = Duration::from_millis(500);

impl SegmentWriter {
    /// Starts the thread for a process of `workers` workers.
    pub(crate) fn start(
        state: StateDir,
        attempt: u64,
        workers: usize,
    ) -> std::io::Result<(SegmentWriter, thread::JoinHandle<()>)> {
        let (parts, incoming) = mpsc::channel::<Part>();
        let thread = thread::Builder::new()
            .name("segment-writer".to_owned())
            .spawn(move || {
                let mut waiting: BTreeMap<u64, Vec<Part>> = BTreeMap::new();
                for part in incoming {
                    let number = part.number;
                    let parts = waiting.entry(number).or_default();
                    parts.push(part);
                    if parts.len() == workers {
                        let parts = waiting.remove(&number).unwrap_or_default();
                        finish(
                            &state,
                            SegmentName {
                                number,
                                attempt,
                                process: 0,
                            },
                            parts,
                        );
                    }
                }
            })?;
        Ok((SegmentWriter { parts }, thread))
    }

    /// Hands over a part. If the thread is gone the process is ending, and nothing waits for the part.
    pub(crate) fn send(&self, part: Part) {
        drop(self.parts.send(part));
    }
}

/// Writes the parts of one checkpoint and acknowledges.
fn finish(state: &StateDir, name: SegmentName, mut parts: Vec<Part>) {
    let shards = parts.iter().map(|part| part.rows.len()).max().unwrap_or(0);
    let mut rows: SealedRows = (0..shards).map(|_| Vec::new()).collect();
    for part in &mut parts {
        for (all, mine) in rows.iter_mut().zip(&mut part.rows) {
            // A shard lives on one worker, so at most one part has rows of it.
            if all.is_empty() {
                std::mem::swap(all, mine);
            } else {
                all.append(mine);
            }
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for shard in &mut rows {
        shard.sort_unstable_by_key(|row| (row.rollup, row.slot_secs, row.key));
        for row in shard.iter() {
            let group = Group {
                rollup: row.rollup,
                slot_secs: row.slot_secs,
            };
            if groups.last() != Some(&group) {
                groups.push(group);
            }
        }
    }
    groups.sort_unstable();
    groups.dedup();
    if !groups.is_empty() {
        write(state, name, &rows);
    }
    for part in parts {
        let groups = if part.worker == 0 {
            groups.clone()
        } else {
            Vec::new()
        };
        if part
            .ack
            .send(Sealed {
                number: name.number,
                process: name.process,
                groups,
            })
            .is_ok()
        {
            // An operator that is gone needs no waking.
            _ = part.wake.activate();
        }
    }
}

fn write(state: &StateDir, name: SegmentName, rows: &[Vec<RowRecord>]) {
    while let Err(error) = state.write_segment(name, rows) {
        tracing::error!(%error, checkpoint = name.number, "segment not written, trying again");
        // The disk may have room again later; until then the sources stop at their bound.
        thread::sleep(RETRY);
    }
}
