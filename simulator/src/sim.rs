//! A run: one topic, one state, some stores, and the jobs and replayers that come and go over them.
//!
//! The schedule of a seed (`schedule`) chooses every step; when it has had its time, nothing fails any more and everything
//! must come to rest (`rest`), where the stores are compared with the oracle (`last`).

use std::sync::Arc;

use flow_dataflow::{JobConfig, RowConfig, SlotTime};
use flow_state::StateStore;

use crate::attempt::{Attempt, Setting};
use crate::chain::Chain;
use crate::database::Database;
use crate::objects::SimObjects;
use crate::raw_database::RawDatabase;
use crate::recorded::Recordings;
use crate::records::{BEGIN_SECS, Records};
use crate::replayer::Replayer;
use crate::replays::STARTS;
use crate::rows::Contents;
use crate::tables;
use crate::topic::SimTopic;
use crate::world::World;

/// The world of one seed.
pub(crate) struct Sim {
    pub(crate) world: World,
    pub(crate) topic: SimTopic,
    pub(crate) objects: SimObjects,
    /// The state as the checks see it.
    pub(crate) state: StateStore,
    pub(crate) databases: Vec<Database>,
    pub(crate) raw_databases: Vec<RawDatabase>,
    pub(crate) config: JobConfig,
    pub(crate) jobs: Vec<Running>,
    pub(crate) chain: Chain,
    pub(crate) attempts: u64,
    /// Which tables the next start has.
    pub(crate) tables: usize,
    pub(crate) pace: Pace,
    pub(crate) recordings: Recordings,
    pub(crate) replayers: Vec<Replayer>,
    /// Replayers that were started in this phase,
    pub(crate) replays: u64,
    /// of at most so many,
    pub(crate) starts: u64,
    /// and in all.
    pub(crate) replayer_number: u64,
    /// Everything else is short, and they have their time.
    pub(crate) at_length: bool,
    /// The slot that most of them are about.
    pub(crate) disputed: Option<u64>,
    /// Of a thousand steps so many are theirs.
    pub(crate) replaying: u64,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<flow_sinks::Mutant>,
}

/// A job that runs, or sleeps until it is woken.
pub(crate) struct Running {
    pub(crate) attempt: Attempt,
    pub(crate) asleep: bool,
}

/// How fast things go in this seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Records that arrive, in a thousand steps.
    pub(crate) arrivals: u64,
    /// Milliseconds that a step may take.
    pub(crate) millis: u64,
}

impl Sim {
    pub(crate) fn new(seed: u64, traced: bool, config: JobConfig) -> Sim {
        let world = World::new(seed, traced);
        let topic = SimTopic::new(world.roll(Records::new));
        world.pass_until_secs(BEGIN_SECS);
        let objects = SimObjects::new(world.clone());
        let reliable = Arc::new(objects.reliable());
        let state = StateStore::over(reliable, "sim-state").expect("a new state");
        let (contents, recordings) = (Contents::default(), Recordings::default());
        let kinds: &[bool] = world.roll(|dice| dice.pick(&[&[true, false][..], &[true], &[false]]));
        let known = || (contents.clone(), recordings.clone());
        let database = |kind: &bool| Database::new(*kind, world.clone(), known());
        let databases: Vec<Database> = kinds.iter().map(database).collect();
        let raw_kinds: &[bool] =
            world.roll(|dice| dice.pick(&[&[true, false][..], &[false], &[true], &[]]));
        let raw = |kind: &bool| RawDatabase::new(*kind, world.clone());
        let raw_databases = raw_kinds.iter().map(raw).collect();
        let config = world.roll(|dice| JobConfig {
            rows: RowConfig {
                window_secs: 300,
                lateness_secs: 900,
                slot_time: dice.pick(&[
                    SlotTime::Start,
                    SlotTime::Start,
                    SlotTime::Received,
                    SlotTime::End,
                ]),
                rollups: config.rows.rollups,
                ..RowConfig::default()
            },
            checkpoint_millis: dice.pick(&[2_000, 4_000, 10_000]),
            idle_millis: dice.pick(&[5_000, 60_000]),
            tick_bytes: dice.pick(&[300, 32 << 20]),
            in_flight_bytes: dice.pick(&[600, 96 << 20]),
            turn_rows: dice.pick(&[5, 100, 400_000]),
            ..config
        });
        let tables = world.roll(|dice| dice.index(tables::sets().len()));
        let pace = world.roll(|dice| Pace {
            arrivals: dice.pick(&[30, 60, 120]),
            millis: dice.pick(&[400, 1_000, 2_000]),
        });
        // Where there are longer slots, replays do not replace those within them.
        let starts = match config.rows.rollups.windows_secs().len() {
            1 => STARTS,
            _ => 0,
        };
        Sim {
            world,
            topic,
            objects,
            state,
            databases,
            raw_databases,
            config,
            jobs: Vec::new(),
            chain: Chain::default(),
            attempts: 0,
            tables,
            pace,
            recordings,
            replayers: Vec::new(),
            replays: 0,
            starts,
            at_length: false,
            replayer_number: 0,
            disputed: None,
            replaying: 40,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Starts a job, with another shape than the one before.
    pub(crate) fn start(&mut self) {
        self.attempts += 1;
        let number = self.attempts;
        let (processes, workers) = self
            .world
            .roll(|dice| dice.pick(&[(1, 1), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]));
        let setting = Setting {
            config: JobConfig {
                processes,
                workers,
                ..self.config.clone()
            },
            topic: self.topic.clone(),
            tables: Arc::clone(&tables::sets()[self.tables].set),
            objects: self.objects.clone(),
            databases: self.databases.clone(),
            raw_databases: self.raw_databases.clone(),
            world: self.world.clone(),
            attempt: number,
            #[cfg(feature = "mutants")]
            mutant: self.mutant,
        };
        match Attempt::start(&setting) {
            Ok(attempt) => {
                self.world
                    .say(|| format!("job {number} starts: {processes} x {workers}"));
                self.jobs.push(Running {
                    attempt,
                    asleep: false,
                });
            }
            Err(why) => self
                .world
                .say(|| format!("job {number} can't start: {}", why.0)),
        }
    }

    /// While no job runs, the disk loses the newest checkpoint. Law 5: the next job goes on from the one before it, and its
    /// number is never used again. A store that had followed it would rightly be refused, so none has.
    pub(crate) fn lose_a_checkpoint(&mut self) {
        if let Some(number) = self.chain.may_lose(self.world.offered()) {
            self.world
                .say(|| format!("the disk loses checkpoint {number}"));
            self.objects.damage(&format!("checkpoints/{number:020}"));
            self.chain.lose(number);
        }
    }

    /// A job ends here, wherever it is.
    pub(crate) fn kill(&mut self, which: usize) {
        let job = self.jobs.remove(which);
        let number = job.attempt.number;
        self.world
            .say(|| format!("job {number} is gone: {:?}", job.attempt.why()));
    }

    /// Looks for new checkpoints, and for jobs that have ended.
    pub(crate) fn look(&mut self) {
        let known = self.chain.newest().map_or(0, |newest| newest.number);
        if let Err(what) = self.chain.look(&self.state, &self.topic, &self.config.rows) {
            self.world.violated(what);
        }
        if let Some(new) = self.chain.newest().filter(|new| new.number > known) {
            let cut = new.cut.values().map(|at| at.offset);
            let (cut, retirements) = (cut.collect::<Vec<u64>>(), &new.timeline.retirements);
            self.world.say(|| {
                format!(
                    "checkpoint {} by {}: cut {cut:?}, {retirements:?}",
                    new.number, new.attempt
                )
            });
        }
        while let Some(which) = self.jobs.iter().position(|job| job.attempt.is_done()) {
            self.kill(which);
        }
    }
}
