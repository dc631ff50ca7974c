//! Two stores of raw flows in memory: one in which a block and its cursor move in one step, and one that recognises a
//! block by its token and moves the cursor after it.
//!
//! Law 6: a block that comes again has its token and its content again; so each flow is there once, whatever answer was
//! lost. What is there twice, or otherwise than the oracle says, is seen at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow_proto::{EnrichedFlow, Verdict};
use flow_sinks::{Adoption, Applied, Held, RawBlock, RawCursors, RawSink, SinkError};

use crate::world::World;

/// What a store keeps of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) verdict: Verdict,
    pub(crate) slot: u64,
    pub(crate) received_ns: u64,
    pub(crate) table_version: u32,
    pub(crate) by_as: [u32; 2],
}

/// By partition, offset and place in the record; more than one is one too many.
pub(crate) type Flows = BTreeMap<(u32, u64, u32), Vec<Kept>>;

/// One store; clones are the same.
#[derive(Clone)]
pub(crate) struct RawDatabase {
    name: &'static str,
    transactional: bool,
    world: World,
    inner: Arc<Mutex<Inner>>,
}

type Block = (String, Vec<((u32, u64, u32), Kept)>);

#[derive(Default)]
struct Inner {
    flows: Flows,
    tokens: BTreeSet<String>,
    job: Option<String>,
    cursors: BTreeMap<u32, u64>,
    down: bool,
    flying: Vec<Block>,
}

impl RawDatabase {
    pub(crate) fn new(transactional: bool, world: World) -> RawDatabase {
        RawDatabase {
            name: if transactional {
                "sim-raw-transactional"
            } else {
                "sim-raw-tokens"
            },
            transactional,
            world,
            inner: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It answers, or it does not.
    pub(crate) fn stand(&self, up: bool) {
        self.lock().down = !up;
    }

    pub(crate) fn is_down(&self) -> bool {
        self.lock().down
    }

    /// What was under way arrives.
    pub(crate) fn land_all(&self) {
        let mut inner = self.lock();
        for block in std::mem::take(&mut inner.flying) {
            inner.insert(block);
        }
    }

    /// Every flow it has.
    pub(crate) fn look<T>(&self, with: impl FnOnce(&Flows) -> T) -> T {
        with(&self.lock().flows)
    }

    fn lost(&self) -> SinkError {
        SinkError::retry(format!("{}: no answer", self.name))
    }

    fn transaction(&self, block: &RawBlock<'_>, rows: Block) -> Result<Applied, SinkError> {
        if self.world.fails(60) {
            return Err(self.lost()); // rolled back
        }
        let count = rows.1.len() as u64;
        {
            let mut inner = self.lock();
            if inner.cursors.get(&block.partition).copied() != block.from {
                return Ok(Applied::CursorMoved);
            }
            inner.store(rows.1);
            inner.advance(block);
        }
        if self.world.fails(60) {
            return Err(self.lost()); // the answer to COMMIT
        }
        Ok(Applied::Done { rows: count })
    }

    fn one_after_the_other(&self, block: &RawBlock<'_>, rows: Block) -> Result<Applied, SinkError> {
        if self.lock().cursors.get(&block.partition).copied() != block.from {
            return Ok(Applied::CursorMoved);
        }
        let count = rows.1.len() as u64;
        if !rows.1.is_empty() && self.world.fails(60) {
            match self.world.roll(|dice| dice.roll(3)) {
                0 => {}
                1 => self.lock().insert(rows),
                _ => self.lock().flying.push(rows),
            }
            return Err(self.lost());
        }
        self.lock().insert(rows);
        if self.world.fails(60) {
            return Err(self.lost()); // of the cursor
        }
        self.lock().advance(block);
        if self.world.fails(60) {
            return Err(self.lost());
        }
        Ok(Applied::Done { rows: count })
    }
}

impl Inner {
    fn store(&mut self, rows: Vec<((u32, u64, u32), Kept)>) {
        for (at, kept) in rows {
            self.flows.entry(at).or_default().push(kept);
        }
    }

    /// One insert is one block: all of it, or nothing if its token is known.
    fn insert(&mut self, (token, rows): Block) {
        if !rows.is_empty() && self.tokens.insert(token) {
            self.store(rows);
        }
    }

    fn advance(&mut self, block: &RawBlock<'_>) {
        self.job = Some(block.job.to_owned());
        let cursor = self.cursors.entry(block.partition).or_default();
        *cursor = block.to.max(*cursor);
    }
}

fn kept(flow: &EnrichedFlow) -> ((u32, u64, u32), Kept) {
    let at = (flow.at.partition, flow.at.offset, flow.at.index);
    let kept = Kept {
        verdict: flow.verdict,
        slot: flow.slot_secs,
        received_ns: flow.received_ns,
        table_version: flow.table_version,
        by_as: [flow.src_as, flow.dst_as],
    };
    (at, kept)
}

impl RawSink for RawDatabase {
    fn name(&self) -> &str {
        self.name
    }

    fn cursors(&mut self) -> Result<RawCursors, SinkError> {
        if self.is_down() || self.world.fails(40) {
            return Err(self.lost());
        }
        let inner = self.lock();
        Ok(RawCursors {
            job: inner.job.clone(),
            by_partition: inner.cursors.clone(),
        })
    }

    fn apply(&mut self, block: &RawBlock<'_>) -> Result<Applied, SinkError> {
        if self.is_down() {
            return Err(self.lost());
        }
        if let Some(job) = self.lock().job.clone().filter(|job| job != block.job) {
            return Err(SinkError::refused(format!("written by job {job}")));
        }
        self.world.offer(block.to);
        let mut rows = Vec::new();
        block.rows.for_each(&mut |flow| {
            rows.push(kept(flow));
            Ok(())
        })?;
        self.world.say(|| {
            format!(
                "{} partition {} to {}: {} flows of {}..{}",
                self.name,
                block.partition,
                block.to,
                rows.len(),
                block.first_offset,
                block.end_offset
            )
        });
        let rows = (block.token(), rows);
        if self.transactional {
            self.transaction(block, rows)
        } else {
            self.one_after_the_other(block, rows)
        }
    }

    // Nobody adopts a store here.
    fn held(&mut self) -> Result<Held, SinkError> {
        Ok(Held::default())
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        Err(SinkError::refused(format!(
            "not to be adopted by {}",
            adoption.job
        )))
    }
}
