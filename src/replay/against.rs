//! `verify --against`: compares two stores with each other, without topic and state.
//!
//! Law 6: slots that both stores call retired are final in both; of one job, slots that are not are compared while both
//! stand at the same checkpoint. It reads.

use std::collections::{BTreeMap, BTreeSet};

use flow_dataflow::key;
use flow_proto::{Rollup, Rollups};
use flow_sinks::{Difference, DifferenceKind, Look, SlotState, StoredSlot, compare};
use serde_json::Map;

use super::base::{Slots, looked_at};
use super::slot_row::{difference, row};
use super::verify::{Tally, conclude, until_asked};
use crate::failure::{Exit, Failure};
use crate::{cli, clock, signals};

/// One of the two.
struct Side {
    look: Look,
    slots: BTreeMap<u64, StoredSlot>,
    /// The last of them that is retired.
    last_retired: Option<u64>,
    job: Option<String>,
    /// The checkpoint at which all of its shards stand.
    at: Option<u64>,
}

impl Side {
    fn open(url: &str, range: (Slots, Rollup)) -> Result<Side, Failure> {
        let (look, cursors, slots) = looked_at(url, range)?;
        let retired = slots
            .values()
            .filter(|slot| slot.state == SlotState::Retired.name());
        Ok(Side {
            look,
            last_retired: retired.map(|slot| slot.slot_secs).max(),
            at: cursors.even(key::SHARDS),
            job: cursors.job,
            slots,
        })
    }

    /// Whether it is through with a slot: slots retire in their order, so that one which it does not know has been passed.
    fn is_final(&self, slot_secs: u64) -> bool {
        self.at.is_some()
            && match self.slots.get(&slot_secs) {
                Some(slot) => slot.state == SlotState::Retired.name(),
                None => self.last_retired.is_some_and(|last| slot_secs < last),
            }
    }

    fn has_moved(&mut self) -> Result<bool, Failure> {
        Ok(self.look.cursors()?.even(key::SHARDS) != self.at)
    }
}

/// Compares each store with the other one.
pub(super) fn run(options: &cli::Verify, other: &str) -> Result<(), Failure> {
    let asked = signals::install()?;
    let range = starts(&options.range)?;
    let (all, rollups) = rollups(&options.range)?;
    let mut tallies = Vec::new();
    for url in &options.sink {
        let of_base = (range, all.base());
        let (mut one, mut two) = (Side::open(url, of_base)?, Side::open(other, of_base)?);
        let mut tally = Tally::new(one.look.name(), Some(two.look.name()));
        let mut slots: BTreeSet<u64> = one.slots.keys().chain(two.slots.keys()).copied().collect();
        for rollup in rollups.iter().copied() {
            slots.extend(one.look.slots_with_rows(rollup, range)?);
            slots.extend(two.look.slots_with_rows(rollup, range)?);
        }
        for slot_secs in slots {
            until_asked(&asked)?;
            match slot(&mut one, &mut two, (slot_secs, &rollups), &mut tally)? {
                true => tally.compared += 1,
                false => drop(tally.not_compared.insert(slot_secs)),
            }
        }
        tally.tell();
        tallies.push(tally);
    }
    conclude(&tallies, false)
}

/// The rollups that there are, and those that are compared. No state names them here: the options do, as `run` is given them,
/// unless they are the standard ones.
fn rollups(range: &cli::Range) -> Result<(Rollups, Vec<Rollup>), Failure> {
    if range.rollup.iter().any(|given| given.contains('=')) {
        let all = crate::run::rollups(&range.rollup)?;
        return Ok((all, all.iter().collect()));
    }
    let all = Rollups::STANDARD;
    Ok((all, range.rollups(all)?))
}

/// The range as it is given: how wide a slot is stands in neither store.
fn starts(range: &cli::Range) -> Result<Slots, Failure> {
    let now = clock::now_ns();
    let secs = |when: crate::units::When| when.resolve_ns(now).div_ceil(1_000_000_000);
    let from = range.from.map_or(1, secs).max(1);
    let to = range.to.map_or(0, secs).min(u32::MAX.into());
    if from < to {
        return Ok((from, to));
    }
    let what = "--from and --to: no slot starts between them";
    Err(Failure::new(Exit::Usage, what).hint("--to is the later one"))
}

/// Compares one. False: it is not final in both, and they do not stand at the same checkpoint of the same job.
fn slot(
    one: &mut Side,
    two: &mut Side,
    (slot_secs, rollups): (u64, &[Rollup]),
    tally: &mut Tally,
) -> Result<bool, Failure> {
    let same_job = one.job.is_some() && one.job == two.job;
    let is_final = one.is_final(slot_secs) && two.is_final(slot_secs);
    let even = same_job && one.at.is_some() && one.at == two.at;
    if !is_final && !even {
        return Ok(false);
    }
    let mut found: Vec<(_, Vec<Difference>, u64)> = Vec::new();
    for rollup in rollups.iter().copied() {
        let (ours, unreadable) = one.look.rows(rollup, slot_secs)?;
        let (theirs, more) = two.look.rows(rollup, slot_secs)?;
        let said = theirs
            .iter()
            .map(|row| (row.key.clone(), (row.sums, row.table_version)));
        let mut differences = compare((rollup, slot_secs), said, &ours, &|_| true);
        if !same_job {
            // Each job counts the versions of its tables for itself.
            differences.retain(|difference| difference.kind() != DifferenceKind::TableVersion);
        }
        found.push((rollup, differences, unreadable + more));
    }
    // One of them may have been filled by a replay: any generation.
    let row = two.slots.get(&slot_secs).map(|slot| row(slot, None));
    let row = row.and_then(|row| difference(&row, one.slots.get(&slot_secs)));
    let alone = one.slots.contains_key(&slot_secs) != two.slots.contains_key(&slot_secs);
    let differs = row.is_some()
        || alone
        || found
            .iter()
            .any(|(_, rows, bad)| !rows.is_empty() || *bad > 0);
    if differs && !is_final && (one.has_moved()? || two.has_moved()?) {
        return Ok(false);
    }
    let known = Map::new();
    for (rollup, differences, unreadable) in &found {
        tally.rows(
            (differences, *unreadable),
            (rollup.table(), slot_secs),
            &known,
        )?;
    }
    tally.slot_row(row, slot_secs, &known)?;
    if let (Some(ours), None) = (one.slots.get(&slot_secs), two.slots.get(&slot_secs)) {
        tally.extra_slot_row(ours, &known)?;
    }
    Ok(true)
}
