//! Topics with everything that happens: late, early, implausible and poisoned flows, silent and delayed partitions,
//! both dialects, all framings, records that can't be read. A seed fixes all of it.

use flow_proto::{Addr, Dialect, Flow};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::memory::Stored;

/// Numbers from a seed.
pub struct Dice(Pcg64Mcg);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(Pcg64Mcg::seed_from_u64(seed))
    }

    /// From 0 to `below` - 1.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0.next_u64() % below.max(1)
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// 2023-11-14 22:15:00 UTC, a slot boundary.
pub const BEGIN_SECS: u64 = 1_700_000_100;

/// What a topic is made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub partitions: u64,
    /// Simulated time.
    pub span_secs: u64,
    pub packs: u64,
}

/// The topic of a seed. The last record of every partition lies two hours after the others, so that all slots before
/// it retire.
pub fn topic(seed: u64, shape: Shape) -> Vec<Vec<Stored>> {
    let mut dice = Dice::new(seed);
    let mut partitions = Vec::new();
    for _ in 0..shape.partitions {
        let delayed = dice.chance(30);
        let silent_from = if dice.chance(30) {
            dice.roll(shape.span_secs)
        } else {
            u64::MAX
        };
        let silent_to = silent_from.saturating_add(dice.roll(2_400));
        let mut records = Vec::new();
        let mut at = 0;
        for _ in 0..shape.packs {
            at += dice.roll(2 * shape.span_secs / shape.packs.max(1) + 1);
            if (silent_from..silent_to).contains(&at) {
                continue;
            }
            // A producer that was cut off delivers what it took up to half an hour ago.
            let ago = if delayed && dice.chance(20) {
                dice.roll(1_800)
            } else {
                0
            };
            let stamp_secs = BEGIN_SECS + at;
            records.push(record(&mut dice, stamp_secs, stamp_secs - ago.min(at)));
        }
        let end = BEGIN_SECS + shape.span_secs * 2 + 7_200;
        records.push(one_flow(end));
        partitions.push(records);
    }
    partitions
}

/// A record of ours with one small flow.
pub fn one_flow(secs: u64) -> Stored {
    let flow = Flow {
        time_received_ns: secs * 1_000_000_000,
        bytes: 1,
        packets: 1,
        ..Flow::default()
    };
    let mut payload = Vec::new();
    flow.encode_delimited(Dialect::Goflow2, &mut payload);
    Stored {
        timestamp_millis: secs as i64 * 1000,
        ours: true,
        payload,
    }
}

fn record(dice: &mut Dice, stamp_secs: u64, sent_secs: u64) -> Stored {
    let timestamp_millis = (stamp_secs * 1000 + dice.roll(1000)) as i64;
    let dialect = if dice.chance(70) {
        Dialect::Goflow2
    } else {
        Dialect::Goflow
    };
    let kind = dice.roll(100);
    let mut payload = Vec::new();
    let ours = kind < 75;
    match kind {
        0..82 => {
            for _ in 0..1 + dice.roll(12) {
                flow(dice, sent_secs).encode_delimited(dialect, &mut payload);
            }
            if dice.chance(2) {
                // A message that can't be read, between others that can.
                payload.extend_from_slice(&[3, 0x48, 0xff, 0xff]);
                flow(dice, sent_secs).encode_delimited(dialect, &mut payload);
            }
        }
        82..94 => flow(dice, sent_secs).encode(dialect, &mut payload),
        94..96 => {}
        _ => payload = (0..dice.roll(60)).map(|_| dice.roll(256) as u8).collect(),
    }
    if ours && dice.chance(2) {
        let keep = dice.roll(payload.len() as u64) as usize;
        payload.truncate(keep);
    }
    Stored {
        timestamp_millis,
        ours,
        payload,
    }
}

fn flow(dice: &mut Dice, sent_secs: u64) -> Flow {
    let base = sent_secs * 1_000_000_000 + dice.roll(1_000_000_000);
    let received = match dice.roll(1000) {
        0..4 => 1,
        4..8 => 4_102_444_800_000_000_000,
        8..12 => sent_secs,
        12..20 => 0,
        20..100 => base - dice.roll(5_400) * 1_000_000_000,
        100..130 => base + dice.roll(900) * 1_000_000_000,
        _ => base,
    };
    let address = |dice: &mut Dice| match dice.roll(10) {
        0 => Addr::NONE,
        1..4 => {
            let mut v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
            v6[4] = dice.roll(4) as u8;
            Addr(v6)
        }
        _ => Addr::v4([10, dice.roll(8) as u8, 0, 1]),
    };
    // An exporter's clock may be ahead, by minutes or by days.
    let start = match dice.roll(100) {
        0..4 => base + dice.roll(1_800) * 1_000_000_000,
        4 => base + 200_000 * 1_000_000_000,
        _ => base - dice.roll(600) * 1_000_000_000,
    };
    let bytes = if dice.chance(1) {
        (1 << 50) + 1 - dice.roll(2)
    } else {
        40 + dice.roll(1460)
    };
    Flow {
        time_received_ns: received,
        time_flow_start_ns: start,
        time_flow_end_ns: if dice.chance(80) { base } else { 0 },
        sampling_rate: [0, 1 << 41, 1, 1, 100, 100, 1000, 1000, 1000, 512][dice.roll(10) as usize],
        sampling_rate_assumed: dice.chance(3),
        bytes,
        packets: 1 + dice.roll(3),
        src_addr: address(dice),
        dst_addr: address(dice),
        src_as: if dice.chance(50) {
            64_496 + dice.roll(5) as u32
        } else {
            0
        },
        dst_as: if dice.chance(50) {
            65_000 + dice.roll(40) as u32
        } else {
            0
        },
        sampler_address: Addr::v4([192, 0, 2, (bytes % 4) as u8]),
        etype: [0x800, 0x86dd, 0x806][dice.roll(3) as usize],
        ip_flags: dice.roll(8) as u32,
        ..Flow::default()
    }
}
