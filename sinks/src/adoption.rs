//! What an adoption asks of a store, and what it tells it.
//!
//! A job that has lost its state, or has an older copy of it, goes on above everything that a store has seen, under an id
//! that nobody had before: whoever wrote until then is a stranger from the moment the store knows the new id. Law 6: what a
//! store holds of this very state, it keeps its place for; anything else is rewritten from the adoption on.

use std::collections::{BTreeMap, BTreeSet};

/// A revision has so many bits for its checkpoint number, the generation above them.
pub(crate) const NUMBER_BITS: u32 = 48;

/// What a store, or its raw half, says of those who have written it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Their job ids; none for a store that nobody has written, two where an adoption was cut short.
    pub jobs: BTreeSet<String>,
    /// The highest checkpoint number in it.
    pub highest: u64,
    /// The highest generation in it.
    pub generation: u64,
}

impl Held {
    /// A cursor was found.
    pub(crate) fn cursor(&mut self, job: &str, checkpoint: u64) {
        if !self.jobs.contains(job) {
            self.jobs.insert(job.to_owned());
        }
        self.highest = self.highest.max(checkpoint);
    }

    /// Whether the state of this job, whose newest checkpoint is `newest`, can't go on with it.
    pub fn is_strange(&self, job: &str, newest: u64) -> bool {
        self.jobs.iter().any(|known| known != job) || !self.jobs.is_empty() && self.highest > newest
    }
}

/// What a store is told. All numbers are the state's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The job's new id.
    pub job: String,
    /// The checkpoint of the adoption, above every other one.
    pub number: u64,
    /// Job ids in the state's checkpoints, each with its highest number: a cursor up to there is one of this state.
    pub known: BTreeMap<String, u64>,
    /// Where the partitions stood at each checkpoint that is still there, the adoption's among them, which names all that
    /// the topic has.
    pub cuts: BTreeMap<u64, BTreeMap<u32, u64>>,
    /// Now, seconds since 1970.
    pub now_secs: u64,
}

impl Adoption {
    /// Where a shard or partition stands from now on, of its cursors as they were found: several, where an adoption was
    /// cut short. Zero is no cursor, but the mark of one that has begun.
    pub fn cursor<'a>(&self, found: impl IntoIterator<Item = (&'a str, u64)>) -> u64 {
        let ours = |(job, checkpoint): &(&str, u64)| {
            *checkpoint > 0 && self.known.get(*job).is_some_and(|high| checkpoint <= high)
        };
        let kept = found.into_iter().filter(ours);
        kept.map(|(_, checkpoint)| checkpoint)
            .min()
            .unwrap_or(self.number)
    }

    /// The partitions whose raw flows are written anew, each from which offset on; `cursors` are those that will stand.
    pub fn rewritten(&self, cursors: &BTreeMap<u32, u64>) -> BTreeMap<u32, u64> {
        let all = self.cuts.get(&self.number).into_iter().flatten();
        let from = all.map(|(partition, here)| {
            let cursor = cursors.get(partition).copied().unwrap_or(0);
            let at = self.cuts.range(cursor..).next();
            let offset = at.and_then(|(_, cut)| cut.get(partition)).copied();
            (*partition, offset.unwrap_or(*here))
        });
        from.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adoption() -> Adoption {
        let cut = |a, b| BTreeMap::from([(0, a), (1, b)]);
        Adoption {
            job: "new".to_owned(),
            number: 20,
            known: BTreeMap::from([("old".to_owned(), 9)]),
            cuts: BTreeMap::from([(5, cut(50, 0)), (9, cut(90, 7)), (20, cut(90, 7))]),
            now_secs: 0,
        }
    }

    #[test]
    fn a_cursor_of_this_state_stays_and_any_other_one_goes_on_from_the_adoption() {
        let adoption = adoption();
        assert_eq!(adoption.cursor([("old", 9)]), 9);
        assert_eq!(adoption.cursor([("old", 10)]), 20, "of a later state");
        assert_eq!(adoption.cursor([("other", 5)]), 20);
        assert_eq!(adoption.cursor([]), 20);
        // One that was cut short: told already, and begun only.
        assert_eq!(adoption.cursor([("old", 3), ("other", 12)]), 3);
        assert_eq!(adoption.cursor([("old", 0), ("other", 12)]), 20);
    }

    #[test]
    fn raw_flows_are_rewritten_from_where_their_cursor_stands() {
        let cursors = BTreeMap::from([(0, 4), (1, 20)]);
        let from = adoption().rewritten(&cursors);
        assert_eq!(from, BTreeMap::from([(0, 50), (1, 7)]));
    }

    #[test]
    fn what_can_go_on_is_not_strange() {
        let mut held = Held::default();
        assert!(!held.is_strange("a", 0), "nobody has written it");
        held.cursor("a", 5);
        assert!(!held.is_strange("a", 5) && held.is_strange("a", 4));
        held.cursor("b", 1);
        assert!(held.is_strange("a", 9));
    }
}
