//! What the stores' benchmarks share: the same sorted rows for every store, and pairs of runs against its own bulk tool.
//!
//! A ratio is the tool's time / our time, so 1 is "as fast as the store's own tool"; the median of pairs is told. Wall
//! time, since most of the work is the server's.

// Each benchmark is a crate of its own and uses its part of this.
#![allow(dead_code)]

use std::time::{Duration, Instant};

use flow_proto::{Addr, Coordinate, EnrichedFlow, Flow, Record, Rollup, RowRecord, Sums};
use flow_sinks::{Delta, RawRows, Row, Rows, SinkError};

/// 2023-11-14 22:15:00 UTC.
pub(crate) const SLOT: u64 = 1_700_000_100;

/// Rows of one slot, sorted by key, of one revision.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) rows: Vec<RowRecord>,
    pub(crate) revision: u64,
}

impl Given {
    /// So many rows with different keys.
    pub(crate) fn new(count: u32, revision: u64) -> Given {
        let row = |n: u32| RowRecord {
            slot_secs: SLOT,
            rollup: Rollup::AS.number(),
            shard: 0,
            key: [n / 700, 64_496 + n % 700, 0x0800],
            sums: Sums {
                bytes: u64::from(n) * 1_337 + revision,
                packets: u64::from(n) + 3,
                flows: u64::from(n % 90) + 1,
                scaled_bytes: u64::from(n) * 1_337_000,
                scaled_packets: u64::from(n) * 1_000,
                unknown_rate_flows: 0,
            },
        };
        Given {
            rows: (0..count).map(row).collect(),
            revision,
        }
    }

    /// The delta that brings them.
    pub(crate) fn delta(&self, from: u64, to: u64) -> Delta<'_> {
        Delta {
            job: "bench",
            from,
            to,
            shards: &[0],
            rows: self,
            slots: &[],
            retired_through: &[],
            watermark_secs: None,
        }
    }
}

impl Rows for Given {
    fn for_each(
        &self,
        take: &mut dyn FnMut(Row<'_>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.rows.iter().try_for_each(|record| {
            take(Row {
                rollup: Rollup::AS,
                record: record.view(),
                table_version: 1,
                revision: self.revision,
            })
        })
    }
}

/// Raw flows.
#[derive(Debug)]
pub(crate) struct Flows(pub(crate) Vec<EnrichedFlow>);

impl RawRows for Flows {
    fn for_each(
        &self,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.0.iter().try_for_each(take)
    }
}

/// One flow, different for each number.
pub(crate) fn flow(n: u32) -> EnrichedFlow {
    let [a, b, c, d] = n.wrapping_mul(2_654_435_761).to_be_bytes();
    let received_ns = SLOT * 1_000_000_000 + u64::from(n) * 500_000;
    EnrichedFlow {
        flow: Flow {
            time_flow_start_ns: received_ns - u64::from(n % 977) * 1_000_000,
            time_flow_end_ns: received_ns,
            sequence_num: n,
            sampling_rate: 1000,
            sampler_address: Addr::v4([10, 0, 0, 7]),
            src_addr: Addr::v4([a, b, c, 9]),
            dst_addr: Addr::v4([198, 51, d, c]),
            etype: 0x0800,
            proto: 6,
            src_port: 443,
            dst_port: u32::from(c) << 8 | u32::from(d),
            bytes: u64::from(n % 1_400) * 7,
            packets: u64::from(n % 9) + 1,
            ..Flow::default()
        },
        at: Coordinate {
            partition: 0,
            offset: u64::from(n / 120),
            index: n % 120,
        },
        received_ns,
        slot_secs: SLOT,
        src_as: n % 4_001,
        dst_as: 64_496 + n % 700,
        ..EnrichedFlow::default()
    }
}

/// How long something takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// Runs ours and theirs in turns, the order changing from pair to pair; prints rows per second and the median ratio.
pub(crate) fn pairs(
    name: &str,
    (count, rows): (usize, u32),
    mut ours: impl FnMut() -> Duration,
    mut theirs: impl FnMut() -> Duration,
) {
    let mut times = Vec::new();
    for pair in 0..count {
        times.push(if pair % 2 == 0 {
            let ours = ours();
            (ours, theirs())
        } else {
            let theirs = theirs();
            (ours(), theirs)
        });
    }
    let mut ratios: Vec<f64> = times
        .iter()
        .map(|(ours, theirs)| theirs.as_secs_f64() / ours.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    let rate = |mut all: Vec<Duration>| {
        all.sort();
        f64::from(rows) / all[all.len() / 2].as_secs_f64() / 1_000.0
    };
    let mine = rate(times.iter().map(|(ours, _)| *ours).collect());
    let tool = rate(times.iter().map(|(_, theirs)| *theirs).collect());
    println!(
        "{name:<44} ours {mine:>6.0} k rows/s, theirs {tool:>6.0} k rows/s, ratio {:.2} ({:.2} to {:.2}, {count} pairs)",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
}
