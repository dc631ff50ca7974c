//! The shelf: the table sets of a process, each loaded once from the state's archive and shared by all that look up in it.
//!
//! Workers, raw readers and whoever prepares a swap ask here; parts that are equal in two sets are in memory once. Law 3: a hash leads to the bytes archived under it, whoever
//! asks. Law 8: a set that nobody has used for a while is let go, on the thread that tidies up and never on a worker's: to
//! free a large one takes milliseconds.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow_state::{StateStore, TableVersion, table_hash};
use flow_tables::TableSet;

use crate::failure::JobError;
use crate::texts;

/// Sets that may stand idle until the shelf is tidied: raw flows of late slots alternate between versions.
const MOST_IDLE: usize = 3;

/// A set on the shelf.
struct Held {
    hash: String,
    set: Arc<TableSet>,
    /// It was asked for since the shelf was tidied.
    used: bool,
}

/// Loaded sets, by the hash under which they are archived. A clone is the same shelf.
#[derive(Clone)]
pub struct TableShelf {
    state: StateStore,
    given_hash: Arc<str>,
    /// Of what the configuration names.
    named_hash: Arc<str>,
    sets: Arc<Mutex<Vec<Held>>>,
    /// The one that is to be swapped in next.
    prepared: Arc<Mutex<Option<Arc<TableSet>>>>,
}

impl fmt::Debug for TableShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableShelf").finish_non_exhaustive()
    }
}

impl TableShelf {
    /// Over a state's archive, with the tables that the job is given.
    pub fn new(state: StateStore, given: Arc<TableSet>) -> TableShelf {
        let hash = table_hash(&given.archive());
        TableShelf::with_hash(state, given, hash)
    }

    /// As `new`; `hash` is that of the tables' archive.
    pub fn with_hash(state: StateStore, given: Arc<TableSet>, hash: String) -> TableShelf {
        // Whoever has loaded them has refused texts that cannot be told apart.
        let _ = texts::learn(&given);
        let given_hash: Arc<str> = hash.as_str().into();
        let held = Held {
            hash,
            set: given,
            used: true,
        };
        TableShelf {
            state,
            named_hash: Arc::clone(&given_hash),
            given_hash,
            sets: Arc::new(Mutex::new(vec![held])),
            prepared: Arc::default(),
        }
    }

    /// The given tables come from these, of which a part may be older than what is in force.
    #[must_use]
    pub fn named(self, hash: &str) -> TableShelf {
        TableShelf {
            named_hash: hash.into(),
            ..self
        }
    }

    /// Hash of what the job's configuration names.
    pub fn named_hash(&self) -> &str {
        &self.named_hash
    }

    /// The tables that the job is given, until others have come into force and they are let go.
    pub(crate) fn given(&self) -> Option<Arc<TableSet>> {
        self.at_hand(&self.given_hash)
    }

    /// The name under which they are archived.
    pub fn given_hash(&self) -> &str {
        &self.given_hash
    }

    /// The set of a version: at hand, or loaded.
    ///
    /// # Errors
    /// `Tables` if the archive holds something else under its hash, `State` if it can't be read.
    pub fn get(&self, version: &TableVersion) -> Result<Arc<TableSet>, JobError> {
        if let Some(set) = self.at_hand(&version.hash) {
            return Ok(set);
        }
        // Without the lock, under which workers may be waiting: two may load one set, and the second is let go.
        let bytes = self.state.read_table(&version.hash)?;
        let others: Vec<_> = self.lock().iter().map(|it| Arc::clone(&it.set)).collect();
        let loaded = TableSet::from_archive_sharing(&bytes, &others);
        drop(others);
        let set = loaded.map_err(|error| JobError::Tables {
            version: version.number,
            what: error.to_string(),
        })?;
        texts::learn(&set).map_err(|clash| JobError::Tables {
            version: version.number,
            what: clash.to_string(),
        })?;
        let mut sets = self.lock();
        if let Some(held) = sets.iter().find(|held| held.hash == version.hash) {
            return Ok(Arc::clone(&held.set));
        }
        let set = Arc::new(set);
        sets.push(Held {
            hash: version.hash.clone(),
            set: Arc::clone(&set),
            used: true,
        });
        let idle = |held: &Held| Arc::strong_count(&held.set) == 1;
        let mut over = sets.iter().filter(|held| idle(held)).count();
        over = over.saturating_sub(MOST_IDLE);
        let mut oldest = |held: &mut Held| {
            let goes = over > 0 && idle(held);
            over -= usize::from(goes);
            goes
        };
        let gone: Vec<Held> = sets.extract_if(.., |held| oldest(held)).collect();
        drop(sets);
        drop(gone); // without the lock
        Ok(set)
    }

    /// As `get`, and keeps it at hand until another one is prepared.
    pub(crate) fn prepare(&self, version: &TableVersion) -> Result<(), JobError> {
        let set = self.get(version)?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let before = prepared.replace(set);
        drop(prepared);
        drop(before);
        Ok(())
    }

    /// The set of a hash if it is loaded.
    pub(crate) fn at_hand(&self, hash: &str) -> Option<Arc<TableSet>> {
        let mut sets = self.lock();
        let held = sets.iter_mut().find(|held| held.hash == hash)?;
        held.used = true;
        Some(Arc::clone(&held.set))
    }

    /// Lets go of sets that nobody holds, and nobody has asked for since it was last called.
    pub(crate) fn tidy(&self) {
        let mut sets = self.lock();
        let gone: Vec<Held> = sets
            .extract_if(.., |held| {
                let used = std::mem::take(&mut held.used);
                !used && Arc::strong_count(&held.set) == 1
            })
            .collect();
        drop(sets);
        drop(gone); // without the lock
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
