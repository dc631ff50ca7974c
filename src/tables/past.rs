//! `tables swap --from`: slots of the past that are to have new tables, too.
//!
//! Law 3: their rows stay what the timeline says until a replay replaces them as a whole; what is asked for here is which
//! version that replay gives them.

use std::io::{self, Write};

use flow_dataflow::RowConfig;
use flow_state::{Checkpoint, StateStore, TableVersion};
use flow_tables::TableSet;
use serde_json::{Value, json};

use super::ask;
use super::plausible::{Change, changes};
use super::swap::told;
use crate::failure::{Exit, Failure};
use crate::progress::time;
use crate::units::When;

/// Versions of the past that are compared, the newest: each has to be loaded.
const COMPARED: usize = 8;

/// What becomes of the past.
pub(super) struct Past {
    /// The first slot.
    pub(super) from_secs: u64,
    /// The table fence: the newest slot that may be affected ends there.
    until_secs: u64,
    window_secs: u64,
    retired_secs: u64,
    /// Each version that is overridden, with its slots and what the new tables change of it.
    versions: Vec<(u64, u64, TableVersion, Vec<Change>)>,
    /// Older ones that are not compared.
    more: usize,
}

impl Past {
    /// As of a checkpoint.
    ///
    /// # Errors
    /// If there is no slot between that time and the fence, or its slots cannot be replaced.
    pub(super) fn new(
        from: When,
        now_ns: u64,
        (state, checkpoint, new): (&StateStore, &Checkpoint, &TableSet),
    ) -> Result<Past, Failure> {
        let refuse = |what: String, hint: &str| Err(Failure::new(Exit::Config, what).hint(hint));
        let Some(rows) = RowConfig::of_recorded(&checkpoint.config) else {
            return refuse(
                "--from: the options of the state's job are unknown to this program".to_owned(),
                "use the release that wrote the state",
            );
        };
        let window_secs = rows.window_secs;
        if let Some(longer) = rows
            .rollups
            .iter()
            .find(|one| one.window_secs() > window_secs)
        {
            let what = format!(
                "--from: {} sums longer slots, and slots within them cannot be replaced",
                longer.table()
            );
            return refuse(
                what,
                "without --from the tables come into force at the next slot that no flow has passed",
            );
        }
        let secs = from.resolve_ns(now_ns) / 1_000_000_000;
        let from_secs = secs - secs % window_secs;
        let until_secs = checkpoint.timeline.fence_secs;
        if from_secs >= until_secs {
            let what = format!(
                "--from {}: slots from {} on get the tables anyway",
                time(from_secs),
                time(until_secs)
            );
            return refuse(what, "leave --from out, or give an earlier time");
        }
        let all = &checkpoint.timeline.versions;
        let mut versions = Vec::new();
        let mut more = 0;
        for (n, (begin, version)) in all.iter().enumerate().rev() {
            let next = all.get(n + 1).map_or(until_secs, |(next, _)| *next);
            let (begin, end) = ((*begin).max(from_secs), next.min(until_secs));
            if begin >= end {
                continue;
            }
            if versions.len() == COMPARED {
                more += 1;
                continue;
            }
            let changes = changes(&ask::load(state, version)?, new);
            versions.push((begin, end, version.clone(), changes));
        }
        versions.reverse();
        Ok(Past {
            from_secs,
            until_secs,
            window_secs,
            retired_secs: checkpoint.timeline.retired_secs,
            versions,
            more,
        })
    }

    /// Number of slots, and how many of them are retired.
    fn slots(&self) -> [u64; 2] {
        let retired = self.retired_secs.clamp(self.from_secs, self.until_secs);
        [self.until_secs, retired].map(|end| (end - self.from_secs) / self.window_secs)
    }

    /// For people.
    pub(super) fn told(&self, out: &mut impl Write) -> io::Result<()> {
        let [slots, retired] = self.slots();
        writeln!(
            out,
            "slots {} to {}: {slots}, of which {retired} are retired",
            time(self.from_secs),
            time(self.until_secs)
        )?;
        if self.more > 0 {
            writeln!(out, "{} older versions are not compared", self.more)?;
        }
        for (begin, end, version, changes) in &self.versions {
            writeln!(
                out,
                "{} to {}, in place of version {}:",
                time(*begin),
                time(*end),
                version.number
            )?;
            told(changes, "  ", out)?;
        }
        Ok(())
    }

    /// For scripts.
    pub(super) fn json(&self) -> Value {
        let [slots, retired] = self.slots();
        let versions = self.versions.iter().map(|(begin, end, version, changes)| {
            json!({ "from_slot": time(*begin), "until_slot": time(*end), "version": version.number,
                    "changes": changes.iter().map(Change::json).collect::<Vec<_>>() })
        });
        json!({ "from_slot": time(self.from_secs), "until_slot": time(self.until_secs), "slots": slots,
                "retired": retired, "in_place_of": versions.collect::<Vec<_>>() })
    }
}
