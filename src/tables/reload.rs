//! Reload: the tables that a running job was given, loaded again on SIGHUP, over HTTP, or when their files have changed.
//!
//! On a thread of its own, in process 0 alone. Law 3: what is loaded, checked and archived is only asked for; the job swaps it
//! in, on all processes at one slot boundary, or says why not. A source that can't be read, or that is not plausible, leaves
//! everything as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use flow_dataflow::TableShelf;
use flow_state::{Checkpoint, Published, StateStore, TableVersion, table_hash};
use flow_tables::TableSet;

use super::ask::{Wanted, ask, in_force};
use super::metrics::{Metrics, Outcome};
use super::plausible;
use super::start::{last_given, merged};
use super::watch::Watch;
use crate::cli;
use crate::failure::Failure;

/// Between two looks at the signal, and at the files if they are watched.
const LOOK: Duration = Duration::from_millis(250);
/// Orders over HTTP that may wait.
const WAITING: usize = 4;

/// What a reload has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reloaded {
    /// They are what the job was given last; a version that came by another way may be in force.
    Unchanged { swapped: Option<u32> },
    /// Asked for, under this number.
    Asked(u64),
}

/// Loads the tables again, whether plausible or not; answers what has come of it.
pub(crate) struct Order {
    pub(crate) force: bool,
    pub(crate) answer: SyncSender<Result<Reloaded, String>>,
}

/// What it works with.
pub(crate) struct Parts {
    pub(crate) sources: cli::Tables,
    pub(crate) options: cli::Reload,
    pub(crate) state: StateStore,
    pub(crate) tables: TableShelf,
    pub(crate) metrics: Metrics,
    /// Raised by SIGHUP.
    pub(crate) hangup: Arc<AtomicBool>,
    /// Process 0 loads; the others say so.
    pub(crate) leads: bool,
}

/// The way to the thread, which ends when nobody has one any more: it holds nothing that must be whole.
pub(crate) struct Reloader {
    orders: SyncSender<Order>,
}

impl Reloader {
    /// Starts it.
    pub(crate) fn start(parts: Parts, published: Arc<Published>) -> Result<Reloader, Failure> {
        let (orders, incoming) = mpsc::sync_channel(WAITING);
        thread::Builder::new()
            .name("tables".to_owned())
            .spawn(move || Work::new(parts, published).run(&incoming))?;
        Ok(Reloader { orders })
    }

    /// The way for orders.
    pub(crate) fn orders(&self) -> SyncSender<Order> {
        self.orders.clone()
    }
}

/// What the thread does.
struct Work {
    parts: Parts,
    published: Arc<Published>,
    watch: Option<Watch>,
    /// The last request, and what it was for.
    asked: Option<(u64, String)>,
}

impl Work {
    fn new(parts: Parts, published: Arc<Published>) -> Work {
        let watch = parts.options.watch_tables.filter(|_| parts.leads);
        Work {
            watch: watch.map(|every| Watch::new(&parts.sources, every)),
            parts,
            published,
            asked: None,
        }
    }

    fn run(mut self, incoming: &Receiver<Order>) {
        loop {
            match incoming.recv_timeout(LOOK) {
                Ok(order) => {
                    let done = self.reload("http", order.force);
                    // Whoever has asked may have gone.
                    let _ = order
                        .answer
                        .try_send(done.map_err(|failure| failure.line()));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.parts.hangup.swap(false, Ordering::AcqRel) {
                let _ = self.reload("SIGHUP", false);
            }
            if self
                .watch
                .as_mut()
                .is_some_and(|watch| watch.has_changed(LOOK))
            {
                let _ = self.reload("file", false);
            }
        }
    }

    /// Told in the log and counted, whatever comes of it.
    fn reload(&mut self, by: &str, force: bool) -> Result<Reloaded, Failure> {
        if !self.parts.leads {
            tracing::info!("{by}: process 0 loads the tables for all");
            return Ok(Reloaded::Unchanged { swapped: None });
        }
        let done = self.load(by, force);
        match &done {
            Ok(Reloaded::Unchanged { swapped }) => {
                self.parts.metrics.count(Outcome::Unchanged);
                match swapped {
                    None => tracing::info!("{by}: the tables are as they were"),
                    Some(version) => tracing::info!(
                        version,
                        "{by}: the sources are as they were, and what was swapped in since stays in force; POST \
                         /api/tables/reload?force=1 puts the sources in force"
                    ),
                }
            }
            Ok(Reloaded::Asked(request)) => {
                self.parts.metrics.count(Outcome::Asked);
                tracing::info!(
                    request,
                    "{by}: the tables have changed; a swap is asked for"
                );
            }
            Err((outcome, refused)) => {
                self.parts.metrics.count(*outcome);
                tracing::error!("{by}: the tables in force stay: {}", refused.line());
            }
        }
        done.map_err(|(_, refused)| refused)
    }

    fn load(&mut self, by: &str, force: bool) -> Result<Reloaded, (Outcome, Failure)> {
        let unreadable = |failure: Failure| (Outcome::Unreadable, failure);
        let (files, report) = super::load(&self.parts.sources).map_err(unreadable)?;
        let archive = files.archive();
        let hash = table_hash(&archive);
        let newest = self.published.newest();
        let newest = newest.as_deref();
        let last = self.last(newest);
        let held = newest.and_then(in_force).map(|(_, version)| version);
        let held = held.filter(|version| version.hash != hash);
        if last == hash && !(force && held.is_some()) {
            let swapped = held.filter(|_| self.asked.is_none());
            let swapped = swapped.map(|version| version.number);
            return Ok(Reloaded::Unchanged { swapped });
        }
        let old = self.in_force(newest).map_err(unreadable)?;
        let set = match force {
            true => files,
            false => merged(&self.parts.state, &last, (&old, files)).map_err(unreadable)?,
        };
        let changes = plausible::changes(&old, &set);
        let judged = (&self.parts.options.plausible, force);
        plausible::admit(&changes, (&set, &report), judged)
            .map_err(|refused| (Outcome::Implausible, refused))?;
        let wanted = Wanted {
            set: &set,
            report: &report,
            base: None, // whatever comes into force before it
            given: Some((&hash, &archive)),
            by,
            from_secs: None,
        };
        let request = ask(&self.parts.state, newest, &wanted).map_err(unreadable)?;
        self.asked = Some((request, hash));
        Ok(Reloaded::Asked(request))
    }

    /// The newest tables; before the first checkpoint those that the job was started with.
    fn in_force(&self, newest: Option<&Checkpoint>) -> Result<Arc<TableSet>, Failure> {
        match newest.and_then(in_force) {
            Some((_, version)) => Ok(self.parts.tables.get(version)?),
            None => {
                let hash = self.parts.tables.given_hash().to_owned();
                Ok(self.parts.tables.get(&TableVersion { number: 1, hash })?)
            }
        }
    }

    /// Hash of what the job was given last, or is about to be.
    fn last(&self, newest: Option<&Checkpoint>) -> String {
        let refused = |request| {
            let outcome = newest.and_then(|newest| newest.swaps.outcome(request));
            outcome.is_some_and(|outcome| outcome.result.is_err())
        };
        match &self.asked {
            Some((request, hash)) if !refused(*request) => hash.clone(),
            _ => {
                let given = newest.map(|newest| last_given(newest).to_owned());
                given.unwrap_or_else(|| self.parts.tables.named_hash().to_owned())
            }
        }
    }
}
