//! `Acks`: how far each sink has followed, so that the job knows which files it may let go.
//!
//! Law 5: a file stays listed while any cursor is below its number and no merge has replaced it. A sink whose
//! cursor is not known yet counts as 0, so that one that is down at start loses nothing. Stores of raw flows need
//! other files than those of rows, the checkpoints themselves, and are asked apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Per sink the lowest checkpoint number that it has acknowledged over its shards, or raw over its partitions.
#[derive(Debug)]
pub struct Acks {
    sinks: Vec<AtomicU64>,
    raw: Vec<AtomicU64>,
    /// Of the other processes, as they have told last: lowest of rows, lowest of raw flows.
    others: Vec<(AtomicU64, AtomicU64)>,
}

impl Acks {
    /// For so many sinks, none of which has acknowledged anything.
    pub fn new(sinks: usize) -> Arc<Acks> {
        Acks::with_raw(sinks, 0)
    }

    /// For so many sinks of rows and so many of raw flows.
    pub fn with_raw(sinks: usize, raw: usize) -> Arc<Acks> {
        Acks::beside(sinks, raw, 1)
    }

    /// As `with_raw`, in process 0 of a job of so many processes, of which the others have stores of their own.
    pub fn beside(sinks: usize, raw: usize, processes: usize) -> Arc<Acks> {
        let unknown = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Acks {
            sinks: unknown(sinks),
            raw: unknown(raw),
            others: (1..processes).map(|_| Default::default()).collect(),
        })
    }

    /// Another process tells how far its followers are: the lowest of rows and of raw flows. It never goes back.
    pub fn hear(&self, process: usize, rows: u64, raw: u64) {
        let other = process.checked_sub(1).and_then(|i| self.others.get(i));
        if let Some((held_rows, held_raw)) = other {
            held_rows.fetch_max(rows, Ordering::AcqRel);
            held_raw.fetch_max(raw, Ordering::AcqRel);
        }
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

    /// The lowest over all sinks of rows: segments numbered at or below it are no longer needed by any of them.
    /// `u64::MAX` if there are none.
    pub fn lowest(&self) -> u64 {
        lowest(
            self.sinks
                .iter()
                .chain(self.others.iter().map(|(rows, _)| rows)),
        )
    }

    /// Raw sink number `sink` (from 0 on) stands at checkpoint `number` or above in every partition. It never goes
    /// back.
    pub fn acknowledge_raw(&self, sink: usize, number: u64) {
        if let Some(held) = self.raw.get(sink) {
            held.fetch_max(number, Ordering::AcqRel);
        }
    }

    /// What a raw sink has acknowledged; 0 for one that is not known.
    pub fn raw_of(&self, sink: usize) -> u64 {
        self.raw
            .get(sink)
            .map_or(0, |held| held.load(Ordering::Acquire))
    }

    /// The lowest over all raw sinks: checkpoints numbered below it are no longer needed by any of them. `u64::MAX`
    /// if there are none.
    pub fn raw_lowest(&self) -> u64 {
        lowest(
            self.raw
                .iter()
                .chain(self.others.iter().map(|(_, raw)| raw)),
        )
    }
}

fn lowest<'a>(held: impl Iterator<Item = &'a AtomicU64>) -> u64 {
    held.map(|held| held.load(Ordering::Acquire))
        .min()
        .unwrap_or(u64::MAX)
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

    #[test]
    fn other_processes_hold_back_until_they_have_told() {
        let acks = Acks::beside(1, 0, 3);
        acks.acknowledge(0, 9);
        acks.hear(1, u64::MAX, 7);
        assert_eq!((acks.lowest(), acks.raw_lowest()), (0, 0), "one is silent");
        acks.hear(2, u64::MAX, 8);
        acks.hear(1, u64::MAX, 6);
        acks.hear(3, 1, 1);
        assert_eq!((acks.lowest(), acks.raw_lowest()), (9, 7));
    }

    #[test]
    fn raw_sinks_hold_back_on_their_own() {
        let acks = Acks::with_raw(1, 2);
        acks.acknowledge(0, 9);
        acks.acknowledge_raw(1, 4);
        assert_eq!((acks.lowest(), acks.raw_lowest()), (9, 0), "one is unknown");
        acks.acknowledge_raw(0, 7);
        acks.acknowledge_raw(0, 6);
        assert_eq!(
            (acks.raw_lowest(), acks.raw_of(0), acks.raw_of(2)),
            (4, 7, 0)
        );
        assert_eq!(Acks::new(3).raw_lowest(), u64::MAX);
    }
}
