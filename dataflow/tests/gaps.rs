//! Gaps that retention leaves, and starts that are not at the beginning, one at a time: refused or declared, at a restart
//! and while the job runs; what is on record is not asked about again.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use flow_dataflow::{Beginning, JobConfig, JobError, Metrics};
use flow_state::{Checkpoint, StateStore};
use flow_tables::TableSet;
use support::Attempt;
use support::follower::Table;
use support::memory::{MemoryTopic, Stored};
use support::scenario::{BEGIN_SECS, one_flow};

/// One flow a minute.
fn records(count: u64) -> Vec<Stored> {
    (0..count).map(|n| one_flow(BEGIN_SECS + n * 60)).collect()
}

struct World {
    topic: MemoryTopic,
    folder: tempfile::TempDir,
    attempts: u64,
    table: Table,
}

impl World {
    fn new(partitions: &[u64]) -> World {
        World {
            topic: MemoryTopic::new(partitions.iter().map(|n| records(*n)).collect()),
            folder: tempfile::tempdir().expect("a folder"),
            attempts: 0,
            table: Table::default(),
        }
    }

    fn attempt(&mut self, config: JobConfig) -> Attempt {
        self.attempts += 1;
        let state = StateStore::open(self.folder.path()).expect("a state");
        let (topic, tables) = (Arc::new(self.topic.clone()), Arc::new(TableSet::default()));
        Attempt::new(config, topic, tables, state, self.attempts)
    }

    /// Reads to the end.
    fn run(&mut self, config: JobConfig) -> (Result<Arc<Checkpoint>, JobError>, Metrics) {
        let attempt = self.attempt(JobConfig {
            until_end: true,
            checkpoint_gap_millis: 1,
            ..config
        });
        let metrics = attempt.metrics.clone();
        let (result, table, newest) = attempt.run(std::mem::take(&mut self.table));
        self.table = table;
        (result.map(|_| newest.expect("a checkpoint")), metrics)
    }
}

fn accepting() -> JobConfig {
    JobConfig {
        accept_gap: true,
        ..JobConfig::default()
    }
}

#[test]
fn a_gap_at_a_restart_is_refused_and_with_leave_declared() {
    let mut world = World::new(&[100, 100]);
    world.topic.reveal(0, 10);
    world.topic.reveal(1, 100);
    world
        .run(JobConfig::default())
        .0
        .expect("nothing is missing");
    world.topic.reveal(0, 90);
    world.topic.expire(0, 70);
    let refused = world.run(JobConfig::default()).0.expect_err("a gap");
    assert_eq!(
        refused.to_string(),
        "memory://test: partition 0: offsets 10 to 69 (at most 60 records) were deleted by retention before they were \
         read; slots from 2023-11-14T21:20:00Z to 2023-11-14T23:30:00Z may lack flows"
    );
    let (ran, metrics) = world.run(accepting());
    let checkpoint = ran.expect("it goes on");
    assert_eq!(
        (metrics.missing_offsets(0), metrics.missing_offsets(1)),
        (60, 0)
    );
    let flows: u64 = checkpoint.slots.values().map(|slot| slot.flows).sum();
    assert_eq!(flows, 10 + 30 + 100);
    let marked = checkpoint
        .slots
        .keys()
        .filter(|s| checkpoint.missing_partitions(**s) == [0]);
    // From an hour before the ninth minute to one slot after the seventieth, retired ones aside, and `elsewhere`.
    let marked: Vec<u64> = marked.copied().collect();
    assert_eq!(marked.first(), Some(&0));
    assert_eq!(marked.last(), Some(&(BEGIN_SECS + 75 * 60)));
    assert!(
        marked.contains(&BEGIN_SECS)
            && checkpoint.missing_partitions(BEGIN_SECS + 4_800).is_empty()
    );
    // It is on record, and behind us.
    world.run(JobConfig::default()).0.expect("no gap any more");
}

#[test]
fn a_gap_met_while_running_is_refused_and_with_leave_declared() {
    for accept_gap in [false, true] {
        let mut world = World::new(&[100]);
        world.topic.reveal(0, 10);
        let attempt = world.attempt(JobConfig {
            accept_gap,
            tick_millis: 1,
            checkpoint_millis: 5,
            ..JobConfig::default()
        });
        let (status, stop) = (Arc::clone(&attempt.status), Arc::clone(&attempt.stop));
        let running = thread::spawn(move || attempt.run(Table::default()));
        let read = |offset: u64| {
            status
                .look()
                .positions
                .get(&0)
                .is_some_and(|at| at.offset >= offset)
        };
        while !read(10) {
            thread::yield_now();
        }
        // Both at once for whoever looks at the next record.
        world.topic.expire_unseen(0, 40);
        world.topic.reveal(0, 90);
        if accept_gap {
            while !read(100) {
                thread::yield_now();
            }
            stop.store(true, Ordering::Release);
        }
        let (result, _, newest) = running.join().expect("it lives");
        assert_eq!(result.is_ok(), accept_gap, "{result:?}");
        let Err(error) = result else {
            let gaps = &newest.expect("a checkpoint").gaps;
            assert_eq!(gaps.len(), 1);
            assert_eq!((gaps[0].from_offset, gaps[0].to_offset), (10, 40));
            continue;
        };
        assert!(matches!(error, JobError::Gap { gap, more: 0, .. } if gap.offsets == 30));
    }
}

#[test]
fn a_gap_without_a_record_after_it_marks_every_slot_until_one_comes() {
    let mut world = World::new(&[100, 200]);
    world.topic.reveal(0, 10);
    world
        .run(JobConfig::default())
        .0
        .expect("nothing is missing");
    world.topic.reveal(0, 40);
    world.topic.expire(0, 50);
    world.topic.reveal(1, 150);
    let checkpoint = world.run(accepting()).0.expect("it goes on");
    assert_eq!(checkpoint.gaps[0].after_ns, None);
    let late = BEGIN_SECS + 140 * 60;
    assert_eq!(checkpoint.missing_partitions(late - late % 300), [0]);
    // It is on record: nobody is asked again, until more is gone.
    world.topic.reveal(1, 10);
    world.run(JobConfig::default()).0.expect("accepted before");
    world.topic.reveal(0, 20);
    world.topic.expire(0, 60);
    world
        .run(JobConfig::default())
        .0
        .expect_err("ten more are gone");
    let checkpoint = world.run(accepting()).0.expect("it goes on");
    let [gap] = checkpoint.gaps[..] else {
        panic!("{:?}", checkpoint.gaps);
    };
    assert_eq!((gap.from_offset, gap.to_offset, gap.offsets), (10, 60, 50));
    assert_eq!(gap.last_slot_secs, BEGIN_SECS + 65 * 60);
    assert!(checkpoint.missing_partitions(late - late % 300).is_empty());
}

#[test]
fn a_gap_of_a_year_makes_no_row_for_each_slot_of_it() {
    let year = 366 * 24 * 60;
    let mut world = World::new(&[year]);
    world.topic.reveal(0, 10);
    world
        .run(JobConfig::default())
        .0
        .expect("nothing is missing");
    world.topic.reveal(0, year);
    world.topic.expire(0, year - 2);
    let checkpoint = world.run(accepting()).0.expect("it goes on");
    let day = 24 * 12;
    let slots = checkpoint.slots.len();
    assert!((day..day + 10).contains(&slots), "{slots} slots");
    assert_eq!(
        checkpoint.missing_partitions(0),
        [0],
        "elsewhere tells the rest"
    );
    assert_eq!(
        checkpoint.missing_partitions(BEGIN_SECS),
        [0],
        "what had flows is marked"
    );
}

#[test]
fn a_partition_without_a_clock_has_no_gap_but_a_later_start() {
    let mut world = World::new(&[100]);
    world.topic.reveal(0, 60);
    let attempt = world.attempt(JobConfig {
        until_end: true,
        ..JobConfig::default()
    });
    // Between the first look at the topic and the first record.
    world.topic.expire_after_look(0, 20);
    let (result, _, newest) = attempt.run(Table::default());
    let (snapshot, checkpoint) = (result.expect("no gap"), newest.expect("a checkpoint"));
    assert_eq!(
        snapshot.slots.values().map(|slot| slot.flows).sum::<u64>(),
        40
    );
    assert_eq!((checkpoint.starts[&0], checkpoint.gaps.len()), (20, 0));
    assert_eq!(checkpoint.partial, [BEGIN_SECS + 20 * 60]);
}

#[test]
fn only_the_first_slot_of_a_start_that_is_cut_off_is_partial() {
    let mut world = World::new(&[100, 100]);
    world.topic.reveal_all();
    world.topic.expire(0, 7);
    world.topic.expire(1, 12);
    let checkpoint = world.run(JobConfig::default()).0.expect("it runs");
    let slot = |minute: u64| BEGIN_SECS + minute * 60;
    assert_eq!(checkpoint.partial, [slot(5), slot(10)]);
    let mut world = World::new(&[100, 100]);
    world.topic.reveal_all();
    let checkpoint = world.run(JobConfig::default()).0.expect("it runs");
    assert!(checkpoint.partial.is_empty(), "{:?}", checkpoint.partial);
}

#[test]
fn a_start_at_the_end_is_partial_where_the_first_record_comes_also_after_a_restart() {
    let latest = || JobConfig {
        beginning: Beginning::Latest,
        ..JobConfig::default()
    };
    let mut world = World::new(&[100]);
    world.topic.reveal(0, 13);
    let checkpoint = world.run(latest()).0.expect("nothing to read");
    assert_eq!((checkpoint.starts[&0], checkpoint.slots.len()), (13, 0));
    world.topic.reveal(0, 20);
    let checkpoint = world.run(latest()).0.expect("it goes on where it stood");
    assert_eq!(checkpoint.starts[&0], 13);
    assert_eq!(
        checkpoint
            .slots
            .values()
            .map(|slot| slot.flows)
            .sum::<u64>(),
        20
    );
    assert_eq!(checkpoint.partial, [BEGIN_SECS + 600]);
}
