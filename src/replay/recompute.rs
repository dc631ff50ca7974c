//! Computes slots again: the job itself, in a scratch state of its own, over a part of the topic.
//!
//! Law 1: what comes out depends on topic, range and checkpoint alone. The scratch is gone at the end, however it comes.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use flow_dataflow::{Asked, Counting, Peers, Replay, SamplingRates};
use flow_state::{Checkpoint, Replaced, SlotCounts, StateStore};
use tempfile::TempDir;

use super::base::Base;
use super::computation::Computation;
use super::computed::Computed;
use super::others::Others;
use super::tables::Tables;
use crate::cli;
use crate::failure::{Exit, Failure};

/// What came out.
pub(crate) struct Recomputed {
    pub(crate) computed: Computed,
    pub(crate) tables: Tables,
    /// Held until nothing is read of it any more.
    _scratch: TempDir,
}

impl Recomputed {
    /// What archives its tables.
    pub(crate) fn archive(&self) -> &StateStore {
        &self.computed.state
    }

    /// What a slot is to be. `refused`: flows of it that the job has refused, as far as that is known.
    ///
    /// # Errors
    /// If the scratch cannot be read.
    pub(crate) fn replaced(
        &self,
        slot_secs: u64,
        checkpoint: &Checkpoint,
        refused: SlotCounts,
    ) -> Result<Replaced, Failure> {
        let slot = (slot_secs, self.tables.number(slot_secs));
        Ok(self.computed.replaced(slot, checkpoint, refused)?)
    }
}

/// Computes, with others if there are some.
pub(crate) struct Workshop<'a> {
    range: &'a cli::Range,
    rates: SamplingRates,
    others: Option<Others>,
    asked: &'a AtomicBool,
}

/// How slots are computed.
pub(crate) struct How {
    pub(crate) counting: Counting,
    pub(crate) tables: Tables,
    /// Where the topic lacks something of a slot, what is there counts.
    pub(crate) partial: bool,
}

impl<'a> Workshop<'a> {
    /// Finds the other processes.
    ///
    /// # Errors
    /// If there are to be some, and this process cannot be one of them.
    pub(crate) fn open(
        range: &'a cli::Range,
        rates: SamplingRates,
        place: (&Path, &str),
        asked: &'a AtomicBool,
    ) -> Result<Workshop<'a>, Failure> {
        Ok(Workshop {
            range,
            rates,
            others: Others::gather(range, place, asked)?,
            asked,
        })
    }

    /// Computes the slots of `base` as of a checkpoint of its job.
    ///
    /// # Errors
    /// If the topic does not hold what is needed any more, or the job fails.
    pub(crate) fn recompute(
        &mut self,
        base: &Base,
        checkpoint: &Checkpoint,
        how: How,
    ) -> Result<Recomputed, Failure> {
        let How {
            counting, tables, ..
        } = how;
        let asked = Asked {
            slots: base.slots,
            counting,
            partial: how.partial,
            rates: self.rates.clone(),
            versions: &tables.versions,
        };
        let replay = Replay::of(checkpoint, base.topic.as_ref(), &base.rows, &asked)?;
        let scratch = scratch(self.range.scratch.as_deref())?;
        let place = scratch.path().join("state");
        let state = StateStore::open(&place)?;
        for version in replay.versions() {
            state.archive_table(&version.hash, &tables.archive(base, version)?)?;
        }
        let (peers, addresses) = match &mut self.others {
            Some(others) => (
                others.compute(&replay, &place, self.asked)?,
                others.addresses(),
            ),
            None => (Peers::new(), Vec::new()),
        };
        let computation = Computation::new(base, self.range, replay, state.clone());
        let replay = computation.run((peers, None), addresses, self.asked)?;
        if let Some(others) = &mut self.others {
            others.computed(self.asked)?;
        }
        Ok(Recomputed {
            computed: Computed {
                counting,
                replay,
                rollups: base.rows.rollups,
                checkpoint: state.newest()?,
                state,
            },
            tables,
            _scratch: scratch,
        })
    }

    /// Lets the other processes go.
    ///
    /// # Errors
    /// If one is lost.
    pub(crate) fn end(self) -> Result<(), Failure> {
        self.others.map_or(Ok(()), Others::end)
    }
}

fn scratch(place: Option<&Path>) -> Result<TempDir, Failure> {
    let mut named = tempfile::Builder::new();
    let named = named.prefix("flow-pipeline-replay-");
    let made = match place {
        Some(place) => named.tempdir_in(place),
        None => named.tempdir(),
    };
    made.map_err(|error| {
        Failure::from_error(Exit::Io, &error)
            .hint("--scratch names a directory that can be written")
    })
}
