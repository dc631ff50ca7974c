//! The raw follower: one plain thread for each store of raw flows, which brings it to the newest checkpoint, partition
//! by partition and checkpoint by checkpoint, at the store's own pace.
//!
//! For each checkpoint and partition it hands over one block, the flows from the cut before to that checkpoint's, read
//! from the topic again record by record. Law 6: a block is never joined with another or split otherwise, and only what
//! lies below a durable cut reaches a store; a store that is down costs the others nothing, and a few checkpoints on
//! disk, not memory; an unknown job id, or a cursor ahead of the state, is refused at start and ends a running job.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_state::{Acks, Checkpoint, Published, StateError, StateStore};
use prometheus_client::metrics::counter::Counter;

use crate::following::{self, Following};
use crate::lag::Lag;
use crate::metrics::{Metrics, RawMetrics};
use crate::raw_places::{self, Place, Placed, Places};
use crate::raw_topic::SpanRows;
use crate::{
    Applied, FollowerConfig, RawBlock, RawCursors, RawSink, RawSpan, RawTopic, SinkError, Step,
    slot_rows,
};

/// Follows the checkpoints for one store of raw flows.
pub struct RawFollower {
    sink: Box<dyn RawSink>,
    topic: Box<dyn RawTopic>,
    state: StateStore,
    published: Arc<Published>,
    acks: Arc<Acks>,
    /// Its number among the raw sinks in `acks`.
    number: usize,
    config: FollowerConfig,
    metrics: RawMetrics,
    /// `None`: not known, to be read from the store.
    places: Option<BTreeMap<u32, Place>>,
    /// Cursors as last read: partitions that are found later are placed by them.
    cursors: RawCursors,
    /// Numbers of checkpoints still to be looked at, ascending.
    ahead: VecDeque<u64>,
    /// The checkpoint being followed.
    current: Option<Arc<Checkpoint>>,
    /// The newest checkpoint when it had caught up last.
    seen: u64,
    /// The store was within `base` when first read.
    admitted: bool,
    lag: Lag,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::Mutant>,
}

impl fmt::Debug for RawFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawFollower")
            .field("sink", &self.sink.name())
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl RawFollower {
    /// For the raw sink that has this number in `acks`; of `config`, the shards play no part. Metrics: see
    /// `with_metrics`.
    pub fn new(
        (sink, topic): (Box<dyn RawSink>, Box<dyn RawTopic>),
        state: StateStore,
        published: Arc<Published>,
        (acks, number): (Arc<Acks>, usize),
        config: FollowerConfig,
    ) -> RawFollower {
        let metrics = Metrics::default().of_raw(sink.name());
        let lag = lag(&published, &config, &metrics);
        RawFollower {
            sink,
            topic,
            state,
            published,
            acks,
            number,
            config,
            metrics,
            places: None,
            cursors: RawCursors::default(),
            ahead: VecDeque::new(),
            current: None,
            seen: 0,
            admitted: false,
            lag,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Breaks a law on purpose.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn broken(mut self, mutant: Option<crate::Mutant>) -> RawFollower {
        self.mutant = mutant;
        self
    }

    /// Counts into these metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: &Metrics) -> RawFollower {
        self.metrics = metrics.of_raw(self.sink.name());
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

    /// Reads the store's cursors and refuses a store that does not belong to this job, as `Follower::admit`.
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

    /// One step: read the cursors, or write one block.
    ///
    /// # Errors
    /// As the sink's and the topic's; after a `Retry` the next step reads the cursors again.
    pub fn step(&mut self) -> Result<Step, SinkError> {
        let newest = self.published.newest();
        self.lag.show();
        if self.places.is_none() {
            self.read_cursors()?;
        }
        let Some(newest) = newest else {
            return Ok(Step::CaughtUp);
        };
        self.place(&newest)?;
        let stepped = self.follow(&newest);
        if stepped.is_err() {
            self.forget();
        }
        // After an error nothing is known, and what was known last is shown on.
        if let Some(through) = self.places.as_ref().and_then(raw_places::through) {
            self.lag.reach(through);
        }
        stepped
    }

    /// Looks for the next block, and writes it.
    fn follow(&mut self, newest: &Arc<Checkpoint>) -> Result<Step, SinkError> {
        loop {
            let Some(to) = self.next(newest)? else {
                return self.refresh(newest);
            };
            let places = self.places.as_mut();
            let mut due = None;
            for (partition, place) in places.into_iter().flatten() {
                let Some(cut) = to.cut.get(partition) else {
                    place.skip_to(to.number); // found later
                    continue;
                };
                if place.through >= to.number {
                    continue;
                }
                if cut.offset > place.at.offset {
                    due = Some((*partition, *place));
                    break;
                }
                place.skip_to(to.number);
            }
            match due {
                Some((partition, place)) => return self.write(&to, partition, place),
                None => self.current = None,
            }
        }
    }

    /// The checkpoint to be followed next; `None`: caught up.
    fn next(&mut self, newest: &Arc<Checkpoint>) -> Result<Option<Arc<Checkpoint>>, SinkError> {
        if let Some(current) = &self.current {
            return Ok(Some(Arc::clone(current)));
        }
        let through = self.through();
        if through >= newest.number || self.places.as_ref().is_none_or(BTreeMap::is_empty) {
            return Ok(None);
        }
        self.ahead.retain(|number| *number > through);
        if self.ahead.is_empty() {
            let numbers = self.state.numbers()?.into_iter();
            let ahead = numbers.filter(|n| *n > through && *n <= newest.number);
            self.ahead = ahead.collect();
        }
        #[cfg(feature = "mutants")]
        if self.mutant == Some(crate::Mutant::RawBlocksJoined) {
            self.ahead.clear();
        }
        while let Some(number) = self.ahead.pop_front() {
            let checkpoint = if number == newest.number {
                Some(Arc::clone(newest))
            } else {
                readable(&self.state, number)?.map(Arc::new)
            };
            if checkpoint.is_some() {
                self.current = checkpoint;
                return Ok(self.current.clone());
            }
        }
        // The newest is in memory, whatever the directory says.
        self.current = Some(Arc::clone(newest));
        Ok(self.current.clone())
    }

    /// With nothing to write, moves the oldest cursor that is stale, so that checkpoints may go.
    fn refresh(&mut self, newest: &Arc<Checkpoint>) -> Result<Step, SinkError> {
        let places = self.places.iter().flatten();
        let stale = places
            .filter(|(_, place)| place.is_stale())
            .min_by_key(|(_, place)| place.held)
            .map(|(partition, place)| (*partition, *place));
        match stale {
            Some((partition, place)) => self.write(newest, partition, place),
            None => {
                self.seen = newest.number;
                Ok(Step::CaughtUp)
            }
        }
    }

    /// Writes the block of a partition that ends with a checkpoint.
    fn write(&mut self, to: &Checkpoint, partition: u32, place: Place) -> Result<Step, SinkError> {
        let at = to.cut.get(&partition).copied().unwrap_or(place.at);
        // Retention may have moved the start since the checkpoint before.
        let start = to.starts.get(&partition).copied().unwrap_or(0);
        let mut from = place.at;
        from.offset = from.offset.max(start.min(at.offset));
        let rows = SpanRows {
            topic: self.topic.as_ref(),
            span: RawSpan {
                partition,
                from,
                end_offset: at.offset,
                timeline: &to.timeline,
                gaps: &to.gaps,
            },
            walked: Cell::default(),
        };
        let block = RawBlock {
            job: &self.config.job,
            topic: &self.topic.name(),
            partition,
            from: place.cursor,
            to: to.number,
            first_offset: place.at.offset,
            end_offset: at.offset,
            rows: &rows,
            now_secs: (self.config.now_secs)(),
            watermark_secs: slot_rows::watermark_secs(to),
        };
        let began = Instant::now();
        let applied = self.sink.apply(&block);
        self.metrics.seconds.inc_by(began.elapsed().as_secs_f64());
        match applied? {
            Applied::CursorMoved => {
                self.metrics.moved.inc();
                self.forget();
                Ok(Step::Again)
            }
            Applied::Done { rows: written } => {
                let missing = rows.walked.get().missing_offsets;
                self.metrics.flows.inc_by(written);
                self.metrics.blocks.inc();
                self.tell_missing(&block, missing);
                let place = self.places.get_or_insert_default().entry(partition);
                place.and_modify(|place| place.move_to(to.number, at));
                self.cursors.by_partition.insert(partition, to.number);
                self.acknowledge();
                Ok(Step::Applied(to.number))
            }
        }
    }

    fn tell_missing(&self, block: &RawBlock<'_>, missing: u64) {
        if missing == 0 {
            return;
        }
        self.metrics.missing.inc_by(missing);
        tracing::warn!(
            sink = self.sink.name(),
            partition = block.partition,
            from = block.first_offset,
            to = block.end_offset,
            missing,
            "retention has removed records before this store had their flows; the rows of its slots are not touched"
        );
    }

    /// Places the partitions that are new to it.
    fn place(&mut self, newest: &Checkpoint) -> Result<(), SinkError> {
        let mut places = self.places.take().unwrap_or_default();
        let share = self.config.share;
        let ours = newest.cut.keys().filter(|p| share.holds(**p));
        let new = ours.filter(|p| !places.contains_key(p));
        let new: Vec<u32> = new.copied().collect();
        if !new.is_empty() {
            let oldest = oldest(&self.state)?;
            let finder = Places {
                state: &self.state,
                cursors: &self.cursors,
                newest,
                oldest: oldest.as_ref().unwrap_or(newest),
            };
            let mut told = Vec::new();
            for partition in new {
                #[cfg(feature = "mutants")]
                let finder = Places {
                    oldest: match self.mutant {
                        Some(crate::Mutant::RawFromNewest) => newest,
                        _ => finder.oldest,
                    },
                    ..finder
                };
                let (place, placed) = finder.find(partition)?;
                places.insert(partition, place);
                if placed != Placed::Exactly {
                    told.push((partition, placed));
                }
            }
            self.tell_placed(&told, &places);
            self.ahead.clear();
            self.current = None;
        }
        if places.is_empty() {
            // Nothing of the topic is this process's: no checkpoint has to be kept for it.
            self.acks.acknowledge_raw(self.number, newest.number);
        }
        self.places = Some(places);
        self.acknowledge();
        Ok(())
    }

    /// What the store will never hold is said once.
    fn tell_placed(&self, told: &[(u32, Placed)], places: &BTreeMap<u32, Place>) {
        let Some((_, placed)) = told.first() else {
            return;
        };
        let partitions: Vec<u32> = told.iter().map(|(partition, _)| *partition).collect();
        let from = told.iter().filter_map(|(p, _)| places.get(p));
        let checkpoint = from.map(|place| place.through).max();
        let why = match placed {
            Placed::AfterGap => "raw flows were off for a while",
            _ => "this store is new, the state is not",
        };
        self.metrics.gaps.inc();
        tracing::warn!(
            sink = self.sink.name(),
            ?partitions,
            ?checkpoint,
            "{why}: the raw flows before this checkpoint are not in it; `replay --raw --as-recorded --apply` writes those of \
             slots that have retired, as far as the topic is retained"
        );
    }

    /// Lowest checkpoint up to which nothing is missing; 0 while that is unknown.
    fn through(&self) -> u64 {
        let places = self.places.as_ref();
        places.and_then(raw_places::through).unwrap_or(0)
    }

    fn acknowledge(&self) {
        if let Some(held) = self.places.as_ref().and_then(raw_places::held) {
            self.acks.acknowledge_raw(self.number, held);
        }
    }

    /// The outcome is unknown: everything is read again.
    fn forget(&mut self) {
        self.places = None;
        self.ahead.clear();
        self.current = None;
    }

    /// Reads the cursors and compares them with what this job can have written.
    fn read_cursors(&mut self) -> Result<(), SinkError> {
        let cursors = self.sink.cursors()?;
        let bound = following::bound(&self.published, &self.config, self.admitted);
        // Other processes of the job may be ahead of what this one has heard of, and look after their own.
        let share = self.config.share;
        let mut own = cursors.clone();
        own.by_partition
            .retain(|partition, _| share.holds(*partition));
        own.belong_to(self.sink.name(), &self.config.job, bound)?;
        self.admitted = true;
        self.cursors = cursors;
        self.places = Some(BTreeMap::new());
        Ok(())
    }
}

impl Following for RawFollower {
    const FAILED: &'static str = "raw sink failed";

    fn step(&mut self) -> Result<Step, SinkError> {
        RawFollower::step(self)
    }

    fn reached(&self) -> u64 {
        self.seen
    }

    /// Far behind, it would not hear that its time is over.
    fn go_on(&self) -> Result<(), SinkError> {
        if !self.published.wait_abandoned(Duration::ZERO) {
            return Ok(());
        }
        Err(SinkError::retry(format!(
            "sink {}: stopped at checkpoint {} of its raw flows; the next start goes on from there",
            self.sink.name(),
            self.through()
        )))
    }

    fn retries(&self) -> &Counter {
        &self.metrics.retries
    }
}

fn lag(published: &Arc<Published>, config: &FollowerConfig, metrics: &RawMetrics) -> Lag {
    let RawMetrics {
        cursor, lag, age, ..
    } = metrics;
    Lag::new(published, config, [cursor, lag, age])
}

/// A checkpoint, unless it is gone or not whole.
fn readable(state: &StateStore, number: u64) -> Result<Option<Checkpoint>, SinkError> {
    match state.checkpoint(number) {
        Ok(checkpoint) => Ok(checkpoint),
        Err(error @ StateError::Damaged { .. }) => {
            tracing::warn!(%error, "raw flows go on with the checkpoint after it");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The oldest checkpoint that is left.
fn oldest(state: &StateStore) -> Result<Option<Checkpoint>, SinkError> {
    for number in state.numbers()? {
        if let Some(checkpoint) = readable(state, number)? {
            return Ok(Some(checkpoint));
        }
    }
    Ok(None)
}
