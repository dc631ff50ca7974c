//! The follower: one plain thread for each store, which brings it to the newest checkpoint, at the store's own pace.
//!
//! It reads the store's cursors at start and whenever an outcome is unknown, takes from the *newest* checkpoint what
//! the store lacks, and hands it over; a delta jumps over every checkpoint in between. Law 6: nothing that is not in
//! a checkpoint reaches a store; a store that is down costs the others nothing, and disk, not memory; an unknown job
//! id, or a cursor ahead of the state, is refused at start and ends a running job.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_proto::Rollups;
use flow_state::{Acks, Checkpoint, Published, StateStore};
use prometheus_client::metrics::counter::Counter;

use crate::following::{self, Following};
use crate::lag::Lag;
use crate::metrics::{Metrics, SinkMetrics};
use crate::segment_rows::SegmentRows;
use crate::share::Share;
use crate::utc::utc;
use crate::{Applied, Cursors, Delta, Sink, SinkError, gone_back, slot_rows};

/// Between tries: doubles from `first` to `most`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            first: Duration::from_millis(100),
            most: Duration::from_secs(10),
        }
    }
}

/// What a follower is told.
#[derive(Clone)]
pub struct FollowerConfig {
    /// Id of the job.
    pub job: String,
    /// Number of the checkpoint that the job restored; 0 if it begins. A store that is ahead of it belongs to
    /// a later state than ours.
    pub base: u64,
    /// The shards that this process writes.
    pub shards: Vec<u16>,
    /// The rollups of the job.
    pub rollups: Rollups,
    /// The partitions whose raw flows this process writes.
    pub share: Share,
    /// Between tries.
    pub backoff: Backoff,
    /// The time for `first_written` and `last_written`: seconds since 1970.
    pub now_secs: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for FollowerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowerConfig")
            .field("job", &self.job)
            .field("base", &self.base)
            .field("shards", &self.shards.len())
            .field("rollups", &self.rollups)
            .field("share", &self.share)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

/// What one step has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The store stands at the newest checkpoint.
    CaughtUp,
    /// Some shards now stand at this checkpoint.
    Applied(u64),
    /// The cursors were read, or have to be read again.
    Again,
}

/// Follows the checkpoints for one store.
pub struct Follower {
    sink: Box<dyn Sink>,
    state: StateStore,
    published: Arc<Published>,
    acks: Arc<Acks>,
    /// Its number in `acks`.
    number: usize,
    config: FollowerConfig,
    metrics: SinkMetrics,
    /// `None`: not known, to be read from the store.
    cursors: Option<Cursors>,
    /// The store was within `base` when first read.
    admitted: bool,
    /// Whether it has gone back was not looked at since they were read.
    unlooked: bool,
    lag: Lag,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::Mutant>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("sink", &self.sink.name())
            .field("cursors", &self.cursors)
            .finish_non_exhaustive()
    }
}

impl Follower {
    /// For the sink that has this number in `acks`. Metrics: see `with_metrics`.
    pub fn new(
        sink: Box<dyn Sink>,
        state: StateStore,
        published: Arc<Published>,
        (acks, number): (Arc<Acks>, usize),
        config: FollowerConfig,
    ) -> Follower {
        let metrics = Metrics::default().of(sink.name());
        let lag = lag(&published, &config, &metrics);
        Follower {
            sink,
            state,
            published,
            acks,
            number,
            config,
            metrics,
            cursors: None,
            admitted: false,
            unlooked: true,
            lag,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Breaks a law on purpose.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn broken(mut self, mutant: Option<crate::Mutant>) -> Follower {
        self.mutant = mutant;
        self
    }

    /// Counts into these metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: &Metrics) -> Follower {
        self.metrics = metrics.of(self.sink.name());
        self.lag = lag(&self.published, &self.config, &self.metrics);
        self
    }

    /// How far it has come, to be looked at from another thread.
    pub fn lag(&self) -> Lag {
        self.lag.clone()
    }

    /// Name of its store.
    pub fn sink_name(&self) -> &str {
        self.sink.name()
    }

    /// Reads the store's cursors and refuses a store that does not belong to this job: call it before the job starts,
    /// so that the refusal is the program's one line. A store that is down is let pass; `run` asks it again.
    ///
    /// # Errors
    /// Whatever trying again does not help against.
    pub fn admit(&mut self) -> Result<(), SinkError> {
        match self.read_cursors() {
            Err(error) if !error.is_retry() => Err(error),
            _ => Ok(()),
        }
    }

    /// Follows until `Published::close`, catches up with the newest checkpoint and returns; meant for a thread.
    ///
    /// # Errors
    /// What trying again does not help against: the job must end. After `Published::abandon` the last `Retry`.
    pub fn run(self) -> Result<(), SinkError> {
        let (published, backoff) = (Arc::clone(&self.published), self.config.backoff);
        following::follow(self, &published, backoff)
    }

    /// One step: read the cursors, or bring the shards that are furthest behind to the newest checkpoint.
    ///
    /// # Errors
    /// As the sink's; after a `Retry` the next step reads the cursors again.
    pub fn step(&mut self) -> Result<Step, SinkError> {
        let newest = self.published.newest();
        self.lag.show();
        let Some(cursors) = &self.cursors else {
            self.read_cursors()?;
            return Ok(Step::Again);
        };
        let Some(newest) = newest else {
            return Ok(Step::CaughtUp);
        };
        let from = self.lowest();
        let lagging = self
            .config
            .shards
            .iter()
            .copied()
            .filter(|s| cursors.of(*s) == from);
        let shards: Vec<u16> = lagging.collect();
        if from >= newest.number {
            return Ok(Step::CaughtUp);
        }
        if self.unlooked && from > 0 && shards.contains(&0) {
            let at = (from, self.config.rollups);
            let looked = gone_back::tell(self.sink.as_mut(), &newest, at);
            looked.inspect_err(|_| self.cursors = None)?;
        }
        self.unlooked = false;
        let applied = self.apply(&newest, from, &shards);
        #[cfg(feature = "mutants")]
        let applied = match applied {
            Ok(Applied::CursorMoved) if self.mutant == Some(crate::Mutant::MovedTakenForDone) => {
                Ok(Applied::Done { rows: 0 })
            }
            applied => applied,
        };
        match applied {
            Ok(Applied::Done { rows }) => {
                self.metrics.rows.inc_by(rows);
                self.metrics.transactions.inc();
                let moved = shards.iter().map(|shard| (*shard, newest.number));
                self.cursors.get_or_insert_default().by_shard.extend(moved);
                self.acknowledge();
                Ok(Step::Applied(newest.number))
            }
            Ok(Applied::CursorMoved) => {
                self.metrics.moved.inc();
                self.cursors = None;
                Ok(Step::Again)
            }
            Err(error) => {
                self.cursors = None;
                Err(error)
            }
        }
    }

    /// Lowest cursor of this process's shards; 0 while they are unknown.
    fn lowest(&self) -> u64 {
        let Some(cursors) = &self.cursors else {
            return 0;
        };
        self.config
            .shards
            .iter()
            .map(|shard| cursors.of(*shard))
            .min()
            .unwrap_or(0)
    }

    fn acknowledge(&self) {
        self.acks.acknowledge(self.number, self.lowest());
        self.lag.reach(self.acks.of(self.number));
    }

    fn apply(
        &mut self,
        newest: &Checkpoint,
        from: u64,
        shards: &[u16],
    ) -> Result<Applied, SinkError> {
        let rollups = self.config.rollups;
        let rows = SegmentRows::new(&self.state, newest, from, (shards, rollups));
        let slots = if shards.contains(&0) {
            if from == 0 {
                self.tell_what_is_out_of_reach(newest);
            }
            let now = (self.config.now_secs)();
            slot_rows::changed(newest, from, &rows.groups(), rollups, now)
        } else {
            Vec::new()
        };
        let retired_through = slot_rows::retired_through(newest, rollups);
        let delta = Delta {
            job: &self.config.job,
            from,
            to: newest.number,
            shards,
            rows: &rows,
            slots: &slots,
            retired_through: &retired_through,
            watermark_secs: slot_rows::watermark_secs(newest),
        };
        let began = Instant::now();
        let applied = self.sink.apply(&delta);
        self.metrics.seconds.inc_by(began.elapsed().as_secs_f64());
        let moved_on = || {
            self.published
                .newest()
                .is_some_and(|n| n.number > newest.number)
        };
        match applied {
            // The job has published a newer checkpoint meanwhile and let go of a file of this one.
            Err(_) if rows.outrun() && moved_on() => Ok(Applied::CursorMoved),
            other => other,
        }
    }

    /// A store that begins on an old state: what it will never hold is said once.
    fn tell_what_is_out_of_reach(&self, newest: &Checkpoint) {
        let rollups = self.config.rollups;
        let lost = slot_rows::unreachable(newest, 0, rollups);
        if let Some(last) = lost.last() {
            tracing::warn!(
                sink = self.sink.name(),
                until = %utc(rollups.base().end(*last)),
                "this store is new, the state is not: slots that had retired before are not in it; for all of the \
                 topic begin anew with an empty state directory"
            );
        }
    }

    /// Reads the cursors and compares them with what this job can have written.
    fn read_cursors(&mut self) -> Result<(), SinkError> {
        let cursors = self.sink.cursors()?;
        let bound = following::bound(&self.published, &self.config, self.admitted);
        cursors.belong_to(self.sink.name(), &self.config.job, bound)?;
        self.admitted = true;
        self.unlooked = true;
        self.cursors = Some(cursors);
        self.acknowledge();
        Ok(())
    }
}

impl Following for Follower {
    const FAILED: &'static str = "sink failed";

    fn step(&mut self) -> Result<Step, SinkError> {
        Follower::step(self)
    }

    fn reached(&self) -> u64 {
        self.lowest()
    }

    fn retries(&self) -> &Counter {
        &self.metrics.retries
    }
}

fn lag(published: &Arc<Published>, config: &FollowerConfig, metrics: &SinkMetrics) -> Lag {
    let SinkMetrics {
        cursor, lag, age, ..
    } = metrics;
    Lag::new(published, config, [cursor, lag, age])
}
