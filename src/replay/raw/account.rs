//! What the topic says of one slot's raw flows in one partition: a digest, and where its flows stand.
//!
//! Law 8: so many runs of records at most; a slot's flows stand close together, and those that came late here and there.

use flow_sinks::{RawDigest, RawTexts};
use flow_state::Position;

/// Records between two flows of a slot that are read rather than gone over.
const NEAR: u64 = 64;
/// Runs that are kept; the last one reaches as far as it must.
const RUNS: usize = 128;

/// One slot's flows in one partition.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) digest: RawDigest,
    pub(super) runs: Vec<Run>,
}

/// Records that hold flows of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first, with the partition's clock before it.
    pub(super) from: Position,
    /// After the last.
    pub(super) end: u64,
}

impl Account {
    /// A flow, with the clock before its record. `break_at`: the clock begins anew there, so that no run goes over it.
    pub(super) fn add(&mut self, flow: &RawTexts, (offset, clock_ns): (u64, i64), break_at: u64) {
        self.digest.add(flow);
        let full = self.runs.len() >= RUNS;
        if let Some(last) = self.runs.last_mut() {
            let crosses = last.from.offset < break_at && offset >= break_at;
            if !crosses && (full || offset < last.end.saturating_add(NEAR)) {
                last.end = offset + 1;
                return;
            }
        }
        self.runs.push(Run {
            from: Position {
                clock_ns,
                ..Position::beginning(offset)
            },
            end: offset + 1,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(offsets: &[u64], break_at: u64) -> Vec<(u64, i64, u64)> {
        let mut account = Account::default();
        let flow = RawTexts(Vec::new());
        for offset in offsets {
            account.add(&flow, (*offset, i64::try_from(*offset).unwrap()), break_at);
        }
        assert_eq!(account.digest.flows, offsets.len() as u64);
        let runs = account.runs.iter();
        runs.map(|run| (run.from.offset, run.from.clock_ns, run.end))
            .collect()
    }

    #[test]
    fn what_stands_close_together_is_one_run() {
        assert_eq!(runs(&[5, 5, 6, 70, 200], 0), [(5, 5, 71), (200, 200, 201)]);
        assert_eq!(runs(&[5, 6, 7], 6), [(5, 5, 6), (6, 6, 8)]);
        let far: Vec<u64> = (0..1_000).map(|n| n * 1_000).collect();
        let many = runs(&far, 0);
        assert_eq!((many.len(), many[RUNS - 1].2), (RUNS, 999_001));
    }
}
