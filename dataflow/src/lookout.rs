//! The lookout: asks the topic now and then how many partitions it has, and where they begin.
//!
//! Off the workers, since the answers come over a network. What it finds says from which tick on a partition is read,
//! and what need not be remembered; law 1: a partition begins at its first record and with a clock of its own, whenever
//! it is found.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use flow_topic::{Topic, TopicError};

use crate::turns::{Did, Turns};

/// Where partitions begin is asked at one look of so many: retention moves slowly.
const LOOKS: u32 = 60;

/// What was found.
pub(crate) enum Found {
    /// How many partitions there are.
    Partitions(u32),
    /// First retained offset of every partition.
    Earliest(BTreeMap<u32, u64>),
}

/// The way to the lookout, which ends, after the question under way, when this is dropped.
pub(crate) struct Lookout {
    news: Receiver<Found>,
    /// Never sent into.
    _alive: mpsc::Sender<()>,
}

impl Lookout {
    /// What was found since.
    pub(crate) fn news(&self) -> impl Iterator<Item = Found> + '_ {
        self.news.try_iter()
    }
}

/// The lookout itself, look by look.
pub(crate) struct LookDesk {
    topic: Arc<dyn Topic>,
    pause: Duration,
    looks: u32,
    found: SyncSender<Found>,
    ended: Receiver<()>,
}

impl LookDesk {
    /// Asks every `pause`.
    pub(crate) fn new(topic: Arc<dyn Topic>, pause: Duration) -> (Lookout, LookDesk) {
        let (alive, ended) = mpsc::channel();
        let (found, news) = mpsc::sync_channel(4);
        let desk = LookDesk {
            topic,
            pause,
            looks: 0,
            found,
            ended,
        };
        let lookout = Lookout {
            news,
            _alive: alive,
        };
        (lookout, desk)
    }
}

impl Turns for LookDesk {
    fn turn(&mut self, wait: bool) -> Did {
        let pause = if wait { self.pause } else { Duration::ZERO };
        if self.ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return Did::Over;
        }
        let looks = self.looks;
        self.looks = looks.wrapping_add(1);
        match look(self.topic.as_ref(), looks) {
            Ok(all) => {
                for one in all {
                    // What finds no room is asked again with the next look.
                    if let Err(TrySendError::Disconnected(_)) = self.found.try_send(one) {
                        return Did::Over;
                    }
                }
            }
            // Whoever reads the topic tells that it is away.
            Err(error) => tracing::debug!(%error, "the topic does not answer"),
        }
        Did::Something
    }
}

fn look(topic: &dyn Topic, number: u32) -> Result<Vec<Found>, TopicError> {
    let count = topic.partitions()?;
    let mut found = vec![Found::Partitions(count)];
    if number.is_multiple_of(LOOKS) {
        let first = |p| topic.bounds(p).map(|bounds| (p, bounds.earliest));
        found.push(Found::Earliest(
            (0..count).map(first).collect::<Result<_, _>>()?,
        ));
    }
    Ok(found)
}
