//! Two stores of rows in memory, with what happens to real ones: PostgreSQL's kind, in which rows, slots and cursors move
//! in one step, and ClickHouse's, in which they move one after the other and an insert may come late, or in part.
//!
//! Law 6, as `sinks` keeps it: a transaction goes on only if the stored cursors equal `delta.from`; without transactions
//! that is asked before, the cursor is written last, and the highest revision is what readers see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow_sinks::{Applied, Cursors, Delta, Sink, SinkError, SlotRow};

use crate::recorded::Recordings;
use crate::rows::{Contents, Place, Tables, Written};
use crate::world::World;

/// One store; clones are the same.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) name: &'static str,
    pub(crate) transactional: bool,
    pub(crate) world: World,
    inner: Arc<Mutex<Inner>>,
}

pub(crate) struct Inner {
    pub(crate) tables: Tables,
    job: Option<String>,
    cursors: BTreeMap<u16, u64>,
    down: bool,
    /// Inserts without an answer that are still under way.
    flying: Vec<Flying>,
}

/// An insert.
pub(crate) enum Flying {
    Rows(Vec<Written>),
    Slots(Vec<SlotRow>, u64),
}

impl Database {
    pub(crate) fn new(
        transactional: bool,
        world: World,
        known: (Contents, Recordings),
    ) -> Database {
        let name = if transactional {
            "sim-transactional"
        } else {
            "sim-revisions"
        };
        Database {
            name,
            transactional,
            inner: Arc::new(Mutex::new(Inner {
                tables: Tables::new((name, transactional), world.clone(), known),
                job: None,
                cursors: BTreeMap::new(),
                down: false,
                flying: Vec::new(),
            })),
            world,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It answers, or it does not.
    pub(crate) fn stand(&self, up: bool) {
        self.lock().down = !up;
    }

    pub(crate) fn is_down(&self) -> bool {
        self.lock().down
    }

    /// One insert that was under way arrives.
    pub(crate) fn land(&self) {
        let mut inner = self.lock();
        let count = inner.flying.len();
        if count == 0 {
            return;
        }
        let landed = inner
            .flying
            .remove(self.world.roll(|dice| dice.index(count)));
        inner.arrive(landed);
    }

    /// Everything that was under way arrives.
    pub(crate) fn land_all(&self) {
        while !self.lock().flying.is_empty() {
            self.land();
        }
    }

    /// Looks at the tables.
    pub(crate) fn look<T>(&self, with: impl FnOnce(&Tables) -> T) -> T {
        with(&self.lock().tables)
    }

    /// For a writer of this job.
    pub(crate) fn lock_for(&self, job: &str) -> Result<MutexGuard<'_, Inner>, SinkError> {
        let inner = self.lock();
        inner.same_job(job)?;
        Ok(inner)
    }

    pub(crate) fn lost(&self) -> SinkError {
        SinkError::retry(format!("{}: no answer", self.name))
    }

    fn transaction(&self, delta: &Delta<'_>, rows: &[Written]) -> Result<Applied, SinkError> {
        if self.world.fails(60) {
            return Err(self.lost()); // rolled back
        }
        let mut inner = self.lock();
        inner.same_job(delta.job)?;
        if !inner.stands(delta) {
            return Ok(Applied::CursorMoved);
        }
        inner.tables.write(rows);
        if delta.shards.contains(&0) {
            for slot in delta.slots {
                if let Some(row) = inner.tables.merged(slot) {
                    inner.tables.set_slot(row, delta.to);
                }
            }
            for row in inner.tables.retiring(delta.retired_through) {
                inner.tables.set_slot(row, delta.to);
            }
        }
        inner.tables.check_open(rows);
        inner.tables.check_replaced(places(rows));
        inner.advance(delta);
        drop(inner);
        if self.world.fails(60) {
            return Err(self.lost()); // the answer to COMMIT
        }
        Ok(Applied::Done {
            rows: rows.len() as u64,
        })
    }

    /// `Err`: there was no answer, and nobody knows what of the insert arrives, and when.
    pub(crate) fn insert(&self, what: Flying) -> Result<(), SinkError> {
        if !self.world.fails(60) {
            self.lock().arrive(what);
            return Ok(());
        }
        match self.world.roll(|dice| dice.roll(4)) {
            0 => {}
            1 => self.lock().arrive(what),
            2 => {
                let some = self.part_of(what);
                self.lock().arrive(some);
            }
            _ => self.lock().flying.push(what),
        }
        Err(self.lost())
    }

    fn part_of(&self, what: Flying) -> Flying {
        match what {
            Flying::Rows(mut rows) => {
                rows.retain(|_| self.world.roll(|dice| dice.chance(500)));
                Flying::Rows(rows)
            }
            slots @ Flying::Slots(..) => slots,
        }
    }

    fn one_after_the_other(
        &self,
        delta: &Delta<'_>,
        rows: Vec<Written>,
    ) -> Result<Applied, SinkError> {
        {
            let inner = self.lock();
            inner.same_job(delta.job)?;
            if !inner.stands(delta) {
                return Ok(Applied::CursorMoved);
            }
        }
        let count = rows.len() as u64;
        let mut by_rollup = rows.clone();
        let numbers: BTreeSet<u16> = rows.iter().map(|row| row.key.0).collect();
        for number in numbers {
            let of_it = by_rollup.extract_if(.., |row| row.key.0 == number);
            let of_it: Vec<Written> = of_it.collect();
            if !of_it.is_empty() {
                self.insert(Flying::Rows(of_it))?;
            }
        }
        let mut slots: Vec<SlotRow> = Vec::new();
        {
            let inner = self.lock();
            slots.extend(
                delta
                    .slots
                    .iter()
                    .filter_map(|row| inner.tables.merged(row)),
            );
            let known: Vec<_> = slots
                .iter()
                .map(|row| (row.rollup, row.slot_secs))
                .collect();
            let others = inner.tables.retiring(delta.retired_through).into_iter();
            slots.extend(others.filter(|row| !known.contains(&(row.rollup, row.slot_secs))));
        }
        if !slots.is_empty() {
            self.insert(Flying::Slots(slots, delta.to))?;
        }
        self.lock().tables.check_open(&rows);
        if self.world.fails(60) {
            return Err(self.lost()); // of the cursors
        }
        self.lock().advance(delta);
        if self.world.fails(60) {
            return Err(self.lost());
        }
        Ok(Applied::Done { rows: count })
    }
}

impl Inner {
    fn same_job(&self, ours: &str) -> Result<(), SinkError> {
        match &self.job {
            Some(job) if job != ours => Err(SinkError::refused(format!("written by job {job}"))),
            _ => Ok(()),
        }
    }

    fn stands(&self, delta: &Delta<'_>) -> bool {
        let of = |shard| self.cursors.get(shard).copied().unwrap_or(0);
        delta.shards.iter().all(|shard| of(shard) == delta.from)
    }

    fn advance(&mut self, delta: &Delta<'_>) {
        self.job = Some(delta.job.to_owned());
        for shard in delta.shards {
            let cursor = self.cursors.entry(*shard).or_default();
            *cursor = delta.to.max(*cursor);
        }
    }

    fn arrive(&mut self, what: Flying) {
        match what {
            Flying::Rows(rows) => self.tables.write(&rows),
            Flying::Slots(slots, by) => {
                for slot in slots {
                    self.tables.set_slot(slot, by);
                }
            }
        }
    }
}

/// The slots of these rows.
fn places(rows: &[Written]) -> BTreeSet<Place> {
    rows.iter().map(|row| (row.key.0, row.key.1)).collect()
}

impl Sink for Database {
    fn name(&self) -> &str {
        self.name
    }

    fn cursors(&mut self) -> Result<Cursors, SinkError> {
        if self.is_down() || self.world.fails(40) {
            return Err(self.lost());
        }
        let inner = self.lock();
        Ok(Cursors {
            job: inner.job.clone(),
            by_shard: inner.cursors.clone(),
        })
    }

    fn apply(&mut self, delta: &Delta<'_>) -> Result<Applied, SinkError> {
        if self.is_down() {
            return Err(self.lost());
        }
        self.world.offer(delta.to);
        let mut rows = Vec::new();
        delta.rows.for_each(&mut |row| {
            rows.push(Written::of(&row));
            Ok(())
        })?;
        self.world.say(|| {
            format!(
                "{} {}->{} {} rows, {} slots",
                self.name,
                delta.from,
                delta.to,
                rows.len(),
                delta.slots.len()
            )
        });
        if self.transactional {
            self.transaction(delta, &rows)
        } else {
            self.one_after_the_other(delta, rows)
        }
    }
}
