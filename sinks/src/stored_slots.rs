//! The rows of `slots` as a store holds them, for people.
//!
//! Law: one question for every store, which changes nothing; answers come as text and are read in one place.

use flow_proto::Rollup;

use crate::SinkError;
use crate::columns::SLOTS;
use crate::look::{Words, unreadable};

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotQuery {
    /// Of this rollup.
    pub rollup: Rollup,
    /// At most so many, the newest.
    pub newest: u32,
    /// Slots that start at or after this, seconds since 1970.
    pub from_secs: Option<u64>,
    /// Slots that start before this.
    pub to_secs: Option<u64>,
    /// Only those that are partial, lack a partition or have too early or too late flows.
    pub troubled: bool,
}

impl Default for SlotQuery {
    fn default() -> SlotQuery {
        SlotQuery {
            rollup: Rollup::AS,
            newest: u32::MAX,
            from_secs: None,
            to_secs: None,
            troubled: false,
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSlot {
    /// Its start, seconds since 1970; 0: `elsewhere`.
    pub slot_secs: u64,
    /// `open`, `complete`, `retired` or `elsewhere`.
    pub state: String,
    /// The job began within it.
    pub partial: bool,
    /// Number of times it has been replaced as a whole.
    pub generation: u64,
    /// Flows in rows.
    pub flows: u64,
    /// Refused flows.
    pub too_early: u64,
    /// Refused flows.
    pub too_late: u64,
    /// Refused flows.
    pub implausible: u64,
    /// Partitions of which flows may be missing.
    pub missing_partitions: Vec<u32>,
    /// Watermark of the checkpoint, seconds since 1970.
    pub complete_through_secs: Option<u64>,
}

impl StoredSlot {
    /// Whether a replay could make more of it: it is partial, lacks a partition, or has refused flows that are no error of
    /// theirs.
    pub fn is_troubled(&self) -> bool {
        let refused = self.too_early + self.too_late;
        self.partial || refused > 0 || !self.missing_partitions.is_empty()
    }
}

/// The question.
pub(crate) fn statement(query: &SlotQuery, words: &Words) -> String {
    let slot = (words.seconds)("slot");
    let plain = [
        "state",
        "generation",
        "flows",
        "too_early",
        "too_late",
        "implausible",
        "missing_partitions",
    ];
    let mut columns = vec![slot.clone(), (words.number)("partial")];
    columns.push((words.seconds)("complete_through"));
    columns.extend(plain.map(str::to_owned));
    let columns: Vec<String> = columns.iter().map(|column| (words.text)(column)).collect();
    let mut wanted = vec![format!("rollup = '{}'", query.rollup.table())];
    wanted.extend(query.from_secs.map(|secs| format!("{slot} >= {secs}")));
    wanted.extend(query.to_secs.map(|secs| format!("{slot} < {secs}")));
    if query.troubled {
        let missing = (words.text)("missing_partitions");
        wanted.push(format!(
            "(partial OR {missing} <> '[]' OR too_late > 0 OR too_early > 0)"
        ));
    }
    format!(
        "SELECT {} FROM {} WHERE {} ORDER BY slot DESC LIMIT {}",
        columns.join(", "),
        (words.table)(SLOTS),
        wanted.join(" AND "),
        query.newest
    )
}

/// A row of the answer; `name` is the store's.
pub(crate) fn row(values: &[Option<String>], name: &str) -> Result<StoredSlot, SinkError> {
    let strange = || unreadable(name, SLOTS);
    let [
        slot,
        partial,
        through,
        state,
        generation,
        flows,
        early,
        late,
        implausible,
        missing,
    ] = values
    else {
        return Err(strange());
    };
    let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u64>().ok());
    let list = missing
        .as_deref()
        .unwrap_or_default()
        .trim_matches(['[', ']']);
    let list = list
        .split(',')
        .map(str::trim)
        .filter(|number| !number.is_empty());
    Ok(StoredSlot {
        slot_secs: number(slot).ok_or_else(strange)?,
        state: state.clone().ok_or_else(strange)?,
        partial: number(partial).ok_or_else(strange)? > 0,
        generation: number(generation).ok_or_else(strange)?,
        flows: number(flows).ok_or_else(strange)?,
        too_early: number(early).ok_or_else(strange)?,
        too_late: number(late).ok_or_else(strange)?,
        implausible: number(implausible).ok_or_else(strange)?,
        missing_partitions: list
            .map(|number| number.parse().map_err(|_| strange()))
            .collect::<Result<_, _>>()?,
        complete_through_secs: number(through),
    })
}
