//! Checkpoints and records that the tests of this folder share.

// Each test file is a crate of its own and uses its part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;

use flow_state::{
    Amendment, Checkpoint, Gap, Group, Position, Retirement, SegmentName, SlotCounts, SwapOutcome,
    Swaps, TableVersion, Timeline,
};

/// A checkpoint with something in every field.
pub(crate) fn checkpoint(number: u64, attempt: u64, segments: &[u64]) -> Checkpoint {
    let group = Group {
        rollup: 1,
        slot_secs: 1_700_000_100,
    };
    let listed = segments
        .iter()
        .map(|n| (name(*n, attempt), vec![group]))
        .collect();
    let counts = SlotCounts {
        flows: 7,
        too_early: 1,
        too_late: 2,
        implausible: 3,
        changed: number,
    };
    Checkpoint {
        number,
        attempt,
        job: "a-job".into(),
        config: BTreeMap::from([("window_secs".into(), "300".into())]),
        cut: BTreeMap::from([(
            3,
            Position {
                offset: 9,
                clock_ns: -5,
                last_record: Some((8, -1, 0xdead_beef)),
            },
        )]),
        watermark_ns: i64::MIN,
        timeline: Timeline {
            fence_secs: 1_700_000_400,
            versions: vec![(
                0,
                TableVersion {
                    number: 1,
                    hash: "ab".into(),
                },
            )],
            retired_secs: 1_699_990_000,
            retirements: vec![Retirement {
                line_secs: 1_699_990_000,
                offsets: BTreeMap::from([(3, 5)]),
            }],
        },
        complete: BTreeMap::from([(group, number)]),
        slots: BTreeMap::from([(0, SlotCounts::default()), (1_700_000_100, counts)]),
        partial: vec![1_700_000_100],
        segments: listed,
        starts: BTreeMap::from([(3, 4)]),
        gaps: vec![Gap {
            partition: 3,
            from_offset: 5,
            to_offset: 7,
            offsets: 2,
            before_ns: -5,
            after_ns: Some(6),
            first_slot_secs: 1_700_000_100,
            last_slot_secs: u64::MAX,
        }],
        generations: vec![(0, 1), (1_700_000_400, 2)],
        swaps: Swaps {
            given: Some("ab".into()),
            decided: 9,
            outcomes: vec![
                SwapOutcome {
                    request: 8,
                    result: Ok(1),
                },
                SwapOutcome {
                    request: 9,
                    result: Err("why not".into()),
                },
            ],
            amended: vec![Amendment {
                request: 8,
                from_secs: 1_699_999_800,
                until_secs: 1_700_000_400,
                version: TableVersion {
                    number: 1,
                    hash: "cd".into(),
                },
            }],
        },
    }
}

/// A segment's name.
pub(crate) fn name(number: u64, attempt: u64) -> SegmentName {
    SegmentName {
        number,
        attempt,
        process: 0,
    }
}

/// Records of a segment, two of three shards filled: a function of its number.
pub(crate) fn records(number: u64) -> Vec<Vec<[u64; 9]>> {
    let row = |i: u64| [number, i, i * i, 1, 2, 3, 4, 5, number ^ i];
    vec![vec![row(1), row(2)], vec![], vec![row(3)]]
}

/// A small generator, so that a printed seed repeats a run.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
