//! The lookout: asks the topic now and then how many partitions it has, and where they begin.
//!
//! A thread of its own, since the answers come over a network. What it finds says from which tick on a partition is read,
//! and what need not be remembered; law 1: a partition begins at its first record and with a clock of its own, whenever
//! it is found.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use flow_topic::{Topic, TopicError};

/// Where partitions begin is asked at one look of so many: retention moves slowly.
const LOOKS: u32 = 60;

/// What was found.
pub(crate) enum Found {
    /// How many partitions there are.
    Partitions(u32),
    /// First retained offset of every partition.
    Earliest(BTreeMap<u32, u64>),
}

/// The way to the thread, which ends, after the question under way, when this is dropped.
pub(crate) struct Lookout {
    news: Receiver<Found>,
    /// Never sent into.
    _alive: mpsc::Sender<()>,
}

impl Lookout {
    /// Asks every `pause`.
    pub(crate) fn start(topic: Arc<dyn Topic>, pause: Duration) -> std::io::Result<Lookout> {
        let (alive, ended) = mpsc::channel::<()>();
        let (found, news) = mpsc::sync_channel(2);
        thread::Builder::new()
            .name("lookout".to_owned())
            .spawn(move || {
                let mut looks = 0..;
                while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    let asked = look(topic.as_ref(), looks.next().unwrap_or(0));
                    match asked.map(|all| all.into_iter().try_for_each(|one| found.send(one))) {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return,
                        // Whoever reads the topic tells that it is away.
                        Err(error) => tracing::debug!(%error, "the topic does not answer"),
                    }
                }
            })?;
        Ok(Lookout {
            news,
            _alive: alive,
        })
    }

    /// What was found since.
    pub(crate) fn news(&self) -> impl Iterator<Item = Found> + '_ {
        self.news.try_iter()
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
