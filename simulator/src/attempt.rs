//! One start of a job: all its processes, with their workers, desks and followers, each waiting for its turn.
//!
//! Nothing here decides anything: what the binary wires, this wires, and the schedule says who is next. Law 5: it dies as
//! a whole, between any two steps, and what it had in memory is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flow_dataflow::{
    Crew, Did, Job, JobConfig, JobError, Metrics, Plan, RawReader, Status, TableShelf, Turns, key,
};
use flow_sinks::{Backoff, Follower, FollowerConfig, RawFollower, Share, SinkError, Step};
use flow_state::{Acks, Published, StateError, StateStore};
use flow_tables::TableSet;

use crate::database::Database;
use crate::objects::SimObjects;
use crate::raw_database::RawDatabase;
use crate::raw_topic::JobTopic;
use crate::topic::SimTopic;
use crate::worker::{Told, Workers};
use crate::world::World;

/// What an attempt is started with.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) config: JobConfig,
    pub(crate) topic: SimTopic,
    pub(crate) tables: Arc<TableSet>,
    pub(crate) objects: SimObjects,
    pub(crate) databases: Vec<Database>,
    pub(crate) raw_databases: Vec<RawDatabase>,
    pub(crate) world: World,
    pub(crate) attempt: u64,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<flow_sinks::Mutant>,
}

/// Who can be given a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    Worker(usize),
    Desk(usize, usize),
    Follower(usize, usize),
    RawFollower(usize, usize),
}

/// A job's start under way.
pub(crate) struct Attempt {
    pub(crate) number: u64,
    pub(crate) processes: Vec<Process>,
    workers: Workers,
    done: Vec<bool>,
    world: World,
}

/// One of its processes.
pub(crate) struct Process {
    crew: Crew,
    pub(crate) published: Arc<Published>,
    status: Arc<Status>,
    pub(crate) stop: Arc<AtomicBool>,
    desks: Vec<Option<Desk>>,
    followers: Vec<Option<(Follower, bool)>>,
    raw_followers: Vec<Option<(RawFollower, bool)>>,
}

/// One of its desks.
struct Desk {
    name: &'static str,
    turns: Box<dyn Turns + Send>,
    /// What its last turn has come to.
    did: Did,
}

/// Why an attempt could not start, in words.
#[derive(Debug)]
pub(crate) struct NoStart(pub(crate) String);

impl From<JobError> for NoStart {
    fn from(error: JobError) -> NoStart {
        NoStart(error.to_string())
    }
}

impl From<StateError> for NoStart {
    fn from(error: StateError) -> NoStart {
        NoStart(error.to_string())
    }
}

impl From<SinkError> for NoStart {
    fn from(error: SinkError) -> NoStart {
        NoStart(error.to_string())
    }
}

impl Attempt {
    /// Everything up to the threads of the workers, which build their parts with their first turns.
    pub(crate) fn start(setting: &Setting) -> Result<Attempt, NoStart> {
        let mut processes = Vec::new();
        let mut kits = Vec::new();
        let mut plan: Option<Plan> = None;
        for process in 0..setting.config.processes {
            let mut one = Process::start(setting, process, plan.clone())?;
            plan.get_or_insert_with(|| one.crew.plan.clone());
            kits.append(&mut one.crew.workers);
            processes.push(one);
        }
        let workers = Workers::start(kits, setting.config.processes > 1);
        Ok(Attempt {
            number: setting.attempt,
            done: vec![false; workers.count()],
            processes,
            workers,
            world: setting.world.clone(),
        })
    }

    /// All that can have a turn, each with its weight: who had something to do last comes sooner.
    pub(crate) fn actors(&self) -> Vec<(Actor, u64)> {
        let weight = |worker| if worker == 0 { 10 } else { 6 };
        let workers = 0..self.workers.count();
        let mut actors: Vec<(Actor, u64)> = workers
            .map(|worker| (Actor::Worker(worker), weight(worker)))
            .collect();
        for (p, process) in self.processes.iter().enumerate() {
            for (i, desk) in process.desks.iter().enumerate() {
                let weight = desk.as_ref().map(|desk| match desk.did {
                    _ if ["lookout", "swaps"].contains(&desk.name) => 1,
                    Did::Nothing => 2,
                    _ => 8,
                });
                actors.extend(weight.map(|weight| (Actor::Desk(p, i), weight)));
            }
            let followers = process.followers.iter().enumerate();
            actors.extend(followers.filter_map(|(i, follower)| {
                let (_, caught_up) = follower.as_ref()?;
                Some((Actor::Follower(p, i), if *caught_up { 1 } else { 4 }))
            }));
            let followers = process.raw_followers.iter().enumerate();
            actors.extend(followers.filter_map(|(i, follower)| {
                let (_, caught_up) = follower.as_ref()?;
                Some((Actor::RawFollower(p, i), if *caught_up { 1 } else { 6 }))
            }));
        }
        actors
    }

    /// One turn, or for a worker so many.
    pub(crate) fn turn(&mut self, actor: Actor, turns: u32) {
        match actor {
            Actor::Worker(worker) => self.work(worker, turns),
            Actor::Desk(p, i) => {
                let process = &mut self.processes[p];
                let Some(desk) = &mut process.desks[i] else {
                    return;
                };
                let (name, did) = (desk.name, desk.turns.turn(false));
                desk.did = did;
                if did == Did::Over {
                    process.desks[i] = None;
                }
                let number = self.number;
                self.world
                    .say(|| format!("job {number}.{p} {name}: {did:?}"));
            }
            Actor::Follower(p, i) => {
                let process = &mut self.processes[p];
                let Some((follower, caught_up)) = &mut process.followers[i] else {
                    return;
                };
                let stepped = follower.step();
                *caught_up = matches!(stepped, Ok(Step::CaughtUp));
                let name = follower.sink_name().to_owned();
                let fatal = stepped.as_ref().is_err_and(|error| !error.is_retry());
                if fatal {
                    process.followers[i] = None;
                    process.stop.store(true, Ordering::Release);
                }
                self.say_followed(p, &name, &stepped);
            }
            Actor::RawFollower(p, i) => {
                let process = &mut self.processes[p];
                let Some((follower, caught_up)) = &mut process.raw_followers[i] else {
                    return;
                };
                let stepped = follower.step();
                *caught_up = matches!(stepped, Ok(Step::CaughtUp));
                let name = follower.sink_name().to_owned();
                if stepped.as_ref().is_err_and(|error| !error.is_retry()) {
                    process.raw_followers[i] = None;
                    process.stop.store(true, Ordering::Release);
                }
                self.say_followed(p, &name, &stepped);
            }
        }
    }

    fn say_followed(&self, p: usize, name: &str, stepped: &Result<Step, SinkError>) {
        let number = self.number;
        self.world.say(|| match stepped {
            Ok(step) => format!("job {number}.{p} follower {name}: {step:?}"),
            Err(error) => format!("job {number}.{p} follower {name}: {:?} {error}", error.kind),
        });
    }

    fn work(&mut self, worker: usize, turns: u32) {
        let number = self.number;
        if self.done[worker] {
            return;
        }
        let told = self.workers.order(worker, turns);
        self.world
            .say(|| format!("job {number} worker {worker} x{turns}: {told:?}"));
        match told {
            Told::Lives => {}
            Told::Done => self.done[worker] = true,
            Told::Panicked(words) => {
                self.world
                    .violated(format!("worker {worker} of job {number} panicked: {words}"));
            }
        }
    }

    /// Every worker's dataflow has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.done.iter().all(|done| *done)
    }

    /// Why it has ended, if it was before its time.
    pub(crate) fn why(&self) -> Option<JobError> {
        self.processes
            .iter()
            .find_map(|process| process.crew.end().err())
    }

    /// The newest checkpoint that it knows.
    pub(crate) fn checkpoint(&self) -> u64 {
        let first = &self.processes[0];
        first.status.look().checkpoint.max(first.crew.plan.base)
    }

    /// Where it is, in words.
    pub(crate) fn describe(&self) -> String {
        let look = self.processes[0].status.look();
        format!(
            "job {}: tick {}, checkpoint {}, watermark {:?}, retired {}, {:?}, closing {}",
            self.number,
            look.tick,
            look.checkpoint,
            look.watermark_ns.map(|ns| ns / 1_000_000_000),
            look.retired_secs,
            look.waiting,
            look.closing
        )
    }

    /// SIGTERM.
    pub(crate) fn stop(&self) {
        self.processes[0].stop.store(true, Ordering::Release);
    }

    /// Whether every follower of every process stood at this checkpoint when it had its turn last.
    pub(crate) fn caught_up(&self, number: u64) -> bool {
        self.processes.iter().all(|process| {
            let newest = process.published.newest();
            newest.is_some_and(|newest| newest.number == number)
                && process
                    .followers
                    .iter()
                    .all(|it| it.as_ref().is_some_and(|(_, up)| *up))
                && process
                    .raw_followers
                    .iter()
                    .all(|it| it.as_ref().is_some_and(|(_, up)| *up))
        })
    }
}

impl Process {
    fn start(setting: &Setting, process: usize, plan: Option<Plan>) -> Result<Process, NoStart> {
        let objects = Arc::new(setting.objects.clone());
        let state = match process {
            0 => StateStore::over(objects, "sim-state")?,
            _ => StateStore::join_over(objects, "sim-state")?,
        };
        let (id, base) = match &plan {
            Some(plan) => (plan.job.clone(), plan.base),
            None => match state.newest()? {
                Some(checkpoint) => (checkpoint.job, checkpoint.number),
                None => (format!("job-{}", setting.attempt), 0),
            },
        };
        let config = JobConfig {
            process,
            ..setting.config.clone()
        };
        let given = match process {
            0 => Arc::clone(&setting.tables),
            _ => Arc::new(TableSet::default()),
        };
        let tables = TableShelf::new(state.clone(), given);
        let published = Published::new();
        let databases: &[Database] = if process == 0 {
            &setting.databases
        } else {
            &[]
        };
        let (rows, raw) = (databases.len(), setting.raw_databases.len());
        let acks = match process {
            // Of a sink that never follows: every row stays.
            _ if config.replay.is_some() => Acks::new(1),
            0 => Acks::beside(rows, raw, config.processes),
            _ => Acks::with_raw(rows, raw),
        };
        let world = setting.world.clone();
        let followed = follower_config(&config, (&id, base), &world);
        let mut followers = Vec::new();
        for (number, database) in databases.iter().enumerate() {
            #[cfg_attr(feature = "mutants", expect(unused_mut, reason = "made anew"))]
            let mut follower = Follower::new(
                Box::new(database.clone()),
                state.clone(),
                Arc::clone(&published),
                (Arc::clone(&acks), number),
                followed.clone(),
            );
            #[cfg(feature = "mutants")]
            let mut follower = follower.broken(setting.mutant);
            follower.admit()?;
            followers.push(Some((follower, false)));
        }
        let mut raw_followers = Vec::new();
        for (number, database) in setting.raw_databases.iter().enumerate() {
            let reader = RawReader::new(
                Arc::new(setting.topic.clone()),
                config.clone(),
                tables.clone(),
            );
            #[cfg_attr(feature = "mutants", expect(unused_mut, reason = "made anew"))]
            let mut follower = RawFollower::new(
                (Box::new(database.clone()), Box::new(JobTopic::new(reader))),
                state.clone(),
                Arc::clone(&published),
                (Arc::clone(&acks), number),
                followed.clone(),
            );
            #[cfg(feature = "mutants")]
            let mut follower = follower.broken(setting.mutant);
            follower.admit()?;
            raw_followers.push(Some((follower, false)));
        }
        let (status, stop) = (
            Arc::new(Status::default()),
            Arc::new(AtomicBool::new(false)),
        );
        let clock = world.clone();
        let job = Job {
            config,
            topic: Arc::new(setting.topic.clone()),
            tables,
            state,
            published: Arc::clone(&published),
            acks,
            metrics: Metrics::default(),
            status: Arc::clone(&status),
            clock: Arc::new(move || clock.now_ns()),
            id,
            attempt: setting.attempt,
            stop: Arc::clone(&stop),
        };
        let crew = match plan {
            None => Crew::lead(&job),
            Some(plan) => Crew::follow(&job, plan),
        };
        let mut crew = crew?;
        let desk = |(name, turns)| Desk {
            name,
            turns,
            did: Did::Something,
        };
        let desks = std::mem::take(&mut crew.desks).into_iter();
        let desks = desks.map(|it| Some(desk(it))).collect();
        Ok(Process {
            crew,
            published,
            status,
            stop,
            desks,
            followers,
            raw_followers,
        })
    }
}

fn follower_config(config: &JobConfig, (id, base): (&str, u64), world: &World) -> FollowerConfig {
    let clock = world.clone();
    FollowerConfig {
        job: id.to_owned(),
        base,
        shards: (0..key::SHARDS)
            .filter_map(|shard| u16::try_from(shard).ok())
            .collect(),
        rollups: config.rows.rollups,
        share: Share {
            process: config.process,
            processes: config.processes,
        },
        backoff: Backoff::default(),
        now_secs: Arc::new(move || clock.now_ns() / 1_000_000_000),
    }
}
