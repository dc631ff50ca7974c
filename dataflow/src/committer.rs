//! The committer: puts checkpoints, tells the followers, lets go of files.
//!
//! Law 5: a checkpoint never stops the flow; an unknown outcome is asked again; the loser ends. Only a checkpoint
//! that was won is published, and only its writer deletes.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, Thread};

use flow_state::{Acks, Checkpoint, Published, Put, StateStore};
use flow_topic::Topic;
use prometheus_client::metrics::counter::Counter;

use crate::config::{JobConfig, broken};
use crate::status::Status;
use crate::trouble::Trouble;
use crate::turns::{self, Did, Turns};

/// What it asks of the state once a checkpoint is published.
const DELETION: &str = "deletion of old files";

/// How a put ended.
pub(crate) enum Outcome {
    Durable(Arc<Checkpoint>),
    Lost(u64),
}

/// A checkpoint to be put, and the thread to be woken when its outcome is there.
type Order = (Box<Checkpoint>, Thread);

/// Worker 0's way to the committer, and back.
pub(crate) struct Committer {
    orders: mpsc::Sender<Order>,
    outcomes: mpsc::Receiver<Outcome>,
}

impl Committer {
    /// Hands over a checkpoint; its outcome comes from `try_outcome`.
    pub(crate) fn put(&self, checkpoint: Checkpoint) {
        // It ends only with the process or with this sender.
        drop(self.orders.send((Box::new(checkpoint), thread::current())));
    }

    pub(crate) fn try_outcome(&self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }
}

/// Where a checkpoint stands; between two stages the process may be killed.
enum Stage {
    Idle,
    Put(Order),
    Publish(Arc<Checkpoint>, Thread),
    Delete(Arc<Checkpoint>, Thread),
}

/// The committer itself, turn by turn.
pub(crate) struct CommitDesk {
    state: StateStore,
    published: Arc<Published>,
    acks: Arc<Acks>,
    /// Shows others how far the job is.
    topic: Arc<dyn Topic>,
    config: JobConfig,
    orders: mpsc::Receiver<Order>,
    outcomes: mpsc::Sender<Outcome>,
    stage: Stage,
    trouble: Trouble,
    status: Arc<Status>,
}

impl CommitDesk {
    pub(crate) fn new(
        state: StateStore,
        (published, acks): (Arc<Published>, Arc<Acks>),
        (topic, config): (Arc<dyn Topic>, JobConfig),
        (failed, status): (Counter, Arc<Status>),
    ) -> (Committer, CommitDesk) {
        let (to_desk, orders) = mpsc::channel();
        let (outgoing, outcomes) = mpsc::channel();
        let desk = CommitDesk {
            state,
            published,
            acks,
            topic,
            config,
            orders,
            outcomes: outgoing,
            stage: Stage::Idle,
            trouble: Trouble::new("checkpoint", failed, Arc::clone(&status)),
            status,
        };
        let committer = Committer {
            orders: to_desk,
            outcomes,
        };
        (committer, desk)
    }

    fn put(&mut self, (checkpoint, wake): Order) -> Did {
        if broken!(self.config, SinkFedUnrecorded) {
            self.published.publish(Arc::new((*checkpoint).clone()));
        }
        self.trouble.begins(checkpoint.number);
        match self.state.put(&checkpoint) {
            Ok(Put::Won) => {
                self.trouble.over(checkpoint.number);
                self.stage = Stage::Publish(Arc::new(*checkpoint), wake);
            }
            Ok(Put::Lost) if broken!(self.config, LoserGoesOn) => {
                self.stage = Stage::Publish(Arc::new(*checkpoint), wake);
            }
            Ok(Put::Lost) => return self.tell(Outcome::Lost(checkpoint.number), &wake),
            Err(error) => {
                // The disk may have room again later; the sources stop at their bound until then.
                self.trouble.failed(error, checkpoint.number);
                self.stage = Stage::Put((checkpoint, wake));
                return Did::Failed;
            }
        }
        Did::Something
    }

    fn publish(&mut self, checkpoint: Arc<Checkpoint>, wake: Thread) -> Did {
        self.published.publish(Arc::clone(&checkpoint));
        let cut = checkpoint.cut.iter();
        self.topic
            .show_progress(&cut.map(|(p, at)| (*p, at.offset)).collect());
        self.stage = Stage::Delete(checkpoint, wake);
        Did::Something
    }

    fn delete(&mut self, checkpoint: Arc<Checkpoint>, wake: &Thread) -> Did {
        let passed = self.acks.raw_lowest();
        self.status.asked(DELETION, checkpoint.number);
        if let Err(error) = self.state.delete_unlisted(&checkpoint, passed) {
            tracing::warn!(%error, "files that are no longer needed could not be deleted");
        }
        self.status.answered(DELETION);
        self.tell(Outcome::Durable(checkpoint), wake)
    }

    fn tell(&mut self, outcome: Outcome, wake: &Thread) -> Did {
        if self.outcomes.send(outcome).is_err() {
            return Did::Over;
        }
        wake.unpark();
        Did::Something
    }
}

impl Turns for CommitDesk {
    fn turn(&mut self, wait: bool) -> Did {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Put(order) => self.put(order),
            Stage::Publish(checkpoint, wake) => self.publish(checkpoint, wake),
            Stage::Delete(checkpoint, wake) => self.delete(checkpoint, &wake),
            Stage::Idle => {
                match turns::next(&self.orders, wait) {
                    Ok(order) => self.stage = Stage::Put(order),
                    Err(none) => return none,
                }
                Did::Something
            }
        }
    }
}
