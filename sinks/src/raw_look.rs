//! A store's raw flows, looked at: its cursors, and the flows of some slots one after the other.
//!
//! Law: by questions that change nothing, on a connection of its own; memory does not grow with the number of flows.

use std::collections::BTreeMap;
use std::fmt;

use flow_proto::{Coordinate, EnrichedFlow};

use crate::columns::{Kind, Value};
use crate::look::{Answer, unreadable};
use crate::raw_columns::{RAW_CURSORS, RAW_FLOWS, raw_flows};
use crate::raw_texts::{self, Held, RawTexts};
use crate::{RawCursors, SinkError};

/// Takes one row of an answer.
pub(crate) type Take<'a> = dyn FnMut(Answer) -> Result<(), SinkError> + 'a;
/// Asks a store one question of SQL, and hands its answer over row by row.
pub(crate) type Each = Box<dyn FnMut(&str, &mut Take<'_>) -> Result<(), SinkError> + Send>;

/// Which raw flows: slots, and of each partition where in the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRange {
    /// Slots that start in [first, second).
    pub slots: (u64, u64),
    /// Partitions that are not named are left aside.
    pub places: Vec<RawPlace>,
}

/// Offsets of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPlace {
    /// The partition.
    pub partition: u32,
    /// The first,
    pub first: u64,
    /// up to before this one.
    pub end: u64,
    /// Flows that are said to count, wherever they stand below this: none of the slots' can outside of first to end.
    pub below: u64,
}

impl RawRange {
    /// The same places, of one slot.
    #[must_use]
    pub fn of_slot(&self, slot_secs: u64, window_secs: u64) -> RawRange {
        RawRange {
            slots: (slot_secs, slot_secs + window_secs),
            places: self.places.clone(),
        }
    }

    /// As a condition; `time` writes seconds as a time.
    pub(crate) fn condition(&self, time: fn(u64) -> String) -> String {
        let place = |place: &RawPlace| {
            format!(
                "(topic_partition = {} AND topic_offset < {} AND (counted OR (topic_offset >= {} AND topic_offset < {})))",
                place.partition, place.below, place.first, place.end
            )
        };
        let places: Vec<String> = self.places.iter().map(place).collect();
        let places = match places.is_empty() {
            true => "(1 = 0)".to_owned(),
            false => places.join(" OR "),
        };
        let (from, to) = self.slots;
        format!(
            "slot >= {} AND slot < {} AND ({places})",
            time(from),
            time(to)
        )
    }
}

/// How a store has its raw flows.
pub(crate) struct RawWords {
    /// A table, or a question in its place, with columns of our names.
    pub(crate) from: String,
    /// The table of cursors.
    pub(crate) cursors: String,
    /// Each column as text, and how it holds numbers.
    pub(crate) columns: Vec<(String, Held)>,
    /// Seconds since 1970 as a time.
    pub(crate) time: fn(u64) -> String,
    /// Any expression as text.
    pub(crate) text: fn(&str) -> String,
}

/// A store whose raw flows are only looked at.
pub struct RawLook {
    name: String,
    retention_secs: Option<u64>,
    words: RawWords,
    each: Each,
    held: Vec<Held>,
    kinds: Vec<Kind>,
    values: Vec<Value>,
}

impl fmt::Debug for RawLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawLook").field("name", &self.name).finish()
    }
}

impl RawLook {
    pub(crate) fn new(
        (name, retention_secs): (String, Option<u64>),
        words: RawWords,
        each: Each,
    ) -> RawLook {
        RawLook {
            name,
            retention_secs,
            held: words.columns.iter().map(|(_, held)| *held).collect(),
            words,
            each,
            kinds: raw_texts::kinds(),
            values: Vec::new(),
        }
    }

    /// The store's URL without secrets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Flows further than this below the watermark are deleted. Seconds; `None`: kept.
    pub fn retention_secs(&self) -> Option<u64> {
        self.retention_secs
    }

    /// A flow of the topic as the store has it.
    pub fn texts(&mut self, flow: &EnrichedFlow) -> RawTexts {
        raw_texts::texts(flow, &self.held, &mut self.values)
    }

    /// What makes texts of flows, for another thread.
    pub fn writer(&self) -> impl FnMut(&EnrichedFlow) -> RawTexts + Send + use<> {
        let (held, mut values) = (self.held.clone(), Vec::new());
        move |flow| raw_texts::texts(flow, &held, &mut values)
    }

    /// Which checkpoint of which job each partition stands at.
    ///
    /// # Errors
    /// `Retry` if the store cannot be reached now, `Refused` if two jobs have written it.
    pub fn cursors(&mut self) -> Result<RawCursors, SinkError> {
        let text = self.words.text;
        let statement = format!(
            "SELECT {}, {}, job FROM {} GROUP BY topic_partition, job",
            text("topic_partition"),
            text("max(checkpoint)"),
            self.words.cursors
        );
        let mut found: BTreeMap<u32, u64> = BTreeMap::new();
        let mut jobs = Vec::new();
        let name = &self.name;
        (self.each)(&statement, &mut |row| {
            let [Some(partition), Some(checkpoint), Some(job)] = row.as_slice() else {
                return Err(unreadable(name, RAW_CURSORS));
            };
            let parsed = partition.parse().ok().zip(checkpoint.parse().ok());
            let (partition, checkpoint) = parsed.ok_or_else(|| unreadable(name, RAW_CURSORS))?;
            found.insert(partition, checkpoint);
            if !jobs.contains(job) {
                jobs.push(job.clone());
            }
            Ok(())
        })?;
        if jobs.len() > 1 {
            return Err(SinkError::refused(format!(
                "sink {name}: its raw cursors belong to two jobs"
            )));
        }
        Ok(RawCursors {
            job: jobs.pop(),
            by_partition: found,
        })
    }

    /// Hands over each flow of a range; in the order of the topic if that is asked for.
    ///
    /// # Errors
    /// The first of `take`; `Retry` if the store cannot be reached now.
    pub fn rows(
        &mut self,
        (range, in_order): (&RawRange, bool),
        take: &mut dyn FnMut(RawTexts, Coordinate) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let columns: Vec<&str> = self.words.columns.iter().map(|(c, _)| &**c).collect();
        let mut statement = format!(
            "SELECT {} FROM {} AS f WHERE {}",
            columns.join(", "),
            self.words.from,
            range.condition(self.words.time)
        );
        if in_order {
            statement += " ORDER BY f.topic_partition, f.topic_offset, f.flow_index";
        }
        let (name, kinds) = (&self.name, &self.kinds);
        (self.each)(&statement, &mut |row| {
            let flow = RawTexts::of_store(kinds, row);
            let at = flow.at().ok_or_else(|| unreadable(name, RAW_FLOWS))?;
            take(flow, at)
        })
    }
}

/// How a store that keeps these kinds in these forms has the columns.
pub(crate) fn columns(
    text: impl Fn(&str, Kind) -> String,
    held: impl Fn(Kind) -> Held,
) -> Vec<(String, Held)> {
    let columns = raw_flows().columns.into_iter();
    columns
        .map(|column| (text(column.name, column.kind), held(column.kind)))
        .collect()
}

/// That a store has none.
pub(crate) fn none(name: &str, why: &str) -> SinkError {
    SinkError::refused(format!(
        "sink {name}: has no raw flows ({why}); leave --raw away, or name the store as the job's `run` does"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_condition_that_holds_without_places_too() {
        let mut range = RawRange {
            slots: (300, 900),
            places: vec![RawPlace {
                partition: 2,
                first: 5,
                end: 9,
                below: 11,
            }],
        };
        assert_eq!(
            range.of_slot(600, 300).condition(|secs| secs.to_string()),
            "slot >= 600 AND slot < 900 AND ((topic_partition = 2 AND topic_offset < 11 AND (counted OR (topic_offset >= \
             5 AND topic_offset < 9))))"
        );
        range.places.clear();
        let nothing = range.condition(|secs| secs.to_string());
        assert!(nothing.ends_with("AND ((1 = 0))"), "{nothing}");
    }
}
