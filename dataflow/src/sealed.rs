//! Sealed rows on their way from the workers to a file: by shard, in records of whatever width the job's have.
//!
//! Only the code that handles every flow is compiled for each width; from the seal on the width is a value. Law 10: rows are
//! sorted by group and key, whatever order they came in.

use flow_proto::{Record, RowRecord, WideRecord, WidestRecord};
use flow_state::{Group, SegmentName, StateError, StateStore};

use crate::window_state::Shards;

/// A record that a job can have.
pub(crate) trait Row: Record {
    /// Its sealed rows, with their width as a value.
    fn sealed(rows: Shards<Self>) -> SealedRows;
}

/// Rows of a checkpoint, by shard.
#[derive(Debug)]
pub(crate) enum SealedRows {
    Narrow(Shards<RowRecord>),
    Wide(Shards<WideRecord>),
    Widest(Shards<WidestRecord>),
}

macro_rules! row {
    ($record:ty, $variant:ident) => {
        impl Row for $record {
            fn sealed(rows: Shards<Self>) -> SealedRows {
                SealedRows::$variant(rows)
            }
        }
    };
}
row!(RowRecord, Narrow);
row!(WideRecord, Wide);
row!(WidestRecord, Widest);

impl Default for SealedRows {
    fn default() -> SealedRows {
        SealedRows::Narrow(Vec::new())
    }
}

impl SealedRows {
    /// Takes the rows of another worker of the same job.
    pub(crate) fn merge(&mut self, other: SealedRows) {
        match (self, other) {
            (SealedRows::Narrow(all), SealedRows::Narrow(more)) => merge(all, more),
            (SealedRows::Wide(all), SealedRows::Wide(more)) => merge(all, more),
            (SealedRows::Widest(all), SealedRows::Widest(more)) => merge(all, more),
            // A job has one width.
            _ => {}
        }
    }

    /// Sorts each shard; returns the groups that occur.
    pub(crate) fn sort(&mut self) -> Vec<Group> {
        match self {
            SealedRows::Narrow(rows) => sort(rows),
            SealedRows::Wide(rows) => sort(rows),
            SealedRows::Widest(rows) => sort(rows),
        }
    }

    /// Makes them durable.
    pub(crate) fn write(&self, state: &StateStore, name: SegmentName) -> Result<(), StateError> {
        match self {
            SealedRows::Narrow(rows) => state.write_segment(name, rows),
            SealedRows::Wide(rows) => state.write_segment(name, rows),
            SealedRows::Widest(rows) => state.write_segment(name, rows),
        }
    }
}

fn merge<R>(all: &mut Shards<R>, more: Shards<R>) {
    for (all, mut more) in all.iter_mut().zip(more) {
        // A shard lives on one worker, so at most one of them has rows of it.
        if all.is_empty() {
            *all = more;
        } else {
            all.append(&mut more);
        }
    }
}

fn sort<R: Record>(rows: &mut Shards<R>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for shard in rows {
        shard.sort_unstable_by_key(|row| {
            let view = row.view();
            (view.rollup, view.slot_secs, row.key())
        });
        for row in shard.iter().map(Record::view) {
            let group = Group {
                rollup: row.rollup,
                slot_secs: row.slot_secs,
            };
            if groups.last() != Some(&group) {
                groups.push(group);
            }
        }
    }
    groups.sort_unstable();
    groups.dedup();
    groups
}
