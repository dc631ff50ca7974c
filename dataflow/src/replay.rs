//! Replay: the same job over a part of the topic that a job has read before, for a range of slots.
//!
//! Law 1: what it counts depends on the topic, the range and a checkpoint of that job alone. `AsRecorded` applies law 2 with
//! the recorded retirements, and gives the rows that the job has. `Every` counts every plausible flow of the slots that the
//! job has counted under them, refused or not: of each slot `flows + too_early + too_late` of the table `slots`.

use std::collections::BTreeMap;

use flow_proto::FlowCore;
use flow_state::{Checkpoint, Position, Retirement, SlotSecs, Swaps, TableVersion, Timeline};
use flow_topic::Topic;
use serde::{Deserialize, Serialize};

use crate::acceptance::{self, ELSEWHERE_SECS, Verdict};
use crate::config::RowConfig;
use crate::failure::JobError;
use crate::job::Job;
use crate::partial::Partial;
use crate::restore::{self, Start};
use crate::retained::{Lack, Needed, lack, nanos};
use crate::sampling::SamplingRates;

/// Which flows of the slots count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Counting {
    /// Those that counted for the job.
    AsRecorded,
    /// All that the job has seen in time for its slot's row in `slots`. The two say whether it has refused any of the
    /// range as too early or too late: they lie further away.
    Every {
        /// Some were too early.
        early: bool,
        /// Some were too late.
        late: bool,
    },
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Slots that start in [first, second).
    pub slots: (SlotSecs, SlotSecs),
    /// Which of their flows count.
    pub counting: Counting,
    /// That the topic does not hold all that is needed any more is no error.
    pub partial: bool,
    /// Rates that flows have in the place of their own.
    pub rates: SamplingRates,
    /// From which slot on which tables hold, ascending; mostly the checkpoint's own.
    pub versions: &'a [(SlotSecs, TableVersion)],
}

/// What is computed again, and from where to where the topic is read for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replay {
    /// The first slot.
    from_secs: SlotSecs,
    /// The first slot after the range.
    to_secs: SlotSecs,
    counting: Counting,
    positions: BTreeMap<u32, Position>,
    /// A partition ends here,
    ends: BTreeMap<u32, u64>,
    /// or where its clock reaches this: from there on none of its flows can count.
    pub end_clock_ns: i64,
    /// How long after its end a slot is held.
    pub(crate) hold_secs: u64,
    retirements: Vec<Retirement>,
    whole: bool,
    lacks: Vec<Lack>,
    pub(crate) rates: SamplingRates,
    versions: Vec<(SlotSecs, TableVersion)>,
}

impl Replay {
    /// As of a job's checkpoint: nothing that the job had not read by then is read.
    ///
    /// # Errors
    /// `OtherTopic` if the topic is not the one that the job has read, `Retained` if retention has deleted what is needed,
    /// the topic's own.
    pub fn of(
        checkpoint: &Checkpoint,
        topic: &dyn Topic,
        rows: &RowConfig,
        asked: &Asked<'_>,
    ) -> Result<Replay, JobError> {
        let ((from_secs, to_secs), counting) = (asked.slots, asked.counting);
        let (early, late) = match counting {
            Counting::AsRecorded => (false, false),
            Counting::Every { early, late } => (early, late),
        };
        // A flow counts from one window ahead on, by a clock that is at most this far ahead of the topic's timestamp.
        let ahead_secs = if early {
            ELSEWHERE_SECS
        } else {
            rows.window_secs
        };
        let after_secs = if late {
            ELSEWHERE_SECS.max(rows.lateness_secs)
        } else {
            rows.lateness_secs
        };
        let mut positions = BTreeMap::new();
        let mut ends = BTreeMap::new();
        let mut lacks = Vec::new();
        let mut all_whole = matches!(counting, Counting::Every { .. });
        for (partition, at) in &checkpoint.cut {
            let bounds = topic.bounds(*partition)?;
            restore::same_topic(topic, *partition, at, bounds)?;
            let start = checkpoint.starts.get(partition).copied().unwrap_or(0);
            let start = match counting {
                Counting::AsRecorded => start,
                Counting::Every { .. } => bounds.earliest.min(start),
            };
            let needed = Needed {
                partition: *partition,
                start,
                at,
                from_secs,
                ahead_secs,
            };
            let retained = (bounds, checkpoint.gaps.as_slice());
            lacks.extend(lack(topic, retained, &needed, asked.partial)?);
            let first = topic.offset_at(*partition, millis(needed.begin_secs()))?;
            let first = first.unwrap_or(at.offset).max(start).min(at.offset);
            // Nothing of the range can lie before a record that does not belong to it, or the topic's first.
            all_whole &= first > bounds.earliest || bounds.earliest == 0;
            positions.insert(*partition, Position::beginning(first));
            ends.insert(*partition, at.offset);
        }
        let holds = |(from, _): &(SlotSecs, TableVersion)| *from <= from_secs;
        let first = asked.versions.iter().rposition(holds);
        let versions = asked
            .versions
            .iter()
            .skip(first.unwrap_or(0))
            .filter(|(from, _)| *from < to_secs);
        Ok(Replay {
            from_secs,
            to_secs,
            counting,
            positions,
            ends,
            end_clock_ns: nanos(to_secs.saturating_add(after_secs)),
            hold_secs: if late {
                after_secs + rows.window_secs
            } else {
                rows.lateness_secs
            },
            whole: all_whole,
            lacks,
            rates: asked.rates.clone(),
            retirements: checkpoint.timeline.retirements.clone(),
            versions: versions.cloned().collect(),
        })
    }

    /// The versions of tables that the slots of the range have: to be at hand in the state that the replay works in.
    pub fn versions(&self) -> impl Iterator<Item = &TableVersion> {
        self.versions.iter().map(|(_, version)| version)
    }

    /// The first slot, and the first one after the range.
    pub fn slots(&self) -> (SlotSecs, SlotSecs) {
        (self.from_secs, self.to_secs)
    }

    /// Whether every flow of the range is read, also those from before the job's first record.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Where the partitions are read: from a position on, up to before an offset.
    pub fn spans(&self) -> impl Iterator<Item = (u32, Position, u64)> {
        self.positions.iter().map(|(partition, from)| {
            let end = self.ends.get(partition).copied();
            (*partition, *from, end.unwrap_or(from.offset))
        })
    }

    /// Partitions that do not hold all flows of a slot any more.
    pub fn lacking(&self, slot_secs: SlotSecs) -> impl Iterator<Item = u32> {
        let lacks = self.lacks.iter();
        lacks
            .filter(move |lack| slot_secs < lack.before_secs)
            .map(|lack| lack.partition)
    }

    /// Records that may have to be read of the partitions that these workers read: `workers` of them from `first` on, of `all`.
    pub fn records(&self, (first, workers, all): (usize, usize, usize)) -> u64 {
        let ours = |partition: &u32| {
            let worker = usize::try_from(*partition).map_or(0, |p| p % all.max(1));
            (first..first + workers).contains(&worker)
        };
        let length = |(partition, end): (&u32, &u64)| {
            let first = self.positions.get(partition).map_or(0, |at| at.offset);
            end.saturating_sub(first)
        };
        let mine = self.ends.iter().filter(|(partition, _)| ours(partition));
        mine.map(length).sum()
    }

    /// The recorded R at a record.
    pub(crate) fn retired_secs(&self, partition: u32, offset: u64) -> u64 {
        let holds =
            |line: &Retirement| line.offsets.get(&partition).copied().unwrap_or(0) <= offset;
        let after = self.retirements.partition_point(holds);
        let last = after.checked_sub(1).and_then(|at| self.retirements.get(at));
        last.map_or(0, |line| line.line_secs)
    }

    /// What becomes of a flow. `None`: it is none of the range's.
    pub(crate) fn judge(
        &self,
        flow: &FlowCore,
        slot: SlotSecs,
        (clock_ns, retired_secs): (i64, u64),
        rows: &RowConfig,
    ) -> Option<Verdict> {
        if !(self.from_secs..self.to_secs).contains(&slot) {
            return None;
        }
        let verdict = acceptance::judge(flow, slot, clock_ns, retired_secs, rows);
        match (self.counting, verdict) {
            (Counting::AsRecorded, _) | (_, Verdict::Counts | Verdict::Implausible) => {
                Some(verdict)
            }
            // Those of `elsewhere` are known of no slot.
            _ if acceptance::counted_under(slot, clock_ns) != slot => None,
            _ => Some(Verdict::Counts),
        }
    }
}

fn millis(secs: u64) -> i64 {
    i64::try_from(secs)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000)
}

/// Where a replay begins: at its own checkpoint 0.
pub(crate) fn start(job: &Job, replay: &Replay) -> Result<Start, JobError> {
    let timeline = Timeline {
        // The versions of all slots are known: no pack is held back.
        fence_secs: u64::MAX,
        versions: replay.versions.clone(),
        ..Timeline::default()
    };
    let versions = restore::versions(&timeline, &job.tables)?;
    Ok(Start {
        base: std::sync::Arc::new(restore::genesis(&job.config, &job.id)),
        positions: replay.positions.clone(),
        ends: replay.ends.clone(),
        timeline,
        versions,
        swaps: Swaps::default(),
        partial: Partial::default(),
        next_number: 1,
        attempt: job.attempt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SECOND_NS;

    fn replay(counting: Counting) -> Replay {
        let line = |line_secs, offset| Retirement {
            line_secs,
            offsets: BTreeMap::from([(0, offset)]),
        };
        Replay {
            from_secs: 900_000,
            to_secs: 900_600,
            counting,
            positions: BTreeMap::new(),
            ends: BTreeMap::new(),
            end_clock_ns: i64::MAX,
            hold_secs: 3_600,
            whole: true,
            lacks: Vec::new(),
            rates: SamplingRates::default(),
            retirements: vec![line(300, 10), line(600, 20), line(900_300, 30)],
            versions: Vec::new(),
        }
    }

    #[test]
    fn the_recorded_line_holds_from_its_offset_on() {
        let replay = replay(Counting::AsRecorded);
        let at = |offset| replay.retired_secs(0, offset);
        assert_eq!(
            [9, 10, 19, 20, 29, 30, 99].map(at),
            [0, 300, 300, 600, 600, 900_300, 900_300]
        );
        assert_eq!(
            replay.retired_secs(7, 0),
            900_300,
            "a partition found later"
        );
    }

    #[test]
    fn what_counts_is_what_the_table_of_slots_knows() {
        let rows = RowConfig::default();
        let flow = FlowCore {
            bytes: 1,
            ..FlowCore::default()
        };
        let every = Counting::Every {
            early: true,
            late: true,
        };
        let day = i64::try_from(ELSEWHERE_SECS).unwrap();
        for (slot, clock, retired, recorded, all) in [
            (899_700, 900_000, 0, None, None),
            (900_600, 900_600, 0, None, None),
            (
                900_000,
                900_000,
                0,
                Some(Verdict::Counts),
                Some(Verdict::Counts),
            ),
            (
                900_300,
                899_000,
                0,
                Some(Verdict::TooEarly),
                Some(Verdict::Counts),
            ),
            (
                900_000,
                903_900,
                0,
                Some(Verdict::TooLate),
                Some(Verdict::Counts),
            ),
            (
                900_000,
                900_000,
                900_300,
                Some(Verdict::TooLate),
                Some(Verdict::Counts),
            ),
            (
                900_000,
                900_000 + day,
                0,
                Some(Verdict::TooLate),
                Some(Verdict::Counts),
            ),
            (900_000, 900_001 + day, 0, Some(Verdict::TooLate), None),
            (900_300, 900_299 - day, 0, Some(Verdict::TooEarly), None),
        ] {
            let judged =
                |counting| replay(counting).judge(&flow, slot, (clock * SECOND_NS, retired), &rows);
            assert_eq!(judged(Counting::AsRecorded), recorded, "{slot} at {clock}");
            assert_eq!(judged(every), all, "{slot} at {clock}");
        }
        let huge = FlowCore {
            bytes: u64::MAX,
            ..flow
        };
        let judged = replay(every).judge(&huge, 900_000, (900_000 * SECOND_NS, 0), &rows);
        assert_eq!(judged, Some(Verdict::Implausible));
    }
}
