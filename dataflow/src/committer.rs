//! The committer: one thread that puts checkpoints, lets go of files and tells the followers.
//!
//! Law 5: a checkpoint never stops the flow; an unknown outcome is asked again; the loser ends. Only a checkpoint
//! that was won is published, and only its writer deletes.

use std::sync::{Arc, mpsc};
use std::thread::{self, Thread};
use std::time::Duration;

use flow_state::{Acks, Checkpoint, Published, Put, StateDir};
use flow_topic::Topic;

/// Between two tries of a put whose outcome is unknown.
const RETRY: Duration = Duration::from_millis(500);

/// How a put ended.
pub(crate) enum Outcome {
    Durable(Arc<Checkpoint>),
    Lost(u64),
}

/// The way to the thread, and back.
pub(crate) struct Committer {
    checkpoints: mpsc::Sender<Checkpoint>,
    outcomes: mpsc::Receiver<Outcome>,
}

impl Committer {
    /// Starts the thread; `wake` is unparked when there is an outcome. `topic` shows others how far the job is.
    pub(crate) fn start(
        state: StateDir,
        (published, acks): (Arc<Published>, Arc<Acks>),
        topic: Arc<dyn Topic>,
        wake: Thread,
    ) -> std::io::Result<Committer> {
        let (checkpoints, incoming) = mpsc::channel::<Checkpoint>();
        let (outgoing, outcomes) = mpsc::channel();
        thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || {
                for checkpoint in incoming {
                    let outcome = commit(&state, (&published, &acks), checkpoint);
                    if let Outcome::Durable(checkpoint) = &outcome {
                        let cut = checkpoint.cut.iter();
                        topic.show_progress(&cut.map(|(p, at)| (*p, at.offset)).collect());
                    }
                    if outgoing.send(outcome).is_err() {
                        return;
                    }
                    wake.unpark();
                }
            })?;
        Ok(Committer {
            checkpoints,
            outcomes,
        })
    }

    /// Hands over a checkpoint; its outcome comes from `try_outcome` or `outcome`.
    pub(crate) fn put(&self, checkpoint: Checkpoint) {
        // The thread ends only with the process or with this sender.
        drop(self.checkpoints.send(checkpoint));
    }

    pub(crate) fn try_outcome(&self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }

    /// Waits for the outcome.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcomes.recv().ok()
    }
}

fn commit(
    state: &StateDir,
    (published, acks): (&Published, &Acks),
    checkpoint: Checkpoint,
) -> Outcome {
    let number = checkpoint.number;
    loop {
        match state.put(&checkpoint) {
            Ok(Put::Won) => break,
            Ok(Put::Lost) => return Outcome::Lost(number),
            Err(error) => {
                tracing::error!(%error, checkpoint = number, "checkpoint not written, trying again");
                // The disk may have room again later; the sources stop at their bound until then.
                thread::sleep(RETRY);
            }
        }
    }
    let checkpoint = Arc::new(checkpoint);
    published.publish(Arc::clone(&checkpoint));
    if let Err(error) = state.delete_unlisted(&checkpoint, acks.raw_lowest()) {
        tracing::warn!(%error, "files that are no longer needed could not be deleted");
    }
    Outcome::Durable(checkpoint)
}
