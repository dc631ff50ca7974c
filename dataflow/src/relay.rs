//! The relay: publishes in another process the checkpoints that process 0 has put.
//!
//! Ticks carry the number of the newest durable checkpoint to every process; the checkpoint itself is read from the state.
//! Law 6: only what process 0 has put and won is published, so a follower sees the same chain wherever it runs.

use std::sync::Arc;
use std::sync::mpsc;

use flow_state::{Published, StateError, StateStore};

use crate::failure::{Failure, JobError};
use crate::status::Status;
use crate::tick::Tick;
use crate::turns::{self, Did, Turns};

/// The last checkpoint is asked for so often before the relay gives it up: with the pause between two tries, 15 s.
const TRIES: u32 = 30;

/// What it asks of the state.
const READING: &str = "checkpoint of process 0";

/// What the relay is told.
enum News {
    /// This checkpoint is durable.
    Durable(u64),
    /// The ticks are over, and this is the number of the last checkpoint, which is being put or is there.
    Last(u64),
}

/// The first worker's way to the relay.
pub(crate) struct Relayed {
    news: mpsc::Sender<News>,
    status: Arc<Status>,
    failure: Failure,
    told: u64,
    /// The last tick that was seen.
    last: Option<Tick>,
}

impl Relayed {
    /// A tick has come.
    pub(crate) fn see(&mut self, tick: &Tick) {
        if tick.published > self.told {
            self.told = tick.published;
            drop(self.news.send(News::Durable(tick.published)));
        }
        self.status.show(|shown| {
            shown.tick = tick.n;
            shown.retired_secs = tick.retired_secs;
            shown.closing = tick.last;
        });
        self.last = Some(*tick);
    }

    /// The ticks are over: the last one has sealed a checkpoint, or the job has ended before its time.
    pub(crate) fn end(self) {
        match self.last.filter(|tick| tick.last) {
            Some(tick) => drop(self.news.send(News::Last(tick.seal))),
            None => self.failure.set(JobError::ended()),
        }
    }
}

/// The relay itself, turn by turn.
pub(crate) struct RelayDesk {
    state: StateStore,
    /// Id of this attempt, and the checkpoint that it goes on from.
    attempt: u64,
    base: u64,
    published: Arc<Published>,
    status: Arc<Status>,
    failure: Failure,
    news: mpsc::Receiver<News>,
    /// What is to be published next.
    due: Option<News>,
    tries: u32,
}

impl RelayDesk {
    pub(crate) fn new(
        state: StateStore,
        (attempt, base): (u64, u64),
        (published, status): (Arc<Published>, Arc<Status>),
        failure: Failure,
    ) -> (Relayed, RelayDesk) {
        let (to_desk, news) = mpsc::channel();
        let desk = RelayDesk {
            state,
            attempt,
            base,
            published,
            status: Arc::clone(&status),
            failure: failure.clone(),
            news,
            due: None,
            tries: 0,
        };
        let relayed = Relayed {
            news: to_desk,
            status,
            failure,
            told: 0,
            last: None,
        };
        (relayed, desk)
    }

    /// Reads and publishes one checkpoint; false if it is not there, or process 0 has lost its number to another job.
    fn publish(&self, number: u64) -> Result<bool, StateError> {
        let Some(checkpoint) = self.state.checkpoint(number)? else {
            return Ok(false);
        };
        if number > self.base && checkpoint.attempt != self.attempt {
            return Ok(false);
        }
        self.published.publish(Arc::new(checkpoint));
        self.status.show(|shown| shown.checkpoint = number);
        Ok(true)
    }

    fn one(&mut self, news: News) -> Did {
        let (News::Durable(number) | News::Last(number)) = news;
        self.status.asked(READING, number);
        let done = match self.publish(number) {
            // One that is durable and not there any more was followed by others, of which there will be news.
            Ok(published) => published || matches!(news, News::Durable(_)),
            Err(error) => {
                tracing::warn!(%error, "a checkpoint of process 0 can't be read yet");
                self.status.failed(READING, error);
                false
            }
        };
        if done {
            self.status.answered(READING);
            self.tries = 0;
            return Did::Something;
        }
        self.tries += 1;
        if self.tries < TRIES {
            self.due = Some(news);
            return Did::Failed;
        }
        self.failure.set(JobError::ended());
        Did::Over
    }
}

impl Turns for RelayDesk {
    fn turn(&mut self, wait: bool) -> Did {
        if let Some(news) = self.due.take() {
            return self.one(news);
        }
        match turns::next(&self.news, wait) {
            Ok(news) => self.due = Some(news),
            Err(none) => return none,
        }
        Did::Something
    }
}
