//! Restore: from the newest checkpoint to a job that goes on from its cut, with any number of workers.
//!
//! Loads the slots not yet retired, seeks to the cut. Whatever does not fit (other row options, another topic, a
//! gap, missing tables) is refused before anything is read. Laws 1 and 3: the timeline goes on where it stood;
//! other tables than the newest version's are a new version from L on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use flow_proto::{Record, Rollups};
use flow_state::{
    Checkpoint, Group, Position, StateStore, SwapOutcome, Swaps, TableVersion, Timeline,
};
use flow_topic::{Bounds, Topic};

use crate::config::{Beginning, JobConfig, ROLLUP, broken};
use crate::enrich::Versions;
use crate::failure::JobError;
use crate::gap::{accepted, gap, next_ns};
use crate::job::Job;
use crate::listed_texts;
use crate::partial::Partial;
use crate::partition::fingerprint;
use crate::plan::Plan;
use crate::replay;
use crate::shelf::TableShelf;
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
    /// Which requests for other tables are decided, and which tables the job is given.
    pub(crate) swaps: Swaps,
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
    let (timeline, swaps) = timeline(job, &base)?;
    let versions = versions(&timeline, &job.tables)?;
    listed_texts::learn(config.rows.rollups, &base, &job.tables)?;
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
        swaps,
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
    let versions = versions(&plan.timeline, &job.tables)?;
    listed_texts::learn(job.config.rows.rollups, &base, &job.tables)?;
    Ok(Start {
        next_number: base.number + 1,
        base: Arc::new(base),
        positions: plan.positions,
        ends: plan.ends,
        timeline: plan.timeline,
        versions,
        swaps: Swaps::default(), // process 0 keeps them
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
        swaps: Swaps::default(),
    }
}

/// Whether a checkpoint was made with this job's row-relevant options: to be asked before stores are opened, which are made
/// for the job's rollups.
///
/// # Errors
/// `OtherConfig`.
pub fn same_config(config: &JobConfig, checkpoint: &Checkpoint) -> Result<(), JobError> {
    let given = config.rows.recorded();
    let standard = Rollups::STANDARD.to_string();
    // What is told in neither is alike in both; rollups are told if they are not the standard ones.
    let options = checkpoint.config.keys().chain(given.keys());
    for option in options {
        let unsaid = match option.as_str() {
            ROLLUP => standard.as_str(),
            _ => "",
        };
        let of = |said: &BTreeMap<String, String>| {
            said.get(option).map_or(unsaid, String::as_str).to_owned()
        };
        let (recorded, now) = (of(&checkpoint.config), of(&given));
        if now != recorded {
            return Err(JobError::OtherConfig {
                option: option.clone(),
                recorded,
                given: now,
            });
        }
    }
    Ok(())
}

/// The state's timeline, with the tables that the job is given as a new version from L on if they are others than those that
/// it was given last. A swap since then stands: only who changes what a job is given wants other tables by starting it.
fn timeline(job: &Job, base: &Checkpoint) -> Result<(Timeline, Swaps), JobError> {
    let (mut timeline, mut swaps) = (base.timeline.clone(), base.swaps.clone());
    let newest = timeline.versions.last().map(|(_, version)| version.clone());
    let (hash, named) = (job.tables.given_hash(), job.tables.named_hash());
    // Always: one that was damaged is whole again then. Of a million prefixes the bytes take a while.
    if !job.state.holds_table(hash)?
        && let Some(given) = job.tables.given()
    {
        job.state.archive_table(hash, &given.archive())?;
    }
    // What a state of an older release was given last is what it has last.
    let last = swaps.given.take();
    let last = last.or_else(|| newest.as_ref().map(|version| version.hash.clone()));
    swaps.given = Some(named.to_owned());
    if last.as_deref() == Some(named) && newest.is_some() {
        return Ok((timeline, swaps));
    }
    // Requests that wait are older than what the job is given.
    for number in job.state.swap_requests()? {
        if number > swaps.decided {
            let why = "the job was started with other tables meanwhile".to_owned();
            tracing::warn!(request = number, "tables are not swapped: {why}");
            let result = Err(why);
            swaps.decide(SwapOutcome {
                request: number,
                result,
            });
        }
    }
    if newest.as_ref().is_none_or(|version| version.hash != hash) {
        let number = newest.map_or(1, |version| version.number + 1);
        let from = if broken!(job.config, LineNotDurable) {
            0
        } else {
            timeline.fence_secs
        };
        if number > 1 {
            tracing::warn!(
                version = number,
                from_secs = from,
                "other tables are given than before: this version is in force for slots from this time on"
            );
        }
        let hash = hash.to_owned();
        timeline.hold(from, TableVersion { number, hash });
    }
    Ok((timeline, swaps))
}

/// The tables of a timeline that a flow can still need, at hand or from the archive.
pub(crate) fn versions(timeline: &Timeline, shelf: &TableShelf) -> Result<Versions, JobError> {
    // A version whose slots are all retired is needed by no flow that can still count.
    let holds = |(from, _): &(u64, TableVersion)| *from <= timeline.retired_secs;
    let first = timeline.versions.iter().rposition(holds).unwrap_or(0);
    let needed = timeline.versions.iter().skip(first);
    let loaded = needed.map(|(from, version)| Ok((*from, shelf.get(version)?)));
    loaded.collect::<Result<_, JobError>>().map(Versions::new)
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
pub(crate) fn windows<R: Record>(
    config: &JobConfig,
    base: &Checkpoint,
    state: &StateStore,
    worker: usize,
) -> Result<WindowState<R>, JobError> {
    let rollups = config.rows.rollups;
    let live =
        |group: &Group| rollups.end(group.rollup, group.slot_secs) > base.timeline.retired_secs;
    let complete = base
        .complete
        .keys()
        .filter(|group| live(group))
        .copied()
        .collect();
    let mut windows = WindowState::new(rollups, complete);
    windows.ends_early = broken!(config, LongerSlotEndsEarly);
    // Ascending by number: a later segment's absolute totals replace an earlier one's.
    let names: Vec<_> = base.segments.iter().collect();
    let from = if broken!(config, OnlyNewestSegment) {
        names.len().saturating_sub(1)
    } else {
        0
    };
    for (name, groups) in &names[from..] {
        let groups: BTreeSet<_> = groups.iter().filter(|group| live(group)).collect();
        if groups.is_empty() {
            continue;
        }
        let segment = state.read_segment::<R>(**name)?;
        for shard in (worker..segment.shards()).step_by(config.all_workers()) {
            for row in segment.shard(shard) {
                let view = row.view();
                let group = Group {
                    rollup: view.rollup,
                    slot_secs: view.slot_secs,
                };
                if groups.contains(&group) {
                    windows.restore(row);
                }
            }
        }
    }
    Ok(windows)
}
