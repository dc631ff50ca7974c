//! The swap of tables that is under way.
//!
//! A request is prepared (every process loads its tables), then announced with a tick, in force from line L on, then decided
//! with the checkpoint that closes that tick. Law 3: L has never been passed by a flow, so a swap takes effect at one slot
//! boundary on all workers.

use std::collections::BTreeSet;

use flow_state::{SwapRequest, TableVersion};

use crate::tick::Asked;

/// The swap that is under way.
#[derive(Debug)]
pub(crate) struct Swapping {
    pub(crate) request: SwapRequest,
    pub(crate) version: TableVersion,
    /// A tick has told the processes to load the tables.
    pub(crate) told: bool,
    /// Those that have.
    loaded: BTreeSet<usize>,
    /// Why one can't.
    pub(crate) refused: Option<String>,
    /// The tick that has announced them; not closed yet.
    pub(crate) announced: Option<u64>,
}

impl Swapping {
    pub(crate) fn new(request: SwapRequest, number: u32) -> Swapping {
        let hash = request.hash.clone();
        Swapping {
            request,
            version: TableVersion { number, hash },
            told: false,
            loaded: BTreeSet::new(),
            refused: None,
            announced: None,
        }
    }

    /// What a process has to say of a request.
    pub(crate) fn hear(&mut self, process: usize, request: u64, error: Option<String>) {
        if request != self.request.number {
            return;
        }
        match error {
            None => drop(self.loaded.insert(process)),
            Some(error) => {
                self.refused
                    .get_or_insert(format!("process {process}: {error}"));
            }
        }
    }

    /// Every process has the tables.
    pub(crate) fn is_ready(&self, processes: usize) -> bool {
        self.refused.is_none() && self.loaded.len() >= processes.max(1)
    }

    /// As a tick tells of it; `None` if its hash is none.
    pub(crate) fn asked(&self) -> Option<Asked> {
        Asked::new(self.request.number, &self.version)
    }
}
