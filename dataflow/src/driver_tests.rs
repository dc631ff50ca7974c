//! The driver without timely: reports and times in, ticks out.

use std::collections::BTreeMap;

use flow_proto::Rollups;
use flow_state::{Position, Retirement, Swaps, Timeline};

use super::*;
use crate::restore::genesis;
use crate::tick::{Cut, Tally};

const BEGIN: i64 = 1_700_000_100;

fn position(offset: u64, clock_secs: i64) -> Position {
    Position {
        offset,
        clock_ns: clock_secs * SECOND_NS,
        last_record: None,
    }
}

/// A driver over two partitions that nothing was read of.
fn driver(config: JobConfig) -> Driver {
    let unread = Position::beginning(0);
    let positions = BTreeMap::from([(0, unread), (1, unread)]);
    let ledger = Ledger::new(
        &genesis(&config, "test"),
        positions,
        (Timeline::default(), Swaps::default()),
        Rollups::STANDARD,
    );
    Driver::new(config, ledger, (0, 1), 0)
}

fn open(driver: &mut Driver, now: u64, first_open: u64) -> Tick {
    match driver.turn(now, first_open) {
        Some(Turn::Open(tick)) => *tick,
        other => panic!("no tick at {now}: {other:?}"),
    }
}

/// Ends a tick with these (offset, clock, unread) of partitions 0 and 1.
fn end(driver: &mut Driver, tick: u64, parts: [(u64, i64, bool); 2], now: u64) {
    for (partition, (offset, clock, unread)) in (0u32..).zip(parts) {
        let position = position(offset, clock);
        let slot = (clock as u64) / 300 * 300;
        let tallies = vec![(
            slot,
            Tally {
                flows: 1,
                ..Tally::default()
            },
        )];
        driver.report(Report::Cut(Cut {
            tick,
            partition,
            position,
            unread,
            tallies,
            met: Vec::new(),
        }));
    }
    driver.reported_to(tick + 1, now);
}

#[test]
fn at_most_three_ticks_are_unfinished() {
    let mut driver = driver(JobConfig::default());
    assert_eq!(open(&mut driver, 0, 1).n, 1);
    assert_eq!(open(&mut driver, 1_000, 1).n, 2);
    assert_eq!(open(&mut driver, 2_000, 1).n, 3);
    assert!(driver.turn(9_000, 1).is_none());
    assert_eq!(open(&mut driver, 9_001, 2).n, 4);
}

#[test]
fn the_fence_moves_just_above_what_waits_and_never_back() {
    let mut driver = driver(JobConfig::default());
    let first = open(&mut driver, 0, 1);
    assert_eq!(first.fence_secs, 0);
    driver.report(Report::Reaches((BEGIN + 300) * SECOND_NS));
    let second = open(&mut driver, 1, 1);
    assert_eq!(
        second.fence_secs,
        BEGIN as u64 + 600,
        "at once, and one window above"
    );
    driver.report(Report::Reaches(BEGIN * SECOND_NS));
    assert_eq!(open(&mut driver, 2, 2).fence_secs, second.fence_secs);
}

#[test]
fn the_watermark_is_the_slowest_unread_clock_or_the_furthest_of_all() {
    let mut driver = driver(JobConfig::default());
    open(&mut driver, 0, 1);
    open(&mut driver, 1_000, 1);
    end(
        &mut driver,
        1,
        [(5, BEGIN + 900, true), (5, BEGIN, true)],
        1_000,
    );
    assert_eq!(driver.ledger.watermark_ns, BEGIN * SECOND_NS);
    open(&mut driver, 2_000, 2);
    end(
        &mut driver,
        2,
        [(9, BEGIN + 1_000, true), (5, BEGIN, false)],
        2_000,
    );
    assert_eq!(
        driver.ledger.watermark_ns,
        (BEGIN + 1_000) * SECOND_NS,
        "an idle one is left out"
    );
    open(&mut driver, 3_000, 3);
    end(
        &mut driver,
        3,
        [(9, BEGIN + 1_000, false), (6, BEGIN + 1, true)],
        3_000,
    );
    assert_eq!(
        driver.ledger.watermark_ns,
        (BEGIN + 1_000) * SECOND_NS,
        "it never goes back"
    );
}

#[test]
fn a_partition_that_is_found_counts_as_unread_until_it_is_read() {
    let mut driver = driver(JobConfig::default());
    open(&mut driver, 0, 1);
    driver.found(3);
    let second = open(&mut driver, 1, 1);
    assert_eq!(second.partitions, 3, "at once");
    end(
        &mut driver,
        1,
        [(5, BEGIN + 900, true), (5, BEGIN, false)],
        1,
    );
    assert_eq!(driver.ledger.watermark_ns, i64::MIN, "nothing passes it");
    assert_eq!(driver.ledger.positions[&2], Position::beginning(0));
    assert_eq!(driver.ledger.starts[&2], 0);
    driver.found(2);
    assert_eq!(open(&mut driver, 1_001, 2).partitions, 3, "none is lost");
}

#[test]
fn a_retirement_names_the_offsets_before_its_tick() {
    let mut driver = driver(JobConfig::default());
    open(&mut driver, 0, 1);
    open(&mut driver, 1_000, 1);
    end(
        &mut driver,
        1,
        [(5, BEGIN + 7_200, true), (7, BEGIN + 7_300, true)],
        1_000,
    );
    let third = open(&mut driver, 2_000, 2);
    assert_eq!(
        third.retired_secs,
        BEGIN as u64 + 3_600,
        "watermark - lateness, a boundary"
    );
    end(
        &mut driver,
        2,
        [(6, BEGIN + 7_201, true), (8, BEGIN + 7_301, true)],
        2_000,
    );
    open(&mut driver, 3_000, 3);
    end(
        &mut driver,
        3,
        [(9, BEGIN + 7_202, true), (9, BEGIN + 7_302, true)],
        3_000,
    );
    let [event] = driver.ledger.timeline.retirements.as_slice() else {
        panic!("one event")
    };
    assert_eq!(event.line_secs, third.retired_secs);
    assert_eq!(
        event.offsets,
        BTreeMap::from([(0, 6), (1, 8)]),
        "cut(2), tick 3 carries it first"
    );
}

#[test]
fn emission_alone_follows_the_injected_clock_when_everything_is_read() {
    let mut driver = driver(JobConfig::default());
    let now = |secs: i64| (BEGIN + secs) as u64 * 1_000;
    open(&mut driver, now(0), 1);
    open(&mut driver, now(1), 1);
    end(
        &mut driver,
        1,
        [(5, BEGIN + 10, false), (5, BEGIN + 20, false)],
        now(1),
    );
    let tick = open(&mut driver, now(500), 2);
    assert_eq!(tick.complete_secs, (BEGIN + 500 - 120) as u64);
    assert_eq!(
        tick.seal,
        1,
        "the slot that ended at {} completes",
        BEGIN + 300
    );
    assert_eq!(
        tick.retired_secs,
        slot_of((BEGIN + 20 - 3_600) * SECOND_NS, 300)
    );
}

#[test]
fn the_end_comes_after_the_last_cuts_with_one_more_checkpoint() {
    let mut driver = driver(JobConfig {
        until_end: true,
        ..JobConfig::default()
    });
    open(&mut driver, 0, 1);
    driver.report(Report::Ended);
    driver.report(Report::Ended);
    let second = open(&mut driver, 1, 1);
    assert_eq!(second.seal, 0, "tick 1 must be closed first");
    end(
        &mut driver,
        1,
        [(5, BEGIN + 7_200, false), (5, BEGIN + 7_200, false)],
        2,
    );
    let last = open(&mut driver, 3, 2);
    assert_eq!(
        (last.seal, last.complete_secs),
        (1, (BEGIN + 7_200 - 120) as u64)
    );
    assert!(matches!(driver.turn(4, 2), Some(Turn::Close)));
    assert!(driver.turn(5, 2).is_none());
}

/// R for the record of a partition at an offset, as a walk over the topic finds it.
fn line_at(ledger: &Ledger, partition: u32, offset: u64) -> u64 {
    let events = ledger.timeline.retirements.iter();
    let from = |event: &&Retirement| event.offsets.get(&partition).copied().unwrap_or(0) <= offset;
    events
        .filter(from)
        .map(|event| event.line_secs)
        .max()
        .unwrap_or(0)
}

#[test]
fn retirements_are_forgotten_where_no_record_can_meet_them() {
    let mut ledger = driver(JobConfig::default()).ledger;
    // Partition 2 was found after the third.
    ledger.timeline.retirements = (1..=20)
        .map(|n| Retirement {
            line_secs: n * 300,
            offsets: (0..2 + u32::from(n > 3))
                .map(|p| (p, n * (10 + u64::from(p))))
                .collect(),
        })
        .collect();
    for (earliest, left) in [(0, 20), (9, 20), (60, 16), (117, 12), (1_000, 1)] {
        let before = ledger.clone();
        let first: BTreeMap<u32, u64> = (0..3).map(|p| (p, earliest)).collect();
        ledger.forget_retirements(&first);
        assert_eq!(ledger.timeline.retirements.len(), left, "from {earliest}");
        for (partition, offset) in (0..3).flat_map(|p| (earliest..300).map(move |o| (p, o))) {
            assert_eq!(
                line_at(&ledger, partition, offset),
                line_at(&before, partition, offset),
                "partition {partition}, offset {offset}"
            );
        }
    }
}
