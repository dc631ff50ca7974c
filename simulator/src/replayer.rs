//! `replay --apply` for one store, step by step: what the binary does, with the binary's own code for what it records.
//!
//! Law 6: it may die between any two steps, sleep, and run beside others of its kind. What it computes is compared with the
//! oracle before anything of it is recorded.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use flow_dataflow::{Asked, Counting, JobConfig, Replay, SamplingRates};
use flow_proto::{Rollups, RowView};
use flow_state::{Replaced, StateStore};

use crate::computed::Computed;
use crate::database::Database;
use crate::found::Base;
use crate::mutant::Mutant;
use crate::objects::SimObjects;
use crate::recorded::Recordings;
use crate::replacement::{self, Recorded};
use crate::replacing::Replacing;
use crate::scratch::Scratch;
use crate::topic::SimTopic;
use crate::world::World;

/// Generations below this one may be used.
const GENERATIONS: u64 = 1 << 15;

/// Which slots it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    All,
    /// Up to four in a row, anywhere.
    Few,
    /// This one.
    One(u64),
}

/// What a replayer is started with.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) store: Database,
    /// Every plausible flow counts; else those that counted for the job.
    pub(crate) every: bool,
    pub(crate) span: Span,
    pub(crate) objects: SimObjects,
    pub(crate) topic: SimTopic,
    pub(crate) config: JobConfig,
    pub(crate) recordings: Recordings,
    pub(crate) world: World,
}

/// A replayer under way.
pub(crate) struct Replayer {
    pub(crate) order: Order,
    pub(crate) asleep: bool,
    stage: Stage,
}

enum Stage {
    Opening,
    Computing(Base, Box<Scratch>),
    Comparing(Base, Computed, VecDeque<u64>),
    Writing(Base, Computed, VecDeque<u64>, Replacing),
    Over,
}

/// Why it ends before its time, or stays where it is: in words, for the trace.
pub(crate) struct Why(pub(crate) String);

impl<E: std::error::Error> From<E> for Why {
    fn from(error: E) -> Why {
        Why(error.to_string())
    }
}

impl Replayer {
    pub(crate) fn new(order: Order) -> Replayer {
        Replayer {
            order,
            asleep: false,
            stage: Stage::Opening,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    pub(crate) fn is_writing(&self) -> bool {
        matches!(self.stage, Stage::Writing(..))
    }

    /// One step.
    pub(crate) fn step(&mut self) {
        let number = self.order.number;
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let world = self.order.world.clone();
        match self.order.step(stage) {
            Ok(stage) => {
                world.say(|| format!("replay {number}: {}", stage.describe()));
                self.stage = stage;
            }
            Err(Why(what)) => world.say(|| format!("replay {number} ends: {what}")),
        }
    }
}

impl Stage {
    fn describe(&self) -> String {
        match self {
            Stage::Opening => "opens".to_owned(),
            Stage::Computing(base, _) => {
                format!("computes {:?} at {}", base.range, base.checkpoint.number)
            }
            Stage::Comparing(_, _, todo) => format!("{} slots to compare", todo.len()),
            Stage::Writing(_, _, _, replacing) => format!("writes {}", replacing.describe()),
            Stage::Over => "is through".to_owned(),
        }
    }
}

impl Order {
    fn step(&self, stage: Stage) -> Result<Stage, Why> {
        match stage {
            Stage::Opening => {
                let base = self.open()?;
                let scratch = self.begin(&base)?;
                Ok(Stage::Computing(base, Box::new(scratch)))
            }
            Stage::Computing(base, mut scratch) => {
                let worked = scratch.work();
                if let Some(what) = scratch.violation() {
                    self.world
                        .violated(format!("replay {}: {what}", self.number));
                }
                if !worked.map_err(Why)? {
                    return Ok(Stage::Computing(base, scratch));
                }
                let computed = scratch.end()?;
                self.check(&base, &computed)?;
                let todo = base.slots(&computed, &self.store);
                Ok(Stage::Comparing(base, computed, todo))
            }
            Stage::Comparing(base, computed, mut todo) => loop {
                let Some(slot_secs) = todo.pop_front() else {
                    return Ok(Stage::Over);
                };
                if !self.is_to_be_replaced(&base, &computed, slot_secs)? {
                    continue;
                }
                let recorded = self.record(&base, &computed, slot_secs);
                // Whoever checks must know of it, also if the answer was lost.
                let state = StateStore::join_over(Arc::new(self.objects.reliable()), "sim-state")?;
                let looked = self.recordings.look(&state, slot_secs);
                looked.unwrap_or_else(|what| self.world.violated(what));
                let replacing = self.written(&base, &recorded?)?;
                return Ok(Stage::Writing(base, computed, todo, replacing));
            },
            Stage::Writing(base, computed, todo, mut replacing) => {
                let recorded =
                    |slot, revision| Ok(replacement::is_recorded(&base.state, slot, revision)?);
                match self.store.replace(&mut replacing, &recorded) {
                    Ok(true) => Ok(Stage::Comparing(base, computed, todo)),
                    // Its patience ends some day.
                    Err(error) if !error.is_retry() || self.world.fails(200) => Err(error.into()),
                    _ => Ok(Stage::Writing(base, computed, todo, replacing)),
                }
            }
            Stage::Over => Ok(Stage::Over),
        }
    }

    fn begin(&self, base: &Base) -> Result<Scratch, Why> {
        let (from, to) = base.range;
        let counting = match self.every {
            false => Counting::AsRecorded,
            true => {
                let (mut early, mut late) = (false, false);
                let mut slots: BTreeSet<u64> = base.stored.keys().copied().collect();
                slots.extend(base.checkpoint.slots.keys());
                slots.extend(base.replaced.keys());
                for slot_secs in slots.range(from..to) {
                    let refused = base.refused(*slot_secs)?;
                    early |= refused.too_early > 0;
                    late |= refused.too_late > 0;
                }
                Counting::Every { early, late }
            }
        };
        let asked = Asked {
            slots: base.range,
            counting,
            partial: false,
            rates: SamplingRates::default(),
            versions: &base.checkpoint.timeline.versions,
        };
        let replay = Replay::of(&base.checkpoint, &self.topic, &self.config.rows, &asked)?;
        Scratch::begin(self, &base.state, (replay, counting)).map_err(Why)
    }

    pub(crate) fn wanted(
        &self,
        base: &Base,
        computed: &Computed,
        slot: u64,
    ) -> Result<Replaced, Why> {
        let versions = base.checkpoint.timeline.versions.iter().rev();
        let mut holds = versions.filter(|(from, _)| *from <= slot);
        let version = holds.next().map_or(0, |(_, version)| version.number);
        Ok(computed.replaced((slot, version), &base.checkpoint, base.refused(slot)?)?)
    }

    fn record(&self, base: &Base, computed: &Computed, slot: u64) -> Result<Replaced, Why> {
        let wanted = self.wanted(base, computed, slot)?;
        let newest = base.replaced.get(&slot).copied();
        let of_store = base.stored.get(&slot).map_or(0, |slot| slot.generation);
        let above = u32::try_from(of_store)?;
        let highest = newest.unwrap_or(0).max(above);
        let (world, attempt) = (&self.world, self.number);
        if world.is_broken(Mutant::RecordSkipped) {
            return Ok(Replaced {
                generation: highest + 1,
                ..wanted
            });
        }
        if world.is_broken(Mutant::GenerationTwice) && highest > 0 {
            return Ok(Replaced {
                generation: highest,
                ..wanted
            });
        }
        let known = (newest, above, GENERATIONS);
        let found = replacement::record(&base.state, &wanted, known, attempt)?;
        found.ok_or_else(|| Why("no generation is left".to_owned()))
    }

    fn written(&self, base: &Base, replaced: &Replaced) -> Result<Replacing, Why> {
        let rollups = self.config.rows.rollups;
        let words = words(replaced, rollups)?;
        let rows = views(&words, rollups);
        let now = self.world.now_ns() / 1_000_000_000;
        let slots = replacement::slots(replaced, rollups, &base.checkpoint, now);
        let recorded = Recorded {
            rows: &rows,
            rollups,
            replaced,
        };
        let job = &base.checkpoint.job;
        Ok(Replacing::new(&replacement::delta(job, &recorded, &slots))?)
    }
}

/// The words of a record's rows.
pub(crate) fn words(replaced: &Replaced, rollups: Rollups) -> Result<Vec<u64>, Why> {
    let words = replaced.words(rollups.width().record_bytes());
    words.ok_or_else(|| Why("the record has rows of another size".to_owned()))
}

/// The rows that the words are.
pub(crate) fn views(words: &[u64], rollups: Rollups) -> Vec<RowView<'_>> {
    rollups.width().rows(words).collect()
}
