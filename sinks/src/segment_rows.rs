//! The rows that a store lacks, read from the segments that the newest checkpoint lists.
//!
//! Always from files: the newest ones are in the page cache, a second copy in memory would only have to be bounded,
//! and the way of a store that is far behind is the way every store takes. One shard of one segment is in memory at
//! a time. Law 6: only complete groups, only segments above the cursor, from the newest checkpoint, never an old one.

use std::cell::Cell;
use std::collections::BTreeSet;

use flow_proto::{Rollup, Rollups, RowView, text_of, words_of};
use flow_state::{Checkpoint, Group, SegmentName, StateError, StateStore};

use crate::{Row, Rows, SinkError};

/// Of a group that is wanted: its rollup, the version of its tables, the revision of its rows.
type Wanted = (Rollup, u32, u64);

/// Rows numbered above a cursor, of some shards.
#[derive(Debug)]
pub(crate) struct SegmentRows<'a> {
    state: &'a StateStore,
    checkpoint: &'a Checkpoint,
    shards: &'a [u16],
    rollups: Rollups,
    /// Segments in ascending order, each with the groups that are wanted of it.
    wanted: Vec<(SegmentName, BTreeSet<Group>)>,
    /// A listed segment was missing: the job may have moved on and let go of it.
    outrun: Cell<bool>,
}

/// Whether a store at `from` can hold a complete group whole: it was there when the group completed, or the segment
/// that was written then is still listed. That of a retired group is let go once every store has it: a store that
/// begins later must not be given the corrections alone.
pub(crate) fn reaches(checkpoint: &Checkpoint, from: u64, group: &Group) -> bool {
    checkpoint.complete.get(group).is_some_and(|completed| {
        let mut segments = checkpoint.segments.iter();
        from >= *completed
            || segments.any(|(name, groups)| name.number == *completed && groups.contains(group))
    })
}

impl<'a> SegmentRows<'a> {
    pub(crate) fn new(
        state: &'a StateStore,
        checkpoint: &'a Checkpoint,
        from: u64,
        (shards, rollups): (&'a [u16], Rollups),
    ) -> SegmentRows<'a> {
        let above = checkpoint
            .segments
            .iter()
            .filter(|(name, _)| name.number > from);
        let wanted = above
            .map(|(name, groups)| {
                let complete = groups.iter().filter(|g| reaches(checkpoint, from, g));
                (*name, complete.copied().collect::<BTreeSet<Group>>())
            })
            .filter(|(_, groups)| !groups.is_empty())
            .collect();
        SegmentRows {
            state,
            checkpoint,
            shards,
            rollups,
            wanted,
            outrun: Cell::new(false),
        }
    }

    /// The groups of which there are rows.
    pub(crate) fn groups(&self) -> BTreeSet<Group> {
        self.wanted
            .iter()
            .flat_map(|(_, groups)| groups)
            .copied()
            .collect()
    }

    /// Whether a listed segment was missing.
    pub(crate) fn outrun(&self) -> bool {
        self.outrun.get()
    }

    fn read(&self, result: Result<(), StateError>) -> Result<(), SinkError> {
        if let Err(StateError::Missing { .. }) = result {
            self.outrun.set(true);
        }
        Ok(result?)
    }

    fn shard(
        &self,
        number: u64,
        groups: &BTreeSet<Group>,
        (words, record_words): (&[u64], usize),
        take: &mut dyn FnMut(Row<'_>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        // Records come sorted by group, so the question whether one is wanted is asked once a group.
        let mut last: Option<(Group, Option<Wanted>)> = None;
        for record in words.chunks_exact(record_words.max(1)) {
            let Some(record) = RowView::of_words(record) else {
                continue; // too short for any record of ours
            };
            let group = Group {
                rollup: record.rollup,
                slot_secs: record.slot_secs,
            };
            let answer = match last {
                Some((known, answer)) if known == group => answer,
                _ if groups.contains(&group) => {
                    let known = self.rollups.get(group.rollup);
                    let rollup = known.ok_or_else(|| unknown_rollup(group))?;
                    Some((
                        rollup,
                        table_version(self.checkpoint, self.last_slot(rollup, group)),
                        self.revision(number, (rollup, group)),
                    ))
                }
                _ => None,
            };
            last = Some((group, answer));
            if let Some((rollup, table_version, revision)) = answer {
                says_texts(rollup, &record)?;
                take(Row {
                    rollup,
                    record,
                    table_version,
                    revision,
                })?;
            }
        }
        Ok(())
    }

    /// `generation << 48 | checkpoint number`.
    fn revision(&self, number: u64, (rollup, group): (Rollup, Group)) -> u64 {
        let generation = self
            .checkpoint
            .generation(group.slot_secs, rollup.window_secs());
        u64::from(generation) << 48 | number
    }

    /// Law 3: the last slot of the base window in a group's slot, whose tables its rows name.
    fn last_slot(&self, rollup: Rollup, group: Group) -> u64 {
        rollup.end(group.slot_secs) - self.rollups.base().window_secs()
    }
}

impl Rows for SegmentRows<'_> {
    fn for_each(
        &self,
        take: &mut dyn FnMut(Row<'_>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let mut words: Vec<u64> = Vec::new();
        for (name, groups) in &self.wanted {
            let mut opened = None;
            self.read(
                self.state
                    .open_segment(*name)
                    .map(|file| opened = Some(file)),
            )?;
            let Some(file) = opened else { continue };
            for shard in self.shards {
                self.read(file.read_words(usize::from(*shard), &mut words))?;
                let records = (words.as_slice(), file.record_bytes() / size_of::<u64>());
                self.shard(name.number, groups, records, take)?;
            }
        }
        Ok(())
    }
}

/// Version of the tables that hold for a slot; 0 if there are none.
fn table_version(checkpoint: &Checkpoint, slot_secs: u64) -> u32 {
    let versions = &checkpoint.timeline.versions;
    let holds = versions.iter().rev().find(|(from, _)| *from <= slot_secs);
    holds.map_or(0, |(_, version)| version.number)
}

/// Every text of a row must be known: shown by its words it would be another row.
fn says_texts(rollup: Rollup, record: &RowView<'_>) -> Result<(), SinkError> {
    let texts = rollup
        .values(record.key)
        .filter(|(dimension, _)| dimension.is_text());
    for (dimension, words) in texts {
        if text_of(words_of(words)).is_none() {
            return Err(SinkError::fatal(format!(
                "state: no version of the tables says what {} of a row of {} is; restart the job",
                dimension.name(),
                rollup.table()
            )));
        }
    }
    Ok(())
}

fn unknown_rollup(group: Group) -> SinkError {
    SinkError::fatal(format!(
        "state: rollup number {} is unknown to this program; use the release that wrote the state",
        group.rollup
    ))
}
