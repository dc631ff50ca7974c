//! From where to where in the topic raw flows are compared.
//!
//! Law: as far as the rows of these slots are read, refused flows included that are known of them; nothing at or above a
//! raw cursor of the store, nor what the checkpoint has not read.

use std::collections::BTreeMap;

use flow_dataflow::{Asked, Counting, JobError, Replay, SamplingRates};
use flow_sinks::RawLook;
use flow_state::Checkpoint;

use super::super::base::{Base, Stored};
use super::super::every;
use super::Plan;
use crate::failure::{Exit, Failure};

/// Records of the partitions.
pub(super) struct Window {
    pub(super) replay: Replay,
    /// Below which offset the store has everything, per partition.
    pub(super) cut: BTreeMap<u32, u64>,
}

impl Window {
    pub(super) fn of(
        base: &Base,
        checkpoint: &Checkpoint,
        look: &mut RawLook,
        (plan, stored): (&Plan<'_>, &Stored),
    ) -> Result<Window, Failure> {
        let cut = cut(base, checkpoint, look)?;
        let replay = |counting| {
            let asked = Asked {
                slots: base.slots,
                counting,
                partial: false,
                rates: SamplingRates::default(),
                versions: &[],
            };
            Replay::of(checkpoint, base.topic.as_ref(), &base.rows, &asked)
        };
        let wide = match plan.counting {
            Counting::AsRecorded => every(&base.refused(stored, checkpoint)?),
            every @ Counting::Every { .. } => every,
        };
        let replay = match replay(wide) {
            // Refused flows that are further away are not looked at then, on either side.
            Err(JobError::Retained { .. }) if !plan.has_refused() => replay(Counting::AsRecorded)?,
            found => found?,
        };
        Ok(Window { replay, cut })
    }
}

/// Where the store's raw cursors stand in the topic, as far as the checkpoint has come.
fn cut(
    base: &Base,
    checkpoint: &Checkpoint,
    look: &mut RawLook,
) -> Result<BTreeMap<u32, u64>, Failure> {
    let cursors = look.cursors()?;
    let sink = look.name();
    let Some(job) = cursors.job else {
        let what = format!("sink {sink}: holds no raw flows yet");
        return Err(Failure::new(Exit::Unavailable, what)
            .hint("the job writes them behind its checkpoints; does it run with this sink?"));
    };
    if job != checkpoint.job {
        let what = format!(
            "sink {sink}: another job has written its raw flows than that of state {}",
            base.state.place().display()
        );
        return Err(Failure::new(Exit::Config, what)
            .hint("--state and --sink name what the same run was given"));
    }
    let mut known = BTreeMap::from([(checkpoint.number, Some(checkpoint.clone()))]);
    let mut cut = BTreeMap::new();
    for (partition, number) in cursors.by_partition {
        let at = match known.get(&number) {
            Some(at) => at,
            None => known
                .entry(number)
                .or_insert(base.state.checkpoint(number)?),
        };
        let Some(at) = at else {
            tracing::warn!(
                sink,
                partition,
                checkpoint = number,
                "raw flows of this partition are left aside: the state no longer holds the checkpoint of its cursor"
            );
            continue;
        };
        let offset = |of: &Checkpoint| of.cut.get(&partition).map(|at| at.offset);
        let here = offset(at).zip(offset(checkpoint));
        cut.extend(here.map(|(store, job)| (partition, store.min(job))));
    }
    Ok(cut)
}
