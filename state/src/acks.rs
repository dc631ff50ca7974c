//! `Acks`: how far each sink has followed, so that the job knows which files it may let go.
//!
//! Law 5: a file stays listed while any cursor is below its number and no merge has replaced it. A sink whose
//! cursor is not known yet counts as 0, so that one that is down at start loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Per sink the lowest checkpoint number that it has acknowledged over its shards.
#[derive(Debug)]
pub struct Acks {
    sinks: Vec<AtomicU64>,
}

impl Acks {
    /// For so many sinks, none of which has acknowledged anything.
    pub fn new(sinks: usize) -> Arc<Acks> {
        Arc::new(Acks {
            sinks: (0..sinks).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// Sink number `sink` (from 0 on) has everything up to checkpoint `number`. It never goes back.
    pub fn acknowledge(&self, sink: usize, number: u64) {
        if let Some(held) = self.sinks.get(sink) {
            held.fetch_max(number, Ordering::AcqRel);
        }
    }

    /// What a sink has acknowledged; 0 for one that is not known.
    pub fn of(&self, sink: usize) -> u64 {
        self.sinks
            .get(sink)
            .map_or(0, |held| held.load(Ordering::Acquire))
    }

    /// The lowest over all sinks: files numbered at or below it are no longer needed by any sink. `u64::MAX` if
    /// there are no sinks.
    pub fn lowest(&self) -> u64 {
        self.sinks
            .iter()
            .map(|held| held.load(Ordering::Acquire))
            .min()
            .unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_sink_decides_and_nothing_goes_back() {
        let acks = Acks::new(2);
        acks.acknowledge(0, 5);
        assert_eq!((acks.lowest(), acks.of(0), acks.of(1)), (0, 5, 0));
        acks.acknowledge(1, 3);
        acks.acknowledge(0, 2);
        assert_eq!((acks.lowest(), acks.of(0), acks.of(9)), (3, 5, 0));
        assert_eq!(Acks::new(0).lowest(), u64::MAX);
    }
}
