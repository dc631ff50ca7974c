//! Restore: from the newest checkpoint to a job that goes on from its cut, with any number of workers.
//!
//! Loads the slots not yet retired, seeks to the cut. Whatever does not fit (other row options, another topic, a
//! gap, missing tables) is refused before anything is read. Laws 1 and 3: the timeline goes on where it stood;
//! other tables than the newest version's are a new version from L on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use flow_proto::RowRecord;
use flow_state::{Checkpoint, Position, StateStore, TableVersion, Timeline, table_hash};
use flow_tables::TableSet;
use flow_topic::{Bounds, Topic};

use crate::config::{Beginning, JobConfig, broken};
use crate::enrich::Versions;
use crate::failure::JobError;
use crate::gap::{accepted, gap, next_ns};
use crate::job::Job;
use crate::partial::Partial;
use crate::partition::fingerprint;
use crate::plan::Plan;
use crate::replay;
use crate::window_state::WindowState;

/// How long a topic may take to show a record.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a job begins.
pub(crate) struct Start {
    /// The newest checkpoint, or an empty one numbered 0.
    pub(crate) base: Arc<Checkpoint>,
    pub(crate) positions: BTreeMap<u32, Position>,
    /// With `until_end`: the offsets at which it ends.
    pub(crate) ends: BTreeMap<u32, u64>,
    pub(crate) timeline: Timeline,
    pub(crate) versions: Versions,
    /// Slots that a first start has cut off.
    pub(crate) partial: Partial,
    pub(crate) next_number: u64,
    /// Id of this attempt.
    pub(crate) attempt: u64,
}

/// Reads the state and checks it against topic, tables and options.
pub(crate) fn start(job: &Job) -> Result<Start, JobError> {
    let Job {
        config,
        topic,
        state,
        ..
    } = job;
    if let Some(replay) = &config.replay {
        return replay::start(job, replay);
    }
    let topic = topic.as_ref();
    // Before the newest is read: what another job puts between the two looks must be lost against, not jumped over.
    let next_number = state.next_number()?;
    let base = match state.newest()? {
        // The stores were admitted for a job that begins, and another one has begun on this state meanwhile.
        Some(checkpoint) if checkpoint.job != job.id => {
            return Err(JobError::Lost {
                number: checkpoint.number,
            });
        }
        Some(checkpoint) => checkpoint,
        None => genesis(config, &job.id),
    };
    fits(config, topic, &base)?;
    // Of a million prefixes it takes a while: made once.
    let archive = job.tables.archive();
    let hash = table_hash(&archive);
    state.archive_table(&hash, &archive)?;
    let timeline = timeline(config, &base, &hash);
    let versions = versions(&timeline, (&job.tables, &hash), state)?;
    let (mut positions, mut ends) = (BTreeMap::new(), BTreeMap::new());
    for partition in 0..topic.partitions()? {
        let bounds = topic.bounds(partition)?;
        let at = match base.cut.get(&partition) {
            Some(at) => *at,
            None if base.number == 0 => {
                Position::beginning(first(config, topic, partition, bounds)?)
            }
            None => Position::beginning(bounds.earliest),
        };
        let clock_ns = if broken!(config, ClocksNotDurable) {
            i64::MIN
        } else {
            at.clock_ns
        };
        positions.insert(partition, Position { clock_ns, ..at });
        ends.insert(partition, bounds.end);
    }
    let partial = Partial::new(&base, &positions, &ends);
    if !config.until_end {
        ends.clear();
    }
    let next_number = next_number.max(base.number + 1);
    Ok(Start {
        base: Arc::new(base),
        positions,
        ends,
        timeline,
        versions,
        partial,
        next_number,
        attempt: job.attempt,
    })
}

/// What process 0 has decided, as another process takes it up.
pub(crate) fn follow(job: &Job, plan: Plan) -> Result<Start, JobError> {
    if !job.state.holds_proof(plan.attempt)? {
        return Err(JobError::OtherState);
    }
    let base = match plan.base {
        0 => genesis(&job.config, &plan.job),
        number => job.state.checkpoint(number)?.ok_or(JobError::OtherState)?,
    };
    let hash = table_hash(&job.tables.archive());
    let versions = versions(&plan.timeline, (&job.tables, &hash), &job.state)?;
    Ok(Start {
        next_number: base.number + 1,
        base: Arc::new(base),
        positions: plan.positions,
        ends: plan.ends,
        timeline: plan.timeline,
        versions,
        partial: Partial::default(),
        attempt: plan.attempt,
    })
}

/// Whether a job with this configuration and topic may go on from a checkpoint: what `start` refuses, for a check ahead.
///
/// # Errors
/// `OtherConfig`, `OtherTopic`, `Gap`, or the topic's own.
pub fn fits(
    config: &JobConfig,
    topic: &dyn Topic,
    checkpoint: &Checkpoint,
) -> Result<(), JobError> {
    same_config(config, checkpoint)?;
    let mut gone = Vec::new();
    for (partition, at) in &checkpoint.cut {
        let bounds = topic.bounds(*partition)?;
        same_topic(topic, *partition, at, bounds)?;
        // Without a clock nothing was read that could be missed from here on.
        let known = at.offset.max(accepted(&checkpoint.gaps, *partition, at));
        if bounds.earliest > known && at.clock_ns > i64::MIN && !config.accept_gap {
            gone.push((*partition, at, bounds.earliest));
        }
    }
    let Some((partition, at, earliest)) = gone.first().copied() else {
        return Ok(());
    };
    let after = next_ns(topic.reader(partition, earliest)?.as_mut())?;
    Err(JobError::Gap {
        url: topic.url(),
        gap: gap(partition, at, (earliest, after), &config.rows),
        more: gone.len() - 1,
    })
}

/// Where a new job begins.
pub(crate) fn first(
    config: &JobConfig,
    topic: &dyn Topic,
    partition: u32,
    bounds: Bounds,
) -> Result<u64, JobError> {
    Ok(match config.beginning {
        Beginning::Earliest => bounds.earliest,
        Beginning::Latest => bounds.end,
        Beginning::Time(millis) => topic.offset_at(partition, millis)?.unwrap_or(bounds.end),
    })
}

/// What a job begins with: an empty checkpoint numbered 0, never written.
pub(crate) fn genesis(config: &JobConfig, job: &str) -> Checkpoint {
    Checkpoint {
        number: 0,
        attempt: 0,
        job: job.to_owned(),
        config: config.rows.recorded(),
        cut: BTreeMap::new(),
        watermark_ns: i64::MIN,
        timeline: Timeline::default(),
        complete: BTreeMap::new(),
        slots: BTreeMap::new(),
        partial: Vec::new(),
        segments: BTreeMap::new(),
        starts: BTreeMap::new(),
        gaps: Vec::new(),
        generations: Vec::new(),
    }
}

fn same_config(config: &JobConfig, checkpoint: &Checkpoint) -> Result<(), JobError> {
    let given = config.rows.recorded();
    for (option, recorded) in &checkpoint.config {
        let now = given.get(option).cloned().unwrap_or_default();
        if now != *recorded {
            return Err(JobError::OtherConfig {
                option: option.clone(),
                recorded: recorded.clone(),
                given: now,
            });
        }
    }
    Ok(())
}

/// The state's timeline, and the tables archived under `hash` as a new version from L on if they are others.
fn timeline(config: &JobConfig, base: &Checkpoint, hash: &str) -> Timeline {
    let mut timeline = base.timeline.clone();
    let newest = timeline.versions.last().map(|(_, version)| version.clone());
    if newest.as_ref().is_none_or(|version| version.hash != hash) {
        let number = newest.map_or(1, |version| version.number + 1);
        let from = if broken!(config, LineNotDurable) {
            0
        } else {
            timeline.fence_secs
        };
        timeline.versions.retain(|(start, _)| *start < from);
        let hash = hash.to_owned();
        timeline
            .versions
            .push((from, TableVersion { number, hash }));
    }
    timeline
}

/// The tables of a timeline, from the archive; those that are at hand are not loaded a second time.
pub(crate) fn versions(
    timeline: &Timeline,
    (tables, hash): (&Arc<TableSet>, &str),
    state: &StateStore,
) -> Result<Versions, JobError> {
    let mut loaded = Vec::new();
    for (from, version) in &timeline.versions {
        let set = if version.hash == hash {
            Arc::clone(tables)
        } else {
            let bytes = state.read_table(&version.hash)?;
            let set = TableSet::from_archive(&bytes).map_err(|error| JobError::Tables {
                version: version.number,
                what: error.to_string(),
            })?;
            Arc::new(set)
        };
        loaded.push((*from, set));
    }
    // A version whose slots are all retired is needed by no flow that can still count.
    let keep = loaded
        .iter()
        .rposition(|(from, _)| *from <= timeline.retired_secs)
        .unwrap_or(0);
    Ok(Versions::new(loaded.split_off(keep)))
}

/// Law 1: the offsets must name the records that were read.
pub(crate) fn same_topic(
    topic: &dyn Topic,
    partition: u32,
    at: &Position,
    bounds: Bounds,
) -> Result<(), JobError> {
    let other = |what: String| JobError::OtherTopic {
        url: topic.url(),
        partition,
        what,
    };
    if bounds.end < at.offset {
        let end = bounds.end;
        return Err(other(format!(
            "it ends at offset {end}, the state has read up to {}",
            at.offset
        )));
    }
    if let Some((offset, stamp, crc)) = at.last_record.filter(|last| last.0 >= bounds.earliest) {
        let mut reader = topic.reader(partition, offset)?;
        let mut same = false;
        if reader.wait(PATIENCE)? {
            same = reader.peek()?.is_some_and(|record| {
                // Compaction may have taken it since; another topic of this length would have a record here.
                record.offset > offset
                    || record.timestamp_millis == stamp && fingerprint(&record) == crc
            });
        }
        if !same {
            return Err(other(format!(
                "the record at offset {offset} is another one"
            )));
        }
    }
    Ok(())
}

/// The windows of one worker: rows of its shards in slots not yet retired.
pub(crate) fn windows(
    config: &JobConfig,
    base: &Checkpoint,
    state: &StateStore,
    worker: usize,
) -> Result<WindowState, JobError> {
    let window_secs = config.rows.window_secs;
    let live = |slot_secs: u64| slot_secs + window_secs > base.timeline.retired_secs;
    let complete = base
        .complete
        .keys()
        .filter(|group| live(group.slot_secs))
        .copied()
        .collect();
    let mut windows = WindowState::new(window_secs, complete);
    // Ascending by number: a later segment's absolute totals replace an earlier one's.
    let names: Vec<_> = base.segments.iter().collect();
    let from = if broken!(config, OnlyNewestSegment) {
        names.len().saturating_sub(1)
    } else {
        0
    };
    for (name, groups) in &names[from..] {
        let groups: BTreeSet<_> = groups
            .iter()
            .filter(|group| live(group.slot_secs))
            .collect();
        if groups.is_empty() {
            continue;
        }
        let segment = state.read_segment::<RowRecord>(**name)?;
        for shard in (worker..segment.shards()).step_by(config.all_workers()) {
            for row in segment.shard(shard) {
                let group = flow_state::Group {
                    rollup: row.rollup,
                    slot_secs: row.slot_secs,
                };
                if groups.contains(&group) {
                    windows.restore(row);
                }
            }
        }
    }
    Ok(windows)
}
