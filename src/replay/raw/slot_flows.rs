//! The topic's side: the raw flows of the slots, judged and enriched again, in the order of the topic.
//!
//! Law 1: the same functions as the raw follower's, over the same records.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flow_dataflow::{Again, JobConfig, JobError, RawReader, RawSpan, TableShelf};
use flow_proto::{EnrichedFlow, Verdict};
use flow_sinks::{RawLook, RawPlace};
use flow_state::{Checkpoint, Position, Timeline};

use super::super::base::Base;
use super::account::Account;
use super::window::Window;
use super::{Plan, go_on};
use crate::failure::{Exit, Failure};

/// A stretch of a partition.
struct Stretch {
    partition: u32,
    from: Position,
    end: u64,
    end_clock_ns: i64,
}

/// Flows of slots, to be gone through as often as needed.
pub(super) struct SlotFlows<'a> {
    base: &'a Base,
    checkpoint: &'a Checkpoint,
    plan: Plan<'a>,
    timeline: Timeline,
    reader: RawReader,
    /// By slot and partition.
    pub(super) accounts: BTreeMap<(u64, u32), Account>,
}

/// What the first walk has met.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) places: Vec<RawPlace>,
    pub(super) behind: BTreeSet<u64>,
}

impl<'a> SlotFlows<'a> {
    pub(super) fn new(base: &'a Base, checkpoint: &'a Checkpoint, plan: Plan<'a>) -> Self {
        let config = JobConfig {
            rows: base.rows.clone(),
            ..JobConfig::default()
        };
        let topic = Arc::clone(&base.topic);
        let tables = TableShelf::new(plan.archive.clone(), Arc::default());
        SlotFlows {
            base,
            checkpoint,
            timeline: plan.timeline(checkpoint),
            reader: RawReader::new(topic, config, tables),
            plan,
            accounts: BTreeMap::new(),
        }
    }

    /// Takes account of every flow of the window.
    pub(super) fn walk(
        &mut self,
        window: &Window,
        look: &mut RawLook,
        asked: &AtomicBool,
    ) -> Result<Walked, Failure> {
        let mut walked = Walked::default();
        for (partition, from, end) in window.replay.spans() {
            let below = window.cut.get(&partition).copied().unwrap_or(0);
            let retained = self.base.topic.bounds(partition)?.earliest;
            // The job's own clock begins with its first record.
            let start = self.start(partition).max(from.offset).min(end);
            let before = (from, start);
            let after = (Position::beginning(start), end);
            let mut last = from.offset;
            for (from, end) in [before, after] {
                let stretch = Stretch {
                    partition,
                    from,
                    end,
                    end_clock_ns: window.replay.end_clock_ns,
                };
                last = last.max(self.account(&stretch, below, (look, &mut walked, asked))?);
            }
            if self.base.topic.bounds(partition)?.earliest > retained.max(from.offset) {
                let what = "retention has deleted records of these slots while they were read";
                return Err(Failure::new(Exit::Unavailable, what).hint("run it again"));
            }
            if below > 0 {
                walked.places.push(RawPlace {
                    partition,
                    first: from.offset.min(below),
                    end: last.min(below),
                    below,
                });
            }
        }
        Ok(walked)
    }

    fn account(
        &mut self,
        stretch: &Stretch,
        below: u64,
        (look, walked, asked): (&mut RawLook, &mut Walked, &AtomicBool),
    ) -> Result<u64, Failure> {
        let start = self.start(stretch.partition);
        let mut accounts = std::mem::take(&mut self.accounts);
        let is_every = self.plan.is_every();
        let read = self.read(stretch, self.base.slots, &mut |flow, clock_ns| {
            let offset = flow.at.offset;
            if offset < below {
                let key = (flow.slot_secs, flow.at.partition);
                let account = accounts.entry(key).or_default();
                account.add(&look.texts(flow), (offset, clock_ns), start);
            } else if is_every && flow.verdict == Verdict::Counts {
                walked.behind.insert(flow.slot_secs);
            }
            match asked.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        self.accounts = accounts;
        go_on(asked)?;
        Ok(read?)
    }

    /// Hands over the flows of a slot that the store should have, in the order of the topic, until it breaks.
    pub(super) fn of_slot(
        &self,
        slot_secs: u64,
        take: &mut dyn FnMut(&EnrichedFlow) -> ControlFlow<()>,
    ) -> Result<(), JobError> {
        let slots = (slot_secs, slot_secs + self.base.rows.window_secs);
        let of_slot = (slot_secs, 0)..=(slot_secs, u32::MAX);
        let mut broke = false;
        for ((_, partition), account) in self.accounts.range(of_slot) {
            for run in &account.runs {
                let stretch = Stretch {
                    partition: *partition,
                    from: run.from,
                    end: run.end,
                    end_clock_ns: i64::MAX,
                };
                self.read(&stretch, slots, &mut |flow, _| {
                    let goes_on = take(flow);
                    broke |= goes_on.is_break();
                    goes_on
                })?;
                if broke {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Where reading ended.
    fn read(
        &self,
        stretch: &Stretch,
        slots: (u64, u64),
        take: &mut dyn FnMut(&EnrichedFlow, i64) -> ControlFlow<()>,
    ) -> Result<u64, JobError> {
        if stretch.from.offset >= stretch.end {
            return Ok(stretch.from.offset);
        }
        let start = self.start(stretch.partition);
        let span = RawSpan {
            partition: stretch.partition,
            from: stretch.from,
            end_offset: stretch.end,
            timeline: &self.timeline,
            gaps: &self.checkpoint.gaps,
        };
        let again = Again {
            slots,
            end_clock_ns: stretch.end_clock_ns,
            counts: &|slot, at| self.plan.counts(slot, at),
        };
        let read =
            self.reader
                .read_again(
                    &span,
                    &again,
                    &mut |flow, clock_ns| match flow.at.offset < start
                        && !self.plan.begins_before_the_job(flow.slot_secs)
                    {
                        true => ControlFlow::Continue(()),
                        false => take(flow, clock_ns),
                    },
                )?;
        Ok(read.end_offset)
    }

    /// The first offset that the job has read.
    fn start(&self, partition: u32) -> u64 {
        let start = self.checkpoint.starts.get(&partition);
        start.copied().unwrap_or(0)
    }
}
