//! What a topic holds: partitions of every kind, records with everything that happens, and when each arrives.
//!
//! The times are those of the model (`model.py`), thirty times larger: windows of 300 s, an hour's quarter of allowed
//! lateness, half an hour to an hour of traffic. A seed fixes all of it.

use flow_proto::{Addr, Dialect, Flow};

use crate::dice::Dice;

/// 2023-11-14 22:15:00 UTC, a slot boundary.
pub(crate) const BEGIN_SECS: u64 = 1_700_000_100;
/// Receive time of the record that closes all slots.
pub(crate) const LAST_SECS: u64 = BEGIN_SECS + 24_000;

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) timestamp_millis: i64,
    /// Whether it carries our header.
    pub(crate) ours: bool,
    pub(crate) payload: Vec<u8>,
}

/// What a partition is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Steady,
    /// One of two producers was cut off for a while, and delivers later.
    Late,
    /// Nothing comes for a while.
    Silent,
    Empty,
    /// Not there at first.
    Added,
}

/// A topic to be.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    pub(crate) partitions: Vec<Vec<Stored>>,
    /// Second and partition of each arrival, in the order of arrival.
    pub(crate) arrivals: Vec<(u64, usize)>,
    /// Partitions that are there from the first; the others are added in their order.
    pub(crate) first: usize,
}

impl Records {
    pub(crate) fn new(dice: &mut Dice) -> Records {
        let span = 1_200 + dice.roll(2_700);
        let append_time = dice.chance(500);
        let quiet = dice.chance(200);
        let dialect = dice.pick(&[Dialect::Goflow2, Dialect::Goflow2, Dialect::Goflow]);
        let kinds = kinds(dice);
        let holes: Vec<(u64, u64)> = kinds
            .iter()
            .map(|_| {
                let from = dice.roll(span);
                (from, from + 300 + dice.roll(2_100))
            })
            .collect();
        let mut arrivals: Vec<(u64, usize, usize, Stored)> = Vec::new();
        let mut at = 0;
        while at < span {
            at += dice.pick(&[0, 30, 60, 90, 90, 120, 240]) + dice.roll(30);
            let p = dice.index(kinds.len());
            let mut arrive = at + if quiet && at > span / 2 { 4_500 } else { 0 };
            let sent = arrive;
            let in_hole = (holes[p].0..holes[p].1).contains(&at);
            match kinds[p] {
                Kind::Empty => continue,
                Kind::Silent if in_hole => continue,
                Kind::Added if at < holes[p].0 => continue,
                Kind::Late if in_hole && dice.chance(500) => arrive += holes[p].1 - at,
                _ => {}
            }
            let stamp = if append_time { arrive } else { sent };
            let stored = record(dice, BEGIN_SECS + stamp, BEGIN_SECS + sent, dialect);
            arrivals.push((BEGIN_SECS + arrive, arrivals.len(), p, stored));
        }
        let last = arrivals.len();
        arrivals.push((LAST_SECS, last, 0, closing()));
        arrivals.sort_by_key(|(arrive, order, ..)| (*arrive, *order));
        let mut partitions = vec![Vec::new(); kinds.len()];
        let mut order = Vec::new();
        for (arrive, _, p, stored) in arrivals {
            partitions[p].push(stored);
            order.push((arrive, p));
        }
        Records {
            partitions,
            arrivals: order,
            first: kinds.iter().filter(|kind| **kind != Kind::Added).count(),
        }
    }
}

/// The first is steady; those that are added come last, since a topic grows at its end.
fn kinds(dice: &mut Dice) -> Vec<Kind> {
    use Kind::{Added, Empty, Late, Silent, Steady};
    let mut kinds = vec![Steady];
    for _ in 0..dice.roll(4) {
        kinds.push(dice.pick(&[Steady, Steady, Late, Late, Silent, Empty, Added]));
    }
    kinds.sort_by_key(|kind| *kind == Added);
    kinds
}

/// Its flow moves the clock and is in no row, so that no slot is left open by it.
fn closing() -> Stored {
    let flow = Flow {
        time_received_ns: LAST_SECS * 1_000_000_000,
        bytes: u64::MAX,
        packets: 1,
        ..Flow::default()
    };
    let mut payload = Vec::new();
    flow.encode_delimited(Dialect::Goflow2, &mut payload);
    Stored {
        timestamp_millis: millis(LAST_SECS),
        ours: true,
        payload,
    }
}

fn record(dice: &mut Dice, stamp_secs: u64, sent_secs: u64, dialect: Dialect) -> Stored {
    let timestamp_millis = millis(stamp_secs) + i64::try_from(dice.roll(1_000)).unwrap_or(0);
    let kind = dice.roll(100);
    let mut payload = Vec::new();
    match kind {
        0..90 => {
            for _ in 0..dice.pick(&[1, 1, 2, 3]) {
                flow(dice, sent_secs).encode_delimited(dialect, &mut payload);
            }
            if dice.chance(30) {
                // A message that can't be read, between others that can.
                payload.extend_from_slice(&[3, 0x48, 0xff, 0xff]);
                flow(dice, sent_secs).encode_delimited(dialect, &mut payload);
            }
        }
        90..95 => flow(dice, sent_secs).encode(dialect, &mut payload),
        95..97 => {}
        _ => payload = (0..dice.roll(60)).map(|_| dice.roll(256) as u8).collect(),
    }
    if dice.chance(15) {
        payload.truncate(dice.index(payload.len()));
    }
    Stored {
        timestamp_millis,
        ours: kind < 80,
        payload,
    }
}

fn flow(dice: &mut Dice, sent_secs: u64) -> Flow {
    let base = sent_secs * 1_000_000_000 + dice.roll(1_000_000_000);
    let secs = |n: u64| n * 1_000_000_000;
    let received = match dice.roll(200) {
        0..4 => 1,
        4..8 => base + secs(30_000),
        8..12 => base - secs(30_000),
        12..16 => 0,
        16..40 => base - secs(dice.roll(900)),
        40..48 => base + secs(dice.roll(700)),
        _ => base,
    };
    let start = match dice.roll(100) {
        0..60 => base,
        60..88 => base - secs(dice.roll(1_800)),
        88..97 => base + secs(dice.roll(1_200)),
        97 => base + secs(30_000),
        98 => base + secs(200_000),
        _ => base - secs(200_000),
    };
    let bytes = if dice.chance(30) {
        (1 << 50) + 1 - dice.roll(2)
    } else {
        1 + dice.roll(9)
    };
    let host = |dice: &mut Dice| match dice.roll(8) {
        0 => Addr::NONE,
        1 => Addr([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        n => Addr::v4([10, 0, 0, n as u8]),
    };
    Flow {
        time_received_ns: received,
        time_flow_start_ns: start,
        time_flow_end_ns: if dice.chance(800) { base } else { 0 },
        sampling_rate: dice.pick(&[0, 1, 1, 100]),
        sampling_rate_assumed: dice.chance(30),
        bytes,
        packets: 1 + dice.roll(3),
        src_addr: host(dice),
        dst_addr: host(dice),
        src_as: if dice.chance(500) { 64_500 } else { 0 },
        etype: dice.pick(&[0x800, 0x86dd]),
        ..Flow::default()
    }
}

fn millis(secs: u64) -> i64 {
    i64::try_from(secs * 1_000).unwrap_or(i64::MAX)
}
