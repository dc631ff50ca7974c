//! The end of a run: what the stores hold, compared with what the oracle says of the topic and the recorded timeline.
//!
//! Law 7: rows, counts, conservation by slot. Raw flows: each exactly once, judged and enriched as the oracle does. Law 8:
//! no file is left that nobody needs.

use std::collections::{BTreeMap, BTreeSet};

use flow_proto::{Rollups, Verdict};
use flow_sinks::SlotState;
use flow_state::{Checkpoint, Objects, SlotCounts};

use crate::database::Database;
use crate::judge::{Asked, judge};
use crate::oracle::{Fate, Output, Slot};
use crate::raw_database::{Flows, Kept};
use crate::recorded::Recordings;
use crate::rows::Written;
use crate::sim::Sim;

impl Sim {
    /// Everything that must hold at rest.
    pub(crate) fn last(&self) -> Result<(), String> {
        self.judge(true)
    }

    /// The same; `idle`: nothing is left to be deleted.
    pub(crate) fn judge(&self, idle: bool) -> Result<(), String> {
        let newest = self.chain.newest().ok_or("no checkpoint was ever put")?;
        let expected = judge(&self.topic, newest, &self.config.rows, Asked::Fates);
        let total = expected.total();
        if total.flows + total.too_early + total.too_late + total.implausible != expected.flows {
            return Err("the oracle has lost a flow".to_owned());
        }
        for database in &self.databases {
            database.land_all();
            let expected = (&expected, self.config.rows.rollups);
            rows(database, expected, &self.recordings, newest)?;
            slots(database, expected, &self.recordings, newest)?;
        }
        for database in &self.raw_databases {
            database.land_all();
            database.look(|flows| raw(flows, &expected, newest))?;
        }
        if idle { self.files(newest) } else { Ok(()) }
    }

    /// Only what the two newest checkpoints list is kept.
    fn files(&self, newest: &Checkpoint) -> Result<(), String> {
        let state = &self.state;
        if !newest.segments.is_empty() {
            return Err(format!(
                "all slots are retired and every store has them, yet listed: {:?}",
                newest.segments
            ));
        }
        let numbers = state.numbers().map_err(|e| e.to_string())?;
        let mut listed = BTreeSet::new();
        for number in numbers.iter().rev().take(2) {
            let read = state.checkpoint(*number).map_err(|e| e.to_string())?;
            listed.extend(
                read.iter()
                    .flat_map(|checkpoint| checkpoint.segments.keys().copied()),
            );
        }
        let found = self.objects.reliable().list("segments");
        for name in found.map_err(|e| e.to_string())? {
            let known = listed.iter().any(|listed| {
                let (number, attempt, process) = (listed.number, listed.attempt, listed.process);
                name == format!("{number:020}-{attempt:016x}-{process:010}")
            });
            if !known {
                return Err(format!("segment {name} is left over"));
            }
        }
        Ok(())
    }
}

/// A slot has the rows that were recorded of its generation, else those of the oracle. Where a replacement was cut short,
/// some of the next generation stand beside them, as recorded, too.
fn rows(
    database: &Database,
    (expected, rollups): (&Output, Rollups),
    recordings: &Recordings,
    newest: &Checkpoint,
) -> Result<(), String> {
    // A longer slot names the version of the last one within it.
    let version = |rollup: u16, slot: u64| {
        let slot = rollups.end(rollup, slot) - 300;
        let versions = newest.timeline.versions.iter().rev();
        let mut holds = versions.filter(|(from, _)| *from <= slot);
        holds.next().map_or(0, |(_, version)| version.number)
    };
    let want = expected.rows.iter();
    let mut want: BTreeMap<_, _> = want
        .map(|(key, sums)| (*key, (*sums, version(key.0, key.1))))
        .collect();
    let got: BTreeMap<_, _> = database.look(|tables| {
        want.retain(|key, _| tables.floor((key.0, key.1)) == 0);
        for (place, (_, slot)) in tables.slots.iter().filter(|(_, (_, s))| s.generation > 0) {
            let recorded = recordings.of(place.1, slot.generation);
            let rows = recorded.iter().flat_map(|all| all.rows.values());
            let ours = rows.filter(|row| (row.key.0, row.key.1) == *place);
            want.extend(ours.map(|row| (row.key, (row.sums.values(), row.table_version))));
        }
        let ahead = |row: &&Written| row.generation() > tables.floor((row.key.0, row.key.1));
        for row in tables.seen().filter(ahead) {
            want.insert(row.key, (row.sums.values(), row.table_version));
        }
        let rows = tables.seen();
        rows.map(|row| (row.key, (row.sums.values(), row.table_version)))
            .collect()
    });
    differ(database.name, "row", &want, &got)
}

fn slots(
    database: &Database,
    (expected, rollups): (&Output, Rollups),
    recordings: &Recordings,
    newest: &Checkpoint,
) -> Result<(), String> {
    let state = |slot: u64, end: u64| match slot {
        0 => SlotState::Elsewhere,
        _ if end <= newest.timeline.retired_secs => SlotState::Retired,
        _ => SlotState::Open, // of what was refused there
    };
    let mut want = BTreeMap::new();
    for (slot, counts) in &expected.slots {
        let all = rollups.iter().take(if *slot == 0 { 1 } else { usize::MAX });
        for rollup in all {
            let start = slot / rollup.window_secs() * rollup.window_secs();
            let end = start + rollup.window_secs();
            let held = want.entry((rollup.number(), start));
            let (_, all): &mut (_, Slot) = held.or_insert((state(*slot, end), Slot::default()));
            all.flows += counts.flows;
            all.too_early += counts.too_early;
            all.too_late += counts.too_late;
            all.implausible += counts.implausible;
        }
    }
    let counts = |counts: SlotCounts| Slot {
        flows: counts.flows,
        too_early: counts.too_early,
        too_late: counts.too_late,
        implausible: counts.implausible,
    };
    let got: BTreeMap<_, _> = database.look(|tables| {
        for (place, (_, row)) in &tables.slots {
            if let Some(recorded) = recordings.of(place.1, row.generation) {
                want.insert(*place, (SlotState::Retired, counts(recorded.counts)));
            }
        }
        let slots = tables.slots.iter();
        slots
            .map(|(key, (_, row))| (*key, (row.state, counts(row.counts.unwrap_or_default()))))
            .collect()
    });
    differ(database.name, "slot", &want, &got)
}

fn raw(flows: &Flows, expected: &Output, newest: &Checkpoint) -> Result<(), String> {
    let versions = &newest.timeline.versions;
    let want: BTreeMap<_, _> = expected
        .fates
        .iter()
        .map(|(at, fated)| {
            let kept = Kept {
                verdict: match fated.fate {
                    Fate::Counts => Verdict::Counts,
                    Fate::Implausible => Verdict::Implausible,
                    Fate::TooEarly => Verdict::TooEarly,
                    Fate::TooLate => Verdict::TooLate,
                },
                slot: fated.slot,
                received_ns: u64::try_from(fated.received).unwrap_or(0),
                table_version: fated.version.map_or(0, |place| versions[place].1.number),
                by_as: fated.by_as,
            };
            (*at, vec![kept])
        })
        .collect();
    differ("raw flows", "flow", &want, flows)
}

/// The first key at which the two differ.
pub(crate) fn differ<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    name: &str,
    what: &str,
    want: &BTreeMap<K, V>,
    got: &BTreeMap<K, V>,
) -> Result<(), String> {
    let mut keys = want.keys().chain(got.keys());
    match keys.find(|key| want.get(key) != got.get(key)) {
        None => Ok(()),
        Some(key) => Err(format!(
            "{name}: {what} {key:?}: oracle {:?}, store {:?}",
            want.get(key),
            got.get(key)
        )),
    }
}
