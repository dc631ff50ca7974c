//! Slots complete on time whatever one exporter or one partition does: receive times of nonsense, partitions that are
//! silent, empty or far behind. Step by step: a minute of flows, and then what the job makes of it.
//!
//! Law 2: a bad receive time moves nothing but its own flow; a partition without unread records holds nobody up.

mod oracle;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flow_dataflow::{JobConfig, JobError, Snapshot, Status};
use flow_proto::{Dialect, Flow};
use flow_state::{Checkpoint, Published, StateStore};
use flow_tables::TableSet;
use support::Attempt;
use support::follower::Table;
use support::memory::{MemoryTopic, Stored};
use support::scenario::BEGIN_SECS;

const PATIENCE: Duration = Duration::from_secs(60);
const SECOND: u64 = 1_000_000_000;
const EXPORTERS: u64 = 100;

type Ended = (Result<Snapshot, JobError>, Table, Option<Arc<Checkpoint>>);

/// A job that runs over a topic which shows its records one minute after the other.
struct Steps {
    topic: MemoryTopic,
    status: Arc<Status>,
    published: Arc<Published>,
    stop: Arc<AtomicBool>,
    running: JoinHandle<Ended>,
    folder: tempfile::TempDir,
}

/// What is seen when all that shows has been read: the watermark, and the slots that are complete.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    watermark_secs: u64,
    complete: BTreeSet<u64>,
}

impl Steps {
    fn start(records: Vec<Vec<Stored>>) -> Steps {
        let topic = MemoryTopic::new(records);
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateStore::open(folder.path()).expect("a state");
        let config = JobConfig {
            workers: 2,
            tick_millis: 1,
            checkpoint_millis: 5,
            checkpoint_gap_millis: 1,
            ..JobConfig::default()
        };
        let shared = Arc::new(topic.clone());
        let attempt = Attempt::new(config, shared, Arc::new(TableSet::default()), state, 1);
        Steps {
            topic,
            status: Arc::clone(&attempt.status),
            published: Arc::clone(&attempt.job.published),
            stop: Arc::clone(&attempt.stop),
            running: thread::spawn(move || attempt.run(Table::default())),
            folder,
        }
    }

    fn wait(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(!self.running.is_finished(), "it has ended before: {what}");
            assert!(begun.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
            thread::yield_now();
        }
    }

    /// Waits until all that shows is in a checkpoint, and slots that are due are complete.
    fn look(&self) -> Look {
        let visible: Vec<u64> = (0..self.topic.count())
            .map(|partition| self.topic.visible(partition))
            .collect();
        let ends = || (0u32..).zip(&visible).filter(|(_, end)| **end > 0);
        self.wait("all is read", || {
            let at = self.status.look().positions;
            ends().all(|(p, end)| at.get(&p).is_some_and(|at| at.offset == *end))
        });
        let watermark_ns = self.status.look().watermark_ns.expect("a record");
        let watermark_secs = watermark_ns.unsigned_abs() / SECOND;
        let complete = |checkpoint: &Checkpoint| -> BTreeSet<u64> {
            checkpoint
                .complete
                .keys()
                .map(|group| group.slot_secs)
                .collect()
        };
        let delay = JobConfig::default().emit_delay_secs;
        self.wait("a checkpoint of it", || {
            self.published.newest().is_some_and(|newest| {
                let (complete, slots) = (complete(&newest), &newest.slots);
                let due = slots.keys().filter(|s| **s + 300 + delay <= watermark_secs);
                ends().all(|(p, end)| newest.cut.get(&p).is_some_and(|at| at.offset == *end))
                    && due.copied().eq(complete.iter().copied())
            })
        });
        let newest = self.published.newest().expect("one");
        Look {
            watermark_secs,
            complete: complete(&newest),
        }
    }

    /// Ends the job and compares every row, of open slots too, and every count with the oracle's.
    fn end(self) -> (Table, oracle::Output) {
        self.stop.store(true, Ordering::Release);
        let (result, table, checkpoint) = self.running.join().expect("it lives");
        result.expect("it ends well");
        let checkpoint = checkpoint.expect("one");
        let events = checkpoint.timeline.retirements.iter();
        let partitions = (0..self.topic.count()).map(|partition| {
            let stored = (0u64..).zip(self.topic.records(partition));
            let record = |(offset, record): (u64, &Stored)| oracle::Record {
                offset,
                timestamp_millis: record.timestamp_millis,
                ours: record.ours,
                payload: record.payload.clone(),
            };
            (partition as u32, stored.map(record).collect())
        });
        let expected = oracle::run(&oracle::Input {
            partitions: partitions.collect(),
            starts: checkpoint.starts.clone(),
            retirements: events
                .map(|event| oracle::Retired {
                    line_secs: event.line_secs,
                    offsets: event.offsets.clone(),
                })
                .collect(),
            versions: vec![(0, oracle::Tables::from_csv(None, None))],
            ..oracle::Input::default()
        });
        let rows = table.sealed.iter();
        let rows: BTreeMap<_, _> = rows.map(|(key, sums)| (*key, sums.values())).collect();
        assert!(rows == expected.rows, "rows are the oracle's");
        let counts = checkpoint.slots.iter().map(|(slot, found)| {
            let counts = oracle::Slot {
                flows: found.flows,
                too_early: found.too_early,
                too_late: found.too_late,
                implausible: found.implausible,
            };
            (*slot, counts)
        });
        assert_eq!(counts.collect::<BTreeMap<_, _>>(), expected.slots);
        drop(self.folder);
        (table, expected)
    }
}

/// A pack of one flow of each exporter, taken from the network in the minute before. `received`: what the bad one, the
/// last of them, says instead of the pack's time.
fn pack(minute: u64, received: Option<u64>) -> Stored {
    let secs = BEGIN_SECS + (minute + 1) * 60;
    let mut payload = Vec::new();
    for exporter in 0..EXPORTERS {
        let good = (secs - exporter % 60) * SECOND;
        let bad = received.unwrap_or(secs * SECOND);
        let flow = Flow {
            time_received_ns: if exporter + 1 == EXPORTERS { bad } else { good },
            sampling_rate: 1,
            bytes: 100 + exporter,
            packets: 1,
            src_as: 64_500 + exporter as u32 % 10,
            dst_as: 65_000 + minute as u32 % 7,
            etype: 0x800,
            ..Flow::default()
        };
        flow.encode_delimited(Dialect::Goflow2, &mut payload);
    }
    Stored {
        timestamp_millis: secs as i64 * 1000,
        ours: true,
        payload,
    }
}

/// What is seen after each minute, and in the end.
fn by_minute(
    minutes: u64,
    time: impl Fn(u64) -> Option<u64>,
) -> (Vec<Look>, Table, oracle::Output) {
    let partition = |p: u64| (0..minutes).map(|m| pack(m, time(p + m))).collect();
    let steps = Steps::start((0..4).map(partition).collect());
    let minute = |_| {
        (0..4).for_each(|partition| assert!(steps.topic.reveal(partition, 1)));
        steps.look()
    };
    let looks = (0..minutes).map(minute).collect();
    let (table, expected) = steps.end();
    (looks, table, expected)
}

#[test]
fn receive_times_of_nonsense_move_no_slot_and_no_other_flow() {
    let minutes = 40;
    let (good, rows, _) = by_minute(minutes, |_| None);
    let (bad, same, expected) = by_minute(minutes, |n| {
        let now_secs = BEGIN_SECS + n * 60;
        // 1970, 2099, 1 ns, the year 2262, seconds and milliseconds in place of nanoseconds, a day ahead and behind.
        let times = [
            SECOND,
            4_070_908_800 * SECOND,
            1,
            u64::MAX / 2,
            now_secs,
            now_secs * 1000,
            (now_secs + 86_400) * SECOND,
            (now_secs - 86_400) * SECOND,
        ];
        Some(times[n as usize % times.len()])
    });
    assert_eq!(bad, good, "after each minute: watermark, complete slots");
    assert_eq!(same.sealed, rows.sealed);
    let total = expected.total();
    assert_eq!(total.flows, minutes * 4 * EXPORTERS);
    assert_eq!((total.too_early, total.too_late), (0, 0));
    let slots: Vec<u64> = expected.slots.keys().copied().collect();
    let last = BEGIN_SECS + minutes * 60;
    let all = (BEGIN_SECS..=last).step_by(300);
    assert_eq!(slots, all.collect::<Vec<_>>(), "no slot is opened");
    let complete = &bad.last().expect("minutes").complete;
    println!(
        "{} flows, {} with bad times; {} of {} slots complete, each at the same minute",
        total.flows,
        minutes * 4,
        complete.len(),
        slots.len()
    );
    assert_eq!(complete.len(), 7, "{complete:?}");
}

#[test]
fn partitions_that_are_silent_empty_or_far_behind_hold_nobody_up() {
    const MINUTES: u64 = 50;
    let minutes = |until: u64| (0..until).map(|m| pack(m, None)).collect::<Vec<_>>();
    // Five that go on, one that is silent after ten minutes, one that is far behind, one that is empty for ever.
    let (silent, behind, empty) = (5, 6, 7);
    let records = (0..8).map(|partition| match partition {
        5 => minutes(10),
        7 => Vec::new(),
        _ => minutes(MINUTES),
    });
    let steps = Steps::start(records.collect());
    let due = |secs: u64| {
        (BEGIN_SECS..secs - 419)
            .step_by(300)
            .collect::<BTreeSet<_>>()
    };
    for minute in 0..MINUTES {
        for partition in 0..=silent {
            steps.topic.reveal(partition, 1);
        }
        let now = BEGIN_SECS + (minute + 1) * 60;
        let look = steps.look();
        assert_eq!(look.watermark_secs, now, "minute {minute}");
        assert_eq!(
            look.complete,
            due(now.max(BEGIN_SECS + 419)),
            "minute {minute}"
        );
    }
    assert_eq!(steps.topic.visible(behind), 0);
    let before = steps.look();
    let newest = || steps.published.newest().expect("one");
    let flows = |slot: u64| newest().slots[&slot].flows;
    let first = flows(BEGIN_SECS);
    // It comes to the topic at last: into slots that are complete, and no later than they can take.
    for _ in 0..MINUTES {
        steps.topic.reveal(behind, 1);
        assert_eq!(steps.look(), before, "nothing goes back");
    }
    let added = flows(BEGIN_SECS) - first;
    assert_eq!(steps.topic.visible(empty), 0);
    let (table, expected) = steps.end();
    let total = expected.total();
    let late: u64 = MINUTES * EXPORTERS;
    assert_eq!(total.flows, (5 * MINUTES + 10) * EXPORTERS + late);
    assert_eq!((total.too_early, total.too_late), (0, 0));
    // Stores have the corrected rows of the complete slots.
    let shown = table.rows.iter();
    let shown = shown.filter(|((rollup, slot, _), _)| *rollup == 0 && *slot == BEGIN_SECS);
    let shown: u64 = shown.map(|(_, sums)| sums.flows).sum();
    assert_eq!(shown, first + added);
    assert!(added > 400, "{added} corrections of the first slot");
    println!(
        "{} flows, {late} of them late; {} slots complete, {added} corrections of the first one",
        total.flows,
        before.complete.len()
    );
}
