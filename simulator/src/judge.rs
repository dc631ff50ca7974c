//! What the oracle says of the topic below a checkpoint's cut, by the checkpoint's own timeline.
//!
//! The oracle is that of `dataflow/tests`: one thread, `prost`, wide integers, no code of the job.

use flow_dataflow::{RowConfig, SlotTime};
use flow_proto::Rollups;
use flow_state::Checkpoint;

use crate::oracle;
use crate::tables;
use crate::topic::SimTopic;

/// What `longer` has beside the standard rollups, as the oracle sums it: from the flows, whatever feeds it in the job.
const MORE: [oracle::More; 4] = [
    oracle::More {
        parts: &[0, 2],
        window_secs: 900,
    },
    oracle::More {
        parts: &[2],
        window_secs: 1_800,
    },
    oracle::More {
        parts: &[1],
        window_secs: 300,
    },
    oracle::More {
        parts: &[2, 0],
        window_secs: 600,
    },
];

/// The standard rollups, and some with longer slots: fed by the first, fed by one that is fed, fed within the same slot.
///
/// # Panics
/// If they can't be.
#[must_use]
pub fn longer() -> Rollups {
    let standard = Rollups::STANDARD.to_string();
    let more = "rollup_15m=src_as,etype@15m rollup_30m=etype@30m rollup_dst=dst_as rollup_10m=etype,src_as@10m";
    Rollups::parse(&[&standard, more], 300).expect("rollups")
}

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
            more: match rows.rollups == Rollups::STANDARD {
                true => &[],
                false => &MORE,
            },
            ..oracle::Config::default()
        },
        fates: asked == Asked::Fates,
        // Retention takes nothing here.
        lost: Vec::new(),
        starts: Default::default(),
    })
}
