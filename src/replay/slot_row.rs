//! A slot's row in the table `slots`: what it should say, as far as that is known, beside what it says.
//!
//! Law 7: flows in rows and refused flows are those of the topic. What the job has let go of is not compared.

use flow_sinks::StoredSlot;
use flow_state::SlotCounts;
use serde_json::{Map, Value};

/// What a row should say.
#[derive(Debug)]
pub(super) struct SlotRow {
    pub(super) state: &'static str,
    pub(super) flows: u64,
    /// `None`: nobody knows any more.
    pub(super) known: Option<Known>,
}

/// What is on record as long as a slot's counts can change, and of a slot that was replaced.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) counts: SlotCounts,
    pub(super) partial: bool,
    pub(super) missing_partitions: Vec<u32>,
}

/// Columns of a row of `slots`: as they should be, and as they are, if there is a row.
pub(crate) type RowDifference = (Map<String, Value>, Option<Map<String, Value>>);

/// The columns that differ, by name: as they should be, and as they are. A slot of which nothing is known needs no row.
pub(super) fn difference(wanted: &SlotRow, stored: Option<&StoredSlot>) -> Option<RowDifference> {
    let wanted = columns(wanted);
    let Some(stored) = stored else {
        let flows = wanted.get("flows").and_then(Value::as_u64);
        return flows
            .is_some_and(|flows| flows > 0)
            .then_some((wanted, None));
    };
    let found = columns(&SlotRow {
        state: "",
        flows: stored.flows,
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
    });
    let (mut should, mut is) = (Map::new(), Map::new());
    for (name, value) in wanted {
        let held = match name.as_str() {
            "state" => Value::from(stored.state.as_str()),
            name => found.get(name).cloned().unwrap_or_default(),
        };
        if held != value {
            should.insert(name.clone(), value);
            is.insert(name, held);
        }
    }
    (!should.is_empty()).then_some((should, Some(is)))
}

fn columns(row: &SlotRow) -> Map<String, Value> {
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
    put("state", row.state.into());
    put("flows", row.flows.into());
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
            state: "retired",
            flows: 9,
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
        assert!(difference(&wanted(true), None).is_some());
        let none = SlotRow {
            flows: 0,
            ..wanted(false)
        };
        assert!(difference(&none, None).is_none());
    }
}
