//! A checkpoint: what the job is after tick T, whole or absent.
//!
//! Law 5: number n is created by put-if-absent; its writer has succeeded only if n holds its own attempt's id
//! and no higher number exists. Law 3: the timeline (table versions, L, R) lives in checkpoints and nowhere else.
//! Nothing here knows what a flow is: groups, keys and rows are numbers and bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Gap, Swaps};

/// Seconds since 1970 (UTC) at which a slot starts.
pub type SlotSecs = u64;

/// Where one partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Flows of records below this offset are in the checkpoint.
    pub offset: u64,
    /// Partition clock: maximum of trusted receive times, ns since 1970; `i64::MIN` before the first record.
    pub clock_ns: i64,
    /// Offset, timestamp (ms) and crc32 of the last record below the cut: recognises a topic made anew.
    pub last_record: Option<(u64, i64, u32)>,
}

impl Position {
    /// Before the first record that is read: no clock yet, no record to be recognised by.
    pub fn beginning(offset: u64) -> Position {
        Position {
            offset,
            clock_ns: i64::MIN,
            last_record: None,
        }
    }
}

/// One rollup's slot: the unit that completes, freezes and retires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Group {
    /// The rollup's number.
    pub rollup: u16,
    /// Start of the slot.
    pub slot_secs: SlotSecs,
}

/// One retirement: slots that end at or below `line_secs` are retired for flows from `offsets` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retirement {
    /// R, seconds.
    pub line_secs: u64,
    /// First offset it holds for, per partition; a partition not named: from 0 on.
    pub offsets: BTreeMap<u32, u64>,
}

/// Versions of tables, L and R with its history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// L: table versions of slots that start below it are fixed. Seconds.
    pub fence_secs: u64,
    /// From which slot on which table version holds, ascending.
    pub versions: Vec<(SlotSecs, TableVersion)>,
    /// R: every slot that ends at or below it is retired. Seconds; 0 at first.
    pub retired_secs: u64,
    /// How R came about, ascending.
    pub retirements: Vec<Retirement>,
}

/// Versions that are kept on record: a year of daily swaps, 12 weeks of hourly ones.
const MOST_VERSIONS: usize = 2_000;

impl Timeline {
    /// From a slot on another version holds, in place of whatever was to hold there. Law 8: the oldest of very many go; a
    /// replay of their slots is refused then.
    pub fn hold(&mut self, from: SlotSecs, version: TableVersion) {
        self.versions.retain(|(start, _)| *start < from);
        self.versions.push((from, version));
        let over = self.versions.len().saturating_sub(MOST_VERSIONS);
        self.versions.drain(..over);
    }
}

/// One table version: its number, and the hash under which the set of its files is archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableVersion {
    /// Number that rows name.
    pub number: u32,
    /// Archive name of the set (hex of SHA-256).
    pub hash: String,
}

/// Flows kept out of a slot's rows, by reason, and what else is known of the slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotCounts {
    /// Flows in rows.
    pub flows: u64,
    /// Refused: the slot started after clock + earliness.
    pub too_early: u64,
    /// Refused: the slot was over for its partition's clock, or retired.
    pub too_late: u64,
    /// Refused: bytes or packets times rate above 2^50.
    pub implausible: u64,
    /// Number of the checkpoint in which the counts last changed. Sinks write the slot's row again if it is above
    /// their cursor; completion and retirement they see by `complete` and R.
    pub changed: u64,
}

/// What the next job has to take up. Serialized with postcard inside a checked frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its number, from 1 on.
    pub number: u64,
    /// Id of the attempt that wrote it (random per process start).
    pub attempt: u64,
    /// Id of the job: set with checkpoint 1; an adoption gives it another one, so that who wrote before is a stranger.
    pub job: String,
    /// Options that decide rows (window, lateness, slot time, …) as text; another one is refused at start.
    pub config: BTreeMap<String, String>,
    /// cut(T) and the partition clocks.
    pub cut: BTreeMap<u32, Position>,
    /// Watermark, ns since 1970; `i64::MIN` before the first record.
    pub watermark_ns: i64,
    /// Table versions, L, R.
    pub timeline: Timeline,
    /// Complete groups that are listed or not retired yet -> number of the checkpoint that completed them.
    pub complete: BTreeMap<Group, u64>,
    /// Counts per slot (0: `elsewhere`), of slots not retired, or whose counts some sink has not followed yet.
    pub slots: BTreeMap<SlotSecs, SlotCounts>,
    /// Slots that are partial: the first slot of a start that was not at the topic's beginning.
    pub partial: Vec<SlotSecs>,
    /// Segment name -> groups for which it is still needed.
    pub segments: BTreeMap<SegmentName, Vec<Group>>,
    /// Law 1: the recorded start, the first offset that the job has read of each partition. Not known of partitions
    /// that a job of release 0.1 had begun.
    pub starts: BTreeMap<u32, u64>,
    /// Law 1: the offsets that retention had deleted before the job could read them, in the order in which they were met.
    pub gaps: Vec<Gap>,
    /// One for each adoption: from which slot end on which generation holds.
    pub generations: Vec<(SlotSecs, u32)>,
    /// Which requests to swap tables are decided, and how.
    pub swaps: Swaps,
}

impl Checkpoint {
    /// Number of times that a slot has been replaced as a whole by an adoption: the highest of those that begin before
    /// its end. Slot 0, `elsewhere`, is no time and has the highest of all.
    pub fn generation(&self, slot_secs: SlotSecs, window_secs: u64) -> u32 {
        let end_secs = slot_secs.saturating_add(window_secs);
        let holds = |from: SlotSecs| slot_secs == 0 || from < end_secs;
        let of_slot = self.generations.iter().filter(|(from, _)| holds(*from));
        of_slot
            .map(|(_, generation)| *generation)
            .max()
            .unwrap_or(0)
    }
}

/// Name of a segment: (checkpoint number, attempt, process).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentName {
    /// The checkpoint it was written for.
    pub number: u64,
    /// The attempt that wrote it.
    pub attempt: u64,
    /// The process that wrote it.
    pub process: u32,
}
