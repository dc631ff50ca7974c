//! The segment writer: one a process, off the workers, makes sealed rows durable.
//!
//! It takes each worker's part of a checkpoint, sorts, writes one file for all, and acknowledges to every worker.
//! Law 5: a failed write is tried again; the flow goes on meanwhile, within the bounds of the sources.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, mpsc};

use flow_state::{Group, SegmentName, StateError, StateStore};
use prometheus_client::metrics::counter::Counter;
use timely::scheduling::SyncActivator;

use crate::sealed::SealedRows;
use crate::status::Status;
use crate::tick::Sealed;
use crate::trouble::Trouble;
use crate::turns::{self, Did, Turns};

/// One worker's rows of a checkpoint, and how to tell it that they are durable.
pub(crate) struct Part {
    pub(crate) number: u64,
    /// The first worker of its process, which tells of the file for all of them.
    pub(crate) first: bool,
    pub(crate) rows: SealedRows,
    pub(crate) ack: mpsc::Sender<Sealed>,
    pub(crate) wake: SyncActivator,
}

/// The way to the writer. When the last one is dropped, the writer ends.
#[derive(Clone)]
pub(crate) struct SegmentWriter {
    parts: mpsc::Sender<Part>,
}

impl SegmentWriter {
    /// Hands over a part. If the writer is gone the process is ending, and nothing waits for the part.
    pub(crate) fn send(&self, part: Part) {
        drop(self.parts.send(part));
    }
}

/// The writer itself, turn by turn.
pub(crate) struct SegmentDesk {
    state: StateStore,
    attempt: u64,
    process: u32,
    workers: usize,
    incoming: mpsc::Receiver<Part>,
    /// Checkpoints of which some worker's part is still to come.
    waiting: BTreeMap<u64, Vec<Part>>,
    /// Whole ones, to be written.
    due: VecDeque<Whole>,
    trouble: Trouble,
}

impl SegmentDesk {
    /// For process number `process`, with so many workers of its own. Counts tries that fail, and shows what is under way.
    pub(crate) fn new(
        state: StateStore,
        attempt: u64,
        (process, workers): (u32, usize),
        (failed, status): (Counter, Arc<Status>),
    ) -> (SegmentWriter, SegmentDesk) {
        let (parts, incoming) = mpsc::channel();
        let desk = SegmentDesk {
            state,
            attempt,
            process,
            workers,
            incoming,
            waiting: BTreeMap::new(),
            due: VecDeque::new(),
            trouble: Trouble::new("segment", failed, status),
        };
        (SegmentWriter { parts }, desk)
    }

    fn take(&mut self, part: Part) {
        let number = part.number;
        let parts = self.waiting.entry(number).or_default();
        parts.push(part);
        if parts.len() == self.workers {
            let parts = self.waiting.remove(&number).unwrap_or_default();
            let name = SegmentName {
                number,
                attempt: self.attempt,
                process: self.process,
            };
            self.due.push_back(Whole::merge(name, parts));
        }
    }
}

impl Turns for SegmentDesk {
    /// Takes one part, or tries to write one segment.
    fn turn(&mut self, wait: bool) -> Did {
        if let Some(whole) = self.due.front() {
            self.trouble.begins(whole.name.number);
            if let Err(error) = whole.write(&self.state) {
                // The disk may have room again later; until then the sources stop at their bound.
                self.trouble.failed(error, whole.name.number);
                return Did::Failed;
            }
            if let Some(whole) = self.due.pop_front() {
                self.trouble.over(whole.name.number);
                whole.acknowledge();
            }
            return Did::Something;
        }
        match turns::next(&self.incoming, wait) {
            Ok(part) => self.take(part),
            Err(none) => return none,
        }
        Did::Something
    }
}

/// All parts of one checkpoint, sorted.
struct Whole {
    name: SegmentName,
    rows: SealedRows,
    groups: Vec<Group>,
    parts: Vec<Part>,
}

impl Whole {
    fn merge(name: SegmentName, mut parts: Vec<Part>) -> Whole {
        let mut each = parts.iter_mut().map(|part| std::mem::take(&mut part.rows));
        let mut rows = each.next().unwrap_or_default();
        each.for_each(|more| rows.merge(more));
        Whole {
            name,
            groups: rows.sort(),
            rows,
            parts,
        }
    }

    fn write(&self, state: &StateStore) -> Result<(), StateError> {
        if self.groups.is_empty() {
            return Ok(());
        }
        self.rows.write(state, self.name)
    }

    fn acknowledge(self) {
        let Whole {
            name,
            groups,
            parts,
            ..
        } = self;
        for part in parts {
            let sealed = Sealed {
                number: name.number,
                process: name.process,
                groups: if part.first {
                    groups.clone()
                } else {
                    Vec::new()
                },
            };
            if part.ack.send(sealed).is_ok() {
                // An operator that is gone needs no waking.
                _ = part.wake.activate();
            }
        }
    }
}
