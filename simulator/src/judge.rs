//! What the oracle says of the topic below a checkpoint's cut, by the checkpoint's own timeline.
//!
//! The oracle is that of `dataflow/tests`: one thread, `prost`, wide integers, no code of the job.

use flow_dataflow::{RowConfig, SlotTime};
use flow_state::Checkpoint;

use crate::oracle;
use crate::tables;
use crate::topic::SimTopic;

/// What is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Rows and counts.
    Rows,
    /// What became of each flow, too.
    Fates,
    /// Rows as they would be if no flow had been refused as too early or too late.
    Every,
}

/// Rows, counts and fates of all flows below the cut.
pub(crate) fn judge(
    topic: &SimTopic,
    checkpoint: &Checkpoint,
    rows: &RowConfig,
    asked: Asked,
) -> oracle::Output {
    let partitions = checkpoint.cut.iter().map(|(partition, at)| {
        let place = usize::try_from(*partition).unwrap_or(usize::MAX);
        let below = (0..at.offset).zip(topic.records(place));
        let records = below.map(|(offset, stored)| oracle::Record {
            offset,
            timestamp_millis: stored.timestamp_millis,
            ours: stored.ours,
            payload: stored.payload.clone(),
        });
        (*partition, records.collect())
    });
    let timeline = &checkpoint.timeline;
    let slot_time = match rows.slot_time {
        SlotTime::Received => oracle::Time::Received,
        SlotTime::Start => oracle::Time::Start,
        SlotTime::End => oracle::Time::End,
    };
    oracle::run(&oracle::Input {
        partitions: partitions.collect(),
        retirements: timeline
            .retirements
            .iter()
            .map(|event| oracle::Retired {
                line_secs: event.line_secs,
                offsets: event.offsets.clone(),
            })
            .collect(),
        versions: timeline
            .versions
            .iter()
            .map(|(from, version)| (*from, tables::plain(&version.hash)))
            .collect(),
        config: oracle::Config {
            window_secs: rows.window_secs,
            lateness_secs: rows.lateness_secs,
            slot_time,
            every: asked == Asked::Every,
            ..oracle::Config::default()
        },
        fates: asked == Asked::Fates,
        // Retention takes nothing here.
        lost: Vec::new(),
        starts: Default::default(),
    })
}
