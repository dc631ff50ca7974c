//! A slot's row in the table `slots`: what it should say, as far as that is known, beside what it says.
//!
//! Law 7: flows in rows and refused flows are those of the topic. What the job has let go of is not compared.

use flow_sinks::StoredSlot;
use flow_state::SlotCounts;
use serde_json::{Map, Value};

use super::computed::Known;

/// What a row should say.
#[derive(Debug)]
pub(super) struct SlotRow {
    pub(super) state: String,
    pub(super) flows: u64,
    /// `None`: any.
    pub(super) generation: Option<u64>,
    /// `None`: nobody knows any more.
    pub(super) known: Option<Known>,
}

/// Columns of a row of `slots`: as they should be, and as they are, if there is a row.
pub(crate) type RowDifference = (Columns, Option<Columns>);

/// Columns of a row of `slots`, by name.
pub(crate) type Columns = Map<String, Value>;

/// The columns that differ, by name: as they should be, and as they are. A slot of which no flow is known needs no row.
pub(super) fn difference(wanted: &SlotRow, stored: Option<&StoredSlot>) -> Option<RowDifference> {
    let refused = wanted.known.as_ref().map_or(0, |known| {
        known.counts.too_early + known.counts.too_late + known.counts.implausible
    });
    let needed = wanted.flows > 0 || refused > 0;
    let wanted = columns(wanted);
    let Some(stored) = stored else {
        return needed.then_some((wanted, None));
    };
    let found = said(stored);
    let (mut should, mut is) = (Map::new(), Map::new());
    for (name, value) in wanted {
        let held = found.get(&name).cloned().unwrap_or_default();
        if held != value {
            should.insert(name.clone(), value);
            is.insert(name, held);
        }
    }
    (!should.is_empty()).then_some((should, Some(is)))
}

/// What a row says.
pub(super) fn said(stored: &StoredSlot) -> Columns {
    columns(&row(stored, Some(stored.generation)))
}

/// A row as it is, to be held against another one.
pub(super) fn row(stored: &StoredSlot, generation: Option<u64>) -> SlotRow {
    SlotRow {
        state: stored.state.clone(),
        flows: stored.flows,
        generation,
        known: Some(Known {
            counts: SlotCounts {
                too_early: stored.too_early,
                too_late: stored.too_late,
                implausible: stored.implausible,
                ..SlotCounts::default()
            },
            partial: stored.partial,
            missing_partitions: stored.missing_partitions.clone(),
        }),
    }
}

fn columns(row: &SlotRow) -> Columns {
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
    put("state", row.state.as_str().into());
    put("flows", row.flows.into());
    if let Some(generation) = row.generation {
        put("generation", generation.into());
    }
    if let Some(known) = &row.known {
        put("too_early", known.counts.too_early.into());
        put("too_late", known.counts.too_late.into());
        put("implausible", known.counts.implausible.into());
        put("partial", known.partial.into());
        put(
            "missing_partitions",
            known.missing_partitions.clone().into(),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> StoredSlot {
        StoredSlot {
            slot_secs: 300,
            state: "retired".to_owned(),
            partial: false,
            generation: 0,
            flows: 9,
            too_early: 1,
            too_late: 2,
            implausible: 3,
            missing_partitions: vec![4],
            complete_through_secs: None,
        }
    }

    fn wanted(known: bool) -> SlotRow {
        let counts = SlotCounts {
            too_early: 1,
            too_late: 2,
            implausible: 3,
            ..SlotCounts::default()
        };
        SlotRow {
            state: "retired".to_owned(),
            flows: 9,
            generation: Some(0),
            known: known.then_some(Known {
                counts,
                partial: false,
                missing_partitions: vec![4],
            }),
        }
    }

    #[test]
    fn each_column_that_is_known_is_compared() {
        assert!(difference(&wanted(true), Some(&stored())).is_none());
        let names = |stored: StoredSlot, known| {
            let found = difference(&wanted(known), Some(&stored));
            found.map(|(should, _)| should.keys().cloned().collect::<Vec<_>>())
        };
        let changed = |change: fn(&mut StoredSlot)| {
            let mut slot = stored();
            change(&mut slot);
            slot
        };
        for (name, of_job, slot) in [
            (
                "state",
                false,
                changed(|slot| slot.state = "open".to_owned()),
            ),
            ("flows", false, changed(|slot| slot.flows = 8)),
            ("generation", false, changed(|slot| slot.generation = 1)),
            ("too_early", true, changed(|slot| slot.too_early = 0)),
            ("too_late", true, changed(|slot| slot.too_late = 0)),
            ("implausible", true, changed(|slot| slot.implausible = 0)),
            ("partial", true, changed(|slot| slot.partial = true)),
            (
                "missing_partitions",
                true,
                changed(|slot| slot.missing_partitions.clear()),
            ),
        ] {
            assert_eq!(names(slot.clone(), true), Some(vec![name.to_owned()]));
            assert_eq!(names(slot, false).is_none(), of_job, "{name}");
        }
    }

    #[test]
    fn a_slot_with_flows_needs_a_row() {
        let needs_one = |known, flows| {
            let row = SlotRow {
                flows,
                ..wanted(known)
            };
            difference(&row, None).is_some()
        };
        assert!(needs_one(true, 9) && needs_one(false, 9));
        assert!(needs_one(true, 0), "some were refused");
        assert!(!needs_one(false, 0));
    }
}
