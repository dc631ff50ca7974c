//! Whoever wants other tables while a job runs: archives a set, and puts a request for it beside.
//!
//! Law 3: a request decides nothing, whatever becomes of it: its put may fail with or without effect, it may come twice, it
//! may name tables that nobody has archived. What was put is decided in the end.

use std::sync::Arc;

use flow_state::{StateStore, SwapRequest};

use crate::sim::Sim;
use crate::tables;

/// A hash of nothing.
const NOWHERE: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

impl Sim {
    /// One request, which may not come to be.
    pub(crate) fn ask_for_tables(&mut self) {
        let sets = tables::sets();
        let (set, archived, given, based) = self.world.roll(|dice| {
            let set = dice.index(sets.len());
            (set, !dice.chance(100), dice.chance(300), dice.chance(500))
        });
        let set = &sets[set];
        let objects = Arc::new(self.objects.clone());
        let asked = || -> Result<u64, flow_state::StateError> {
            let state = StateStore::join_over(objects, "sim-state")?;
            let hash = match archived {
                true => {
                    state.archive_table(&set.hash, &set.set.archive())?;
                    set.hash.clone()
                }
                false => NOWHERE.to_owned(),
            };
            let newest = state.newest()?;
            let decided = newest.as_ref().map_or(0, |newest| newest.swaps.decided);
            // Some ask for what is only right in place of what they have found.
            let found = newest.and_then(|newest| newest.timeline.versions.last().cloned());
            let base = found.filter(|_| based).map(|(_, version)| version.hash);
            let request = SwapRequest {
                number: 0,
                hash,
                base,
                given: given.then(|| set.hash.clone()),
                asked_secs: 0,
                by: "simulated".to_owned(),
                from_secs: None,
            };
            state.ask_swap(&request, decided, u64::MAX)
        };
        match asked() {
            Ok(number) => self.world.say(|| {
                format!(
                    "request {number} for tables {:.8}, archived: {archived}",
                    set.hash
                )
            }),
            Err(error) => self.world.say(|| format!("no request for tables: {error}")),
        }
    }

    /// How many requests were granted, of the last ones.
    pub(crate) fn swaps(&self) -> u64 {
        let newest = self.chain.newest();
        let outcomes = newest.iter().flat_map(|newest| &newest.swaps.outcomes);
        let granted = outcomes.filter(|outcome| outcome.result.is_ok()).count();
        u64::try_from(granted).unwrap_or(u64::MAX)
    }

    /// Whether every request is decided.
    pub(crate) fn requests_are_decided(&self) -> bool {
        let decided = self.chain.newest().map_or(0, |newest| newest.swaps.decided);
        let requests = self.state.swap_requests().unwrap_or_default();
        requests.last().is_none_or(|last| *last <= decided)
    }
}
