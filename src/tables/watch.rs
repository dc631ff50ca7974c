//! Whether the files that tables come from have changed.
//!
//! By looking, not by the kernel's notices: those do not come from a network's file system, and are lost where a folder is
//! swapped as a whole. Law: a file that is being written is left alone until two looks find it alike.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use flow_tables::{Place, SourceSpec};

use crate::cli;

/// A look at all files: what can be told without reading them.
type Look = Vec<Option<(PathBuf, u64, SystemTime)>>;

/// Looks now and then.
pub(super) struct Watch {
    sources: cli::Tables,
    every: Duration,
    since: Duration,
    /// As they were when they were loaded.
    loaded: Look,
    /// As they were at the last look.
    last: Look,
}

impl Watch {
    pub(super) fn new(sources: &cli::Tables, every: Duration) -> Watch {
        Watch {
            sources: sources.clone(),
            every,
            since: Duration::ZERO,
            // They may have changed since the job has loaded them: looked at once more, then it is known.
            loaded: Look::new(),
            last: look(sources),
        }
    }

    /// `passed`: time since it was asked last. True once for each change.
    pub(super) fn has_changed(&mut self, passed: Duration) -> bool {
        self.since += passed;
        if self.since < self.every {
            return false;
        }
        self.since = Duration::ZERO;
        let now = look(&self.sources);
        let away = |look: &Look| look.iter().any(Option::is_none);
        if away(&now) && !away(&self.last) {
            tracing::warn!(
                "a file of --table is away; the tables in force stay until it is there again"
            );
        }
        let settled = now == self.last && !away(&now);
        let changed = settled && now != self.loaded;
        if changed {
            self.loaded.clone_from(&now);
        }
        self.last = now;
        changed
    }
}

fn look(sources: &cli::Tables) -> Look {
    let is_file = |source: &&SourceSpec| matches!(source.place, Place::Path(_));
    let one = |source: &SourceSpec| {
        let path = source.place.file()?;
        let found = fs::metadata(&path).ok()?;
        Some((path, found.len(), found.modified().ok()?))
    };
    sources.table.iter().filter(is_file).map(one).collect()
}
