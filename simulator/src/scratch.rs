//! The job that a replay runs: the real one, over a part of the topic, in a scratch state and under a clock of its own.
//!
//! Law 1: what comes out depends on topic, range and checkpoint alone, so the rest of the world only waits for it. It is
//! driven as far as the partitions that it can reach allow.

use std::sync::Arc;

use flow_dataflow::{Counting, JobConfig, Replay};
use flow_proto::Rollups;
use flow_state::StateStore;
use flow_tables::TableSet;

use crate::attempt::{Attempt, NoStart, Setting};
use crate::computed::Computed;
use crate::objects::SimObjects;
use crate::replayer::Order;
use crate::world::World;

/// Rounds in which every part of the job has a turn, before others go on.
const ROUNDS: u32 = 100;

/// The job under way.
pub(crate) struct Scratch {
    attempt: Attempt,
    objects: SimObjects,
    /// Its own, in which nothing fails.
    world: World,
    counting: Counting,
    replay: Arc<Replay>,
    rollups: Rollups,
}

impl Scratch {
    /// Everything up to the first turn.
    pub(crate) fn begin(
        order: &Order,
        state: &StateStore,
        (replay, counting): (Replay, Counting),
    ) -> Result<Scratch, String> {
        let world = World::new(order.world.roll(|dice| dice.roll(u64::MAX)), false);
        world.heal();
        world.pass_until_secs(order.world.now_ns() / 1_000_000_000);
        let objects = SimObjects::new(world.clone());
        let replay = Arc::new(replay);
        let archived = || -> Result<(), flow_state::StateError> {
            let scratch = StateStore::over(Arc::new(objects.clone()), "sim-state")?;
            for version in replay.versions() {
                scratch.archive_table(&version.hash, &state.read_table(&version.hash)?)?;
            }
            Ok(())
        };
        archived().map_err(|error| error.to_string())?;
        let setting = Setting {
            config: JobConfig {
                processes: 1,
                workers: order.world.roll(|dice| dice.pick(&[1, 1, 2, 3])),
                until_end: true,
                replay: Some(Arc::clone(&replay)),
                ..order.config.clone()
            },
            topic: order.topic.clone(),
            tables: Arc::new(TableSet::default()),
            objects: objects.clone(),
            databases: Vec::new(),
            raw_databases: Vec::new(),
            world: world.clone(),
            attempt: 1,
            #[cfg(feature = "mutants")]
            mutant: None,
        };
        let attempt = Attempt::start(&setting).map_err(|NoStart(why)| why)?;
        Ok(Scratch {
            attempt,
            objects,
            world,
            counting,
            replay,
            rollups: order.config.rows.rollups,
        })
    }

    /// Goes on; true once it has come to its end. The error says why it has ended before.
    pub(crate) fn work(&mut self) -> Result<bool, String> {
        for _ in 0..ROUNDS {
            self.world.pass_millis(400);
            for (actor, _) in self.attempt.actors() {
                self.attempt.turn(actor, 3);
            }
            if self.attempt.is_done() {
                return match self.attempt.why() {
                    Some(error) => Err(error.to_string()),
                    None => Ok(true),
                };
            }
        }
        Ok(false)
    }

    /// The law that was seen broken in it.
    pub(crate) fn violation(&self) -> Option<String> {
        self.world.violation()
    }

    /// What has come out.
    pub(crate) fn end(self) -> Result<Computed, flow_state::StateError> {
        let state = StateStore::join_over(Arc::new(self.objects), "sim-state")?;
        Ok(Computed {
            counting: self.counting,
            replay: self.replay,
            rollups: self.rollups,
            checkpoint: state.newest()?,
            state,
        })
    }
}
