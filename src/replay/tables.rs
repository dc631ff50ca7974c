//! Which tables the slots are computed with: those that they had, another version, or files that no job has yet.
//!
//! Law 3: one version a slot. A slot that was replaced has the version of its replacement.

use std::collections::BTreeMap;

use flow_state::{Checkpoint, TableVersion, table_hash};

use super::base::Base;
use crate::cli;
use crate::failure::{Exit, Failure};
use crate::tables;

/// Versions by the slot from which they hold, ascending.
pub(crate) struct Tables {
    pub(crate) versions: Vec<(u64, TableVersion)>,
    /// Those that the state's archive lacks, by their hash.
    given: BTreeMap<String, Vec<u8>>,
    /// Rows are not those of the job's tables: that they name another version is no difference.
    pub(crate) others: bool,
}

impl Tables {
    /// As the job has had them.
    pub(crate) fn recorded(checkpoint: &Checkpoint) -> Tables {
        Tables {
            versions: checkpoint.timeline.versions.clone(),
            given: BTreeMap::new(),
            others: false,
        }
    }

    /// As the options say.
    ///
    /// # Errors
    /// If the version is unknown, or a file is no table.
    pub(super) fn wanted(
        options: &cli::Replay,
        base: &Base,
        checkpoint: &Checkpoint,
    ) -> Result<Tables, Failure> {
        let recorded = Tables::recorded(checkpoint);
        let all_slots = |version, given| Tables {
            versions: vec![(0, version)],
            given,
            others: true,
        };
        let known = || {
            let recorded = recorded.versions.iter().map(|(_, version)| version);
            recorded.chain(base.amended())
        };
        if let Some(number) = options.tables {
            let found = known().find(|version| version.number == number);
            let version = found.cloned().ok_or_else(|| {
                let numbers: Vec<String> = known().map(|v| v.number.to_string()).collect();
                let what = format!(
                    "--tables {number}: the job has never had that version; there are: {}",
                    numbers.join(", ")
                );
                Failure::new(Exit::Config, what)
            })?;
            return Ok(all_slots(version, BTreeMap::new()));
        }
        if !options.given.table.is_empty() {
            let archive = tables::load(&options.given)?.0.archive();
            let hash = table_hash(&archive);
            let number = known().map(|version| version.number).max().unwrap_or(0) + 1;
            let version = TableVersion {
                number,
                hash: hash.clone(),
            };
            return Ok(all_slots(version, BTreeMap::from([(hash, archive)])));
        }
        if options.queued {
            return Ok(recorded.with_amended(base));
        }
        if options.as_recorded {
            return Ok(recorded);
        }
        recorded.with_replaced(base)
    }

    /// As they were asked for, slot by slot.
    fn with_amended(self, base: &Base) -> Tables {
        let amended = |slot_secs| Some((slot_secs, base.amended_at(slot_secs)?.clone()));
        let slots = base.named().filter_map(amended).collect();
        self.with_slots(base.rows.window_secs, slots)
    }

    fn with_replaced(self, base: &Base) -> Result<Tables, Failure> {
        let mut slots = Vec::new();
        let replaced = base.replaced.range(base.slots.0..base.slots.1);
        for slot_secs in replaced.map(|(slot, _)| *slot) {
            let named = base.newest_replaced(slot_secs)?;
            let named = named.map(|replaced| replaced.table_version);
            let known = self.versions.iter().map(|(_, version)| version);
            let mut known = known.chain(base.amended());
            let other = named.and_then(|number| known.find(|version| version.number == number));
            let version = other.or(self.of(slot_secs));
            slots.extend(version.map(|version| (slot_secs, version.clone())));
        }
        Ok(self.with_slots(base.rows.window_secs, slots))
    }

    /// These slots have versions of their own.
    fn with_slots(self, window_secs: u64, slots: Vec<(u64, TableVersion)>) -> Tables {
        let mut by_slot: BTreeMap<u64, TableVersion> = self.versions.iter().cloned().collect();
        for (slot_secs, version) in slots {
            by_slot.insert(slot_secs, version);
            // The slot after it has its own again, unless it is one of these, too.
            let after = slot_secs + window_secs;
            by_slot.extend(self.of(after).map(|version| (after, version.clone())));
        }
        let mut versions: Vec<_> = by_slot.into_iter().collect();
        // One that holds on is loaded once.
        versions.dedup_by(|later, before| later.1 == before.1);
        Tables { versions, ..self }
    }

    fn of(&self, slot_secs: u64) -> Option<&TableVersion> {
        let mut holds = self.versions.iter().rev();
        let found = holds.find(|(from, _)| *from <= slot_secs);
        found.map(|(_, version)| version)
    }

    /// The number that rows of a slot name; 0: no tables.
    pub(crate) fn number(&self, slot_secs: u64) -> u32 {
        self.of(slot_secs).map_or(0, |version| version.number)
    }

    /// The archived tables of a version.
    ///
    /// # Errors
    /// If the state does not hold them.
    pub(super) fn archive(&self, base: &Base, version: &TableVersion) -> Result<Vec<u8>, Failure> {
        match self.given.get(&version.hash) {
            Some(bytes) => Ok(bytes.clone()),
            None => Ok(base.state.read_table(&version.hash)?),
        }
    }
}
