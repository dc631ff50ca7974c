//! A replay equals the job: of any range of slots of any history, with any number of workers, as recorded it gives the rows
//! that the oracle computes from the recorded timeline, and with every flow those of the slot's refused flows besides.

mod oracle;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_dataflow::{Asked, Counting, JobConfig, JobError, Replay, SamplingRates, SlotTime};
use flow_proto::RowRecord;
use flow_state::{Group, StateStore};
use flow_tables::{Kind, Source, TableSet};
use support::history::{self, Outcome};
use support::memory::Stored;
use support::scenario::{Dice, Shape, topic};
use support::{Attempt, config};

const ASN: &str = "10.0.0.0,10.3.255.255,64500\n10.2.0.0,10.2.255.255,64501\n2001:db8::,2001:db8:1:ffff:ffff:ffff:ffff:ffff,64502";
const WINDOW: u64 = 300;

fn tables() -> Arc<TableSet> {
    let sources = [(Kind::Asn, Source::Text("asn", ASN.as_bytes()))];
    Arc::new(TableSet::load_sources(&sources).expect("good tables").0)
}

/// What the oracle says of the topic below the cut.
fn expected(records: &[Vec<Stored>], outcome: &Outcome, config: &JobConfig) -> oracle::Output {
    let below = |(p, stored): (u32, &Vec<Stored>)| {
        let end = outcome.checkpoint.cut.get(&p).map_or(0, |at| at.offset);
        let record = |(offset, r): (u64, &Stored)| oracle::Record {
            offset,
            timestamp_millis: r.timestamp_millis,
            ours: r.ours,
            payload: r.payload.clone(),
        };
        (p, (0..end).zip(stored).map(record).collect())
    };
    let retired = |event: &flow_state::Retirement| oracle::Retired {
        line_secs: event.line_secs,
        offsets: event.offsets.clone(),
    };
    let lost = |gap: &flow_state::Gap| oracle::Lost {
        partition: gap.partition,
        from: gap.from_offset,
        to: gap.to_offset,
    };
    oracle::run(&oracle::Input {
        partitions: (0u32..).zip(records).map(below).collect(),
        starts: outcome.checkpoint.starts.clone(),
        lost: outcome.checkpoint.gaps.iter().map(lost).collect(),
        retirements: outcome.timeline.retirements.iter().map(retired).collect(),
        versions: vec![(0, oracle::Tables::from_csv(Some(ASN), None))],
        config: oracle::Config {
            slot_time: match config.rows.slot_time {
                SlotTime::Received => oracle::Time::Received,
                SlotTime::Start => oracle::Time::Start,
                SlotTime::End => oracle::Time::End,
            },
            ..oracle::Config::default()
        },
        fates: false,
    })
}

type Rows = BTreeMap<oracle::Key, oracle::Sums>;

/// Runs it in a state of its own, and reads what its last checkpoint lists.
fn run(outcome: &Outcome, config: &JobConfig, replay: Replay, workers: usize) -> Rows {
    let folder = tempfile::tempdir().expect("a folder");
    let state = StateStore::open(folder.path()).expect("new");
    for version in replay.versions() {
        let bytes = outcome.state.read_table(&version.hash).expect("archived");
        state
            .archive_table(&version.hash, &bytes)
            .expect("archived");
    }
    let config = JobConfig {
        workers,
        until_end: true,
        replay: Some(Arc::new(replay)),
        ..config.clone()
    };
    let topic = Arc::new(outcome.topic.clone());
    let attempt = Attempt::new(config, topic, Arc::default(), state.clone(), 7);
    attempt.job.clone().run().expect("it ends");
    let Some(checkpoint) = state.newest().expect("whole") else {
        return Rows::new();
    };
    let mut rows = Rows::new();
    for (name, groups) in &checkpoint.segments {
        let segment = state.read_segment::<RowRecord>(*name).expect("whole");
        for row in segment.records() {
            let group = Group {
                rollup: row.rollup,
                slot_secs: row.slot_secs,
            };
            if groups.contains(&group) {
                let sums = row.sums.values();
                rows.insert((row.rollup, row.slot_secs, row.key), sums);
            }
        }
    }
    rows
}

/// What became of the replays.
#[derive(Debug, Default)]
struct Seen {
    rows: usize,
    refused: u64,
    deleted: u64,
    /// Rows of slots that lack nothing, beside such that do.
    left: usize,
}

fn check(seed: u64, seen: &mut Seen) {
    let shape = Shape {
        partitions: 1 + seed % 4,
        span_secs: 7_200,
        packs: 300,
    };
    let records = topic(seed, shape);
    let mut config = config();
    let times = [SlotTime::Received, SlotTime::Start, SlotTime::End];
    config.rows.slot_time = times[(seed % 3) as usize];
    config.accept_gap = seed % 5 == 1;
    let outcome = history::run(seed, &config, &[tables()], records.clone(), &[1, 2, 4]);
    let expected = expected(&records, &outcome, &config);
    let slots: Vec<u64> = expected
        .slots
        .keys()
        .copied()
        .filter(|slot| *slot > 0)
        .collect();
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else {
        panic!("no slots");
    };
    let mut dice = Dice::new(seed ^ 0x0ae9);
    for n in 0..4 {
        // All of it once; then parts.
        let span = (last - first) / WINDOW + 1;
        let from = if n == 0 {
            *first
        } else {
            first + dice.roll(span) * WINDOW
        };
        let to = if n == 0 {
            last + WINDOW
        } else {
            from + (1 + dice.roll(6)) * WINDOW
        };
        let within = |slot: &u64| (from..to).contains(slot);
        let of = |counting| {
            let asked = Asked {
                slots: (from, to),
                counting,
                partial: false,
                rates: SamplingRates::default(),
                versions: &outcome.checkpoint.timeline.versions,
            };
            Replay::of(&outcome.checkpoint, &outcome.topic, &config.rows, &asked)
        };
        let workers = 1 + dice.roll(4) as usize;
        match of(Counting::AsRecorded) {
            Ok(replay) => {
                let rows = run(&outcome, &config, replay, workers);
                let want = expected
                    .rows
                    .iter()
                    .filter(|((_, slot, _), _)| within(slot));
                let want: Rows = want.map(|(key, sums)| (*key, *sums)).collect();
                assert!(
                    rows == want,
                    "as recorded, {from} to {to}, {workers} workers"
                );
                seen.rows += rows.len();
            }
            Err(JobError::Retained { .. }) => seen.deleted += 1,
            Err(error) => panic!("{error}"),
        }
        // Of a gap the job has not seen what a replay cannot either.
        let mut refused = oracle::Slot::default();
        let mut want: BTreeMap<u64, u64> = BTreeMap::new();
        for (slot, counts) in expected.slots.iter().filter(|(slot, _)| within(slot)) {
            refused.too_early += counts.too_early;
            refused.too_late += counts.too_late;
            want.insert(*slot, counts.flows + counts.too_early + counts.too_late);
        }
        want.retain(|_, flows| *flows > 0);
        let every = Counting::Every {
            early: refused.too_early > 0,
            late: refused.too_late > 0,
        };
        match of(every) {
            Ok(replay) => {
                let mut flows: BTreeMap<u64, u64> = BTreeMap::new();
                for ((_, slot, _), sums) in run(&outcome, &config, replay, workers) {
                    *flows.entry(slot).or_default() += sums[2];
                }
                assert_eq!(flows, want, "every flow, {from} to {to}, {workers} workers");
                seen.refused += refused.too_early + refused.too_late;
            }
            Err(JobError::Retained { .. }) => seen.deleted += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let range = (*first, last + WINDOW);
    seen.left += what_is_left(&outcome, &config, (range, &expected.rows), &mut dice);
}

/// Retention takes more: what is left is enough for the slots that are not said to lack something. Returns their rows.
fn what_is_left(
    outcome: &Outcome,
    config: &JobConfig,
    (slots, expected): ((u64, u64), &Rows),
    dice: &mut Dice,
) -> usize {
    for (partition, at) in &outcome.checkpoint.cut {
        let below = dice.roll(1 + at.offset / 2);
        outcome.topic.expire(*partition as usize, below);
    }
    let asked = Asked {
        slots,
        counting: Counting::AsRecorded,
        partial: true,
        rates: SamplingRates::default(),
        versions: &outcome.checkpoint.timeline.versions,
    };
    let replay = Replay::of(&outcome.checkpoint, &outcome.topic, &config.rows, &asked);
    let replay = replay.expect("some of it is there");
    let whole = |slot: u64| slot > 0 && replay.lacking(slot).next().is_none();
    let mut rows = run(outcome, config, replay.clone(), 2);
    rows.retain(|(_, slot, _), _| whole(*slot));
    let want = expected.iter().filter(|((_, slot, _), _)| whole(*slot));
    let want: Rows = want.map(|(key, sums)| (*key, *sums)).collect();
    assert!(rows == want, "what is left");
    rows.len()
}

#[test]
fn a_replay_of_any_range_equals_the_oracle() {
    let mut seen = Seen::default();
    for seed in 0..40 {
        let checked = std::panic::catch_unwind(|| {
            let mut seen = Seen::default();
            check(seed, &mut seen);
            seen
        });
        let Ok(found) = checked else {
            panic!("seed {seed}");
        };
        seen.rows += found.rows;
        seen.refused += found.refused;
        seen.deleted += found.deleted;
        seen.left += found.left;
    }
    println!("{seen:?}");
    assert!(
        seen.rows > 10_000 && seen.refused > 1_000 && seen.deleted > 0 && seen.left > 100,
        "{seen:?}"
    );
}
