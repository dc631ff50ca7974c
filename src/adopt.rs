//! `run --adopt`: this state takes stores over that another job, or a later copy of the state, has written.
//!
//! All stores are asked first, then the adoption's checkpoint is put, then each store is told. Law 6: killed between two of
//! these steps, it leaves stores that no job takes, and another adoption finishes them: the job's id is a new one each time.
//! So whoever has written them before, and may still run, is a stranger to each from the moment it is told.

mod half;
#[cfg(test)]
mod half_told;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use flow_dataflow::{JobConfig, Takeover};
use flow_sinks::{Adoption, Held, Store};
use flow_state::{Checkpoint, Put, StateStore};
use flow_topic::Topic;

use crate::clock;
use crate::failure::{Exit, Failure};
use crate::running::random;

/// Generations that a revision has room for, in stores whose numbers end at 2^63.
pub(crate) const GENERATIONS: u64 = 1 << 15;

/// Takes them over, if there is anything to be taken over.
///
/// # Errors
/// If a store cannot be reached, or the state is damaged or does not fit topic and options: then nothing has changed. Later: it is to be
/// done again.
pub(crate) fn adopt(
    config: &JobConfig,
    topic: &dyn Topic,
    state: &StateStore,
    stores: &mut [Store],
) -> Result<(), Failure> {
    let mut halves = half::all(stores);
    let mut held = Vec::new();
    for half in &mut halves {
        held.push(half.held()?);
    }
    let newest = state.newest()?;
    let (job, number) = match &newest {
        Some(newest) => (newest.job.clone(), newest.number),
        None => (String::new(), 0),
    };
    if !held.iter().any(|held| held.is_strange(&job, number)) {
        tracing::info!("--adopt: nothing to adopt: every store is new, or goes on with this state");
        return Ok(());
    }
    let base = flow_dataflow::base(config, topic, newest)?;
    // A state that can't be restored must not take a store from a job that perhaps can.
    for name in base.segments.keys() {
        let file = state.open_segment(*name)?;
        let mut words = Vec::new();
        for shard in 0..file.shards() {
            file.read_words(shard, &mut words)?;
        }
    }
    let takeover = takeover(state, &base, &held)?;
    let (number, generation) = (takeover.number, takeover.generation);
    let from_secs = base.timeline.retired_secs;
    let checkpoint = flow_dataflow::adopted(base, takeover, config.rows.rollups);
    if state.put(&checkpoint)? == Put::Lost {
        let what =
            format!("checkpoint {number} of the adoption is another job's: two use one state");
        return Err(Failure::new(Exit::Taken, what));
    }
    let adoption = adoption(state, &checkpoint, topic.partitions()?)?;
    for (half, held) in halves.iter_mut().zip(&held) {
        if !held.jobs.is_empty() {
            half.adopt(&adoption)?;
            let jobs: Vec<&str> = held.jobs.iter().map(String::as_str).collect();
            let (written_by, job) = (jobs.join(", "), &adoption.job);
            tracing::warn!(sink = half.name(), written_by, job, "adopted");
        }
    }
    tracing::warn!(
        checkpoint = number,
        generation,
        slots_from_secs = from_secs,
        "every slot that has not retired in this state is written anew; take --adopt away again"
    );
    Ok(())
}

/// A number and a generation above all there are, under a new id.
fn takeover(state: &StateStore, base: &Checkpoint, held: &[Held]) -> Result<Takeover, Failure> {
    let highest = held.iter().map(|held| held.highest).max().unwrap_or(0);
    let of_state = base.generations.iter().map(|(_, g)| u64::from(*g)).max();
    let of_stores = held.iter().map(|held| held.generation).max();
    let generation = of_state.max(of_stores).unwrap_or(0) + 1;
    let fits = u32::try_from(generation)
        .ok()
        .filter(|_| generation < GENERATIONS);
    let generation = fits.ok_or_else(|| {
        let what = format!("generation {generation} has no room in a revision");
        Failure::new(Exit::Config, what).hint("begin anew with a new database")
    })?;
    Ok(Takeover {
        job: format!("{:016x}", random()),
        attempt: random(),
        number: state.next_number()?.max(highest.saturating_add(1)),
        generation,
    })
}

/// What the stores are told, by what the state has.
fn adoption(
    state: &StateStore,
    adopted: &Checkpoint,
    partitions: u32,
) -> Result<Adoption, Failure> {
    let mut adoption = Adoption {
        job: adopted.job.clone(),
        number: adopted.number,
        now_secs: clock::now_ns() / 1_000_000_000,
        ..Adoption::default()
    };
    let start = |p: &u32| adopted.starts.get(p).copied().unwrap_or(0);
    for number in state.numbers()? {
        // One that cannot be read is passed over, as by who follows them.
        let Ok(Some(checkpoint)) = state.checkpoint(number) else {
            continue;
        };
        let at = |p: u32| checkpoint.cut.get(&p).map_or(start(&p), |at| at.offset);
        let cut: BTreeMap<u32, u64> = (0..partitions).map(|p| (p, at(p))).collect();
        adoption.cuts.insert(number, cut);
        adoption.known.insert(checkpoint.job, number);
    }
    Ok(adoption)
}
