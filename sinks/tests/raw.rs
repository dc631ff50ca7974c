//! Random schedules of checkpoints and the followers of raw stores: killed, restarted, far behind, beside a zombie,
//! with partitions that are found later or stand still.
//!
//! Whatever happens, a store that has caught up holds every flow below the last cut once, and no other.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use flow_proto::{Coordinate, EnrichedFlow};
use flow_sinks::{
    Adoption, Applied, FollowerConfig, Held, RawBlock, RawCursors, RawFollower, RawSink, RawSpan,
    RawTopic, RawWalked, Share, SinkError, SinkErrorKind, Step,
};
use flow_state::{Position, Published};
use rusqlite::Connection;
use support::Chance;
use support::job::{JOB, Job};

const STEPS: u64 = 300;
const SEEDS: u64 = 12;
const PARTITIONS: u32 = 3;
/// Where every partition begins.
const START: u64 = 7;

/// What a topic has lost to retention: below this offset.
type Earliest = Arc<Mutex<u64>>;

/// A topic whose record at offset n holds n mod 3 flows.
struct Records {
    earliest: Earliest,
}

impl RawTopic for Records {
    fn name(&self) -> String {
        "dir:///records".to_owned()
    }

    fn walk(
        &self,
        span: &RawSpan<'_>,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<RawWalked, SinkError> {
        assert_eq!(span.from.clock_ns, position(span.from.offset).clock_ns);
        let first = span.from.offset.max(*self.earliest.lock().unwrap());
        let mut walked = RawWalked {
            flows: 0,
            missing_offsets: first.min(span.end_offset) - span.from.offset,
        };
        for offset in first..span.end_offset {
            for at in record(span.partition, offset) {
                let mut flow = EnrichedFlow {
                    at,
                    received_ns: u64::MAX,
                    ..EnrichedFlow::default()
                };
                flow.flow.bytes = u64::MAX;
                take(&flow)?;
                walked.flows += 1;
            }
        }
        Ok(walked)
    }
}

fn record(partition: u32, offset: u64) -> impl Iterator<Item = Coordinate> {
    (0..u32::try_from(offset % 3).unwrap()).map(move |index| Coordinate {
        partition,
        offset,
        index,
    })
}

fn position(offset: u64) -> Position {
    Position {
        offset,
        clock_ns: match offset {
            START => i64::MIN,
            _ => i64::try_from(offset).unwrap(),
        },
        last_record: None,
    }
}

/// How a store is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Nothing,
    /// Takes the stored cursor for the one it started from.
    CursorNotCompared,
    /// Says "written" when the outcome is unknown.
    UnknownTakenForDone,
    /// Hands over every other flow.
    HalfOfABlock,
}

struct Chaos {
    inner: Box<dyn RawSink>,
    chance: Chance,
    how: Break,
}

impl RawSink for Chaos {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn cursors(&mut self) -> Result<RawCursors, SinkError> {
        if self.chance.one_in(10) {
            return Err(SinkError::retry("down"));
        }
        self.inner.cursors()
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        self.inner.held()
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        self.inner.adopt(adoption)
    }

    fn apply(&mut self, block: &RawBlock<'_>) -> Result<Applied, SinkError> {
        if self.chance.one_in(10) {
            let done = self.how == Break::UnknownTakenForDone;
            return if done {
                Ok(Applied::Done { rows: 0 })
            } else {
                Err(SinkError::retry("down"))
            };
        }
        let half = Half(block.rows);
        let rows = match self.how {
            Break::HalfOfABlock => &half,
            _ => block.rows,
        };
        let from = match self.how {
            Break::CursorNotCompared => self
                .inner
                .cursors()?
                .by_partition
                .get(&block.partition)
                .copied(),
            _ => block.from,
        };
        let applied = self.inner.apply(&RawBlock {
            rows,
            from,
            ..*block
        })?;
        if self.chance.one_in(10) {
            return Err(SinkError::retry("the answer was lost"));
        }
        Ok(applied)
    }
}

#[derive(Debug)]
struct Half<'a>(&'a dyn flow_sinks::RawRows);

impl flow_sinks::RawRows for Half<'_> {
    fn for_each(
        &self,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.0.for_each(&mut |flow| match flow.at.index {
            0 => take(flow),
            _ => Ok(()),
        })
    }
}

struct Run {
    job: Job,
    chance: Chance,
    how: Break,
    path: PathBuf,
    live: RawFollower,
    zombie: Option<RawFollower>,
    earliest: Earliest,
}

fn sink(path: &Path) -> Box<dyn RawSink> {
    let url = format!("sqlite://{}?raw=on", path.display());
    flow_sinks::open(&url).unwrap().raw.unwrap()
}

impl Run {
    fn new(folder: &Path, seed: u64, how: Break) -> Run {
        let job = Job::with_raw(&folder.join("state"));
        let path = folder.join("raw.db");
        let mut chance = Chance(seed);
        let earliest = Earliest::default();
        let parts = (job.published.clone(), how, &earliest);
        let live = follower(&job, &path, &mut chance, parts);
        Run {
            job,
            chance,
            how,
            path,
            live,
            zombie: None,
            earliest,
        }
    }

    fn follower(&mut self, published: Arc<Published>) -> RawFollower {
        let parts = (published, self.how, &self.earliest);
        follower(&self.job, &self.path, &mut self.chance, parts)
    }

    fn act(&mut self) -> Result<(), String> {
        match self.chance.below(12) {
            0..=3 => self.job.checkpoint_of(|cut, starts| {
                for partition in 0..PARTITIONS {
                    // The last partition is found later.
                    let found = cut.contains_key(&partition) || partition < PARTITIONS - 1;
                    if !found && !self.chance.one_in(6) {
                        continue;
                    }
                    starts.entry(partition).or_insert(START);
                    let at = cut.entry(partition).or_insert(position(START));
                    if self.chance.one_in(3) {
                        *at = position(at.offset + self.chance.below(5));
                    }
                }
            }),
            4..=8 if self.chance.one_in(2) => drop(self.step()?),
            9 => self.live = self.follower(Arc::clone(&self.job.published)),
            10 => {
                let old = Published::new();
                let newest = self.job.published.newest();
                newest.into_iter().for_each(|c| old.publish(c));
                self.zombie = Some(self.follower(old));
                self.live = self.follower(Arc::clone(&self.job.published));
            }
            11 => {
                if let Some(zombie) = &mut self.zombie
                    && zombie.step().is_err_and(|error| !error.is_retry())
                {
                    self.zombie = None;
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Step>, String> {
        match self.live.step() {
            Ok(step) => Ok(Some(step)),
            Err(error) if error.is_retry() => Ok(None),
            Err(error) => Err(format!("the follower ends: {error}")),
        }
    }

    fn finish(&mut self) -> Result<usize, String> {
        let mut steps = 0;
        while self.step()? != Some(Step::CaughtUp) {
            steps += 1;
            assert!(steps < 5_000, "it does not catch up");
        }
        let (found, expected) = (read(&self.path), self.expected());
        if found != expected {
            let more = found.difference(&expected).count();
            let less = expected.difference(&found).count();
            return Err(format!("{more} flows too many, {less} too few"));
        }
        Ok(found.len())
    }

    fn expected(&self) -> BTreeSet<(u32, u64, u32)> {
        let cut = &self.job.checkpoint.cut;
        cut.iter()
            .flat_map(|(p, at)| (START..at.offset).flat_map(|offset| record(*p, offset)))
            .map(|at| (at.partition, at.offset, at.index))
            .collect()
    }
}

fn follower(
    job: &Job,
    path: &Path,
    chance: &mut Chance,
    (published, how, earliest): (Arc<Published>, Break, &Earliest),
) -> RawFollower {
    let chaos = Chaos {
        inner: sink(path),
        chance: Chance(chance.below(1 << 30)),
        how,
    };
    let records = Records {
        earliest: Arc::clone(earliest),
    };
    RawFollower::new(
        (Box::new(chaos), Box::new(records)),
        job.state.clone(),
        published,
        (Arc::clone(&job.acks), 0),
        job.config(),
    )
}

/// Every flow of the store; its key has no doubles.
fn read(path: &Path) -> BTreeSet<(u32, u64, u32)> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection
        .prepare("SELECT topic_partition, topic_offset, flow_index FROM raw_flows")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn run(seed: u64, how: Break) -> Result<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path(), seed, how);
    for _ in 0..STEPS {
        run.act()?;
    }
    let flows = run.finish()?;
    let kept = run.job.state.numbers().unwrap();
    let (newest, held) = (run.job.checkpoint.number, run.job.acks.raw_of(0));
    assert!(held + 64 > newest, "stands at {newest}, holds back {held}");
    assert!(
        kept[0] <= held.max(1) || kept.len() == 2,
        "{kept:?}, {held} is needed"
    );
    Ok(flows)
}

#[test]
fn a_store_holds_every_flow_once_whatever_happens() {
    let mut flows = 0;
    for seed in 1..=SEEDS {
        match run(seed, Break::Nothing) {
            Ok(n) => flows += n,
            Err(what) => panic!("seed {seed}: {what}"),
        }
    }
    eprintln!("{SEEDS} schedules, {flows} raw flows");
    assert!(flows > 1_000, "the schedules hardly write: {flows} flows");
}

#[test]
fn broken_stores_are_found_out() {
    for how in [
        Break::CursorNotCompared,
        Break::UnknownTakenForDone,
        Break::HalfOfABlock,
    ] {
        let caught = (1..=SEEDS).find_map(|seed| run(seed, how).err().map(|what| (seed, what)));
        let Some((seed, what)) = caught else {
            panic!("{how:?} was not caught")
        };
        eprintln!("{how:?}: seed {seed}: {what}");
    }
}

#[test]
fn what_is_gone_from_the_topic_is_counted_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path(), 1, Break::Nothing);
    for end in [20, 40] {
        run.job.checkpoint_of(|cut, starts| {
            starts.insert(0, START);
            cut.insert(0, position(end));
        });
    }
    *run.earliest.lock().unwrap() = 30;
    let mut steps = 0;
    while run.step().unwrap() != Some(Step::CaughtUp) {
        steps += 1;
        assert!(steps < 100);
    }
    let offsets: BTreeSet<u64> = read(&run.path).into_iter().map(|(_, at, _)| at).collect();
    let left = (30..40).filter(|offset| offset % 3 > 0).collect();
    assert_eq!(offsets, left);
}

#[test]
fn a_store_that_begins_late_says_so_and_begins_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path(), 1, Break::Nothing);
    run.job.acks.acknowledge_raw(0, u64::MAX);
    for end in [20, 40, 60, 80] {
        run.job.checkpoint_of(|cut, starts| {
            starts.insert(0, START);
            cut.insert(0, position(end));
        });
    }
    assert_eq!(
        run.job.state.numbers().unwrap(),
        [3, 4],
        "nobody needed the others"
    );
    while run.step().unwrap() != Some(Step::CaughtUp) {}
    let first = read(&run.path).into_iter().map(|(_, at, _)| at).min();
    assert_eq!(first, Some(61), "above the cut of checkpoint 3");
}

#[test]
fn raw_flows_that_were_off_for_a_while_go_on_behind_the_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path(), 1, Break::Nothing);
    let mut ends = [20, 40, 60, 80, 100].into_iter();
    let mut checkpoint = |run: &mut Run| {
        let end = ends.next().unwrap();
        run.job.checkpoint_of(|cut, starts| {
            starts.insert(0, START);
            cut.insert(0, position(end));
        });
    };
    checkpoint(&mut run);
    while run.step().unwrap() != Some(Step::CaughtUp) {}
    // Without the store, nobody holds back checkpoints 1 and 2.
    run.job.acks.acknowledge_raw(0, u64::MAX);
    (0..3).for_each(|_| checkpoint(&mut run));
    assert_eq!(run.job.state.numbers().unwrap(), [3, 4]);
    run.live = run.follower(Arc::clone(&run.job.published));
    while run.step().unwrap() != Some(Step::CaughtUp) {}
    let offsets: BTreeSet<u64> = read(&run.path).into_iter().map(|(_, at, _)| at).collect();
    let held = (START..20)
        .chain(60..80)
        .filter(|offset| offset % 3 > 0)
        .collect();
    assert_eq!(offsets, held);
}

#[test]
fn a_store_of_another_job_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path(), 1, Break::Nothing);
    run.job.checkpoint_of(|cut, starts| {
        starts.insert(0, START);
        cut.insert(0, position(20));
    });
    while run.step().unwrap() != Some(Step::CaughtUp) {}
    for (change, words) in [
        (
            "UPDATE flow_pipeline_raw_cursors SET job = 'another'",
            "another",
        ),
        (
            "UPDATE flow_pipeline_raw_cursors SET checkpoint = 9",
            "checkpoint 9",
        ),
    ] {
        let connection = Connection::open(&run.path).unwrap();
        connection.execute_batch(change).unwrap();
        // While the store is down, it is let pass.
        let refused = loop {
            let mut follower = run.follower(Arc::clone(&run.job.published));
            if let Err(error) = follower.admit() {
                break error;
            }
        };
        assert_eq!(refused.kind, SinkErrorKind::Refused);
        assert!(refused.to_string().contains(words), "{refused}");
        let back = format!("UPDATE flow_pipeline_raw_cursors SET job = '{JOB}'");
        connection.execute_batch(&back).unwrap();
    }
}

/// It opens late, when another process of the job has gone on beyond what this one has restored.
#[test]
fn a_store_may_be_ahead_in_the_partitions_of_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path(), 1, Break::Nothing);
    run.job.checkpoint_of(|cut, starts| {
        for partition in [0, 1] {
            starts.insert(partition, START);
            cut.insert(partition, position(20));
        }
    });
    while run.step().unwrap() != Some(Step::CaughtUp) {}
    let admit = |process| {
        let share = Share {
            process,
            processes: 2,
        };
        let records = Records {
            earliest: Arc::clone(&run.earliest),
        };
        RawFollower::new(
            (sink(&run.path), Box::new(records)),
            run.job.state.clone(),
            Arc::clone(&run.job.published),
            (Arc::clone(&run.job.acks), 0),
            FollowerConfig {
                share,
                ..run.job.config()
            },
        )
        .admit()
    };
    let ahead = "UPDATE flow_pipeline_raw_cursors SET checkpoint = 9 WHERE topic_partition = 0";
    let connection = Connection::open(&run.path).unwrap();
    assert_eq!(connection.execute(ahead, ()).unwrap(), 1);
    admit(1).unwrap();
    let refused = admit(0).unwrap_err();
    assert!(
        refused.to_string().contains("holds checkpoint 9"),
        "{refused}"
    );
}

#[test]
fn numbers_that_sqlite_cannot_hold_stand_as_its_largest() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path(), 1, Break::Nothing);
    run.job.checkpoint_of(|cut, starts| {
        starts.insert(0, START);
        cut.insert(0, position(9));
    });
    while run.step().unwrap() != Some(Step::CaughtUp) {}
    let connection = Connection::open(&run.path).unwrap();
    let found: (i64, i64, i64) = connection
        .query_row(
            "SELECT count(*), min(bytes), min(time_received) FROM raw_flows",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(found, (3, i64::MAX, i64::MAX));
}
