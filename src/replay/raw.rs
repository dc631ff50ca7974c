//! Raw flows in `verify` and `replay`: what the topic says of each flow of the slots beside what a store holds.
//!
//! Law: what was counted sums up to the slot's rows; a flow counts as its slot was counted, by the record, by its
//! replacement, or every one. Only flows below the store's raw cursors and the checkpoint that is compared at are looked
//! at and touched: the others are the follower's. Memory is constant for a slot and partition: both sides come down to
//! digests, and only slots whose digests differ are gone through flow by flow.

mod account;
mod merge;
mod plan;
mod replayed;
mod slot_flows;
mod told;
mod verified;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use flow_sinks::{RawDigest, RawLook, RawRange, SinkError};
use flow_state::Checkpoint;

use super::apply::patiently;
use super::base::{Base, Stored};
use crate::failure::{Exit, Failure};
use crate::progress::time;

use merge::Difference;
use plan::Plan;
pub(super) use replayed::Replayed;
use slot_flows::SlotFlows;
pub(super) use verified::verify;
use window::Window;

/// Both sides of a store's raw flows.
struct Raw<'a> {
    base: &'a Base,
    look: RawLook,
    flows: SlotFlows<'a>,
    /// Where the slots' flows stand, as far as the store has them.
    range: RawRange,
    stored: BTreeMap<(u64, u32), RawDigest>,
    /// Slots of which a flow that counts now stands beyond what the store has: it would be written as refused.
    behind: BTreeSet<u64>,
    /// Slots that are not compared: the store may have let go of their flows.
    forgotten: BTreeSet<u64>,
}

/// That every store has raw flows, before anything is computed.
///
/// # Errors
/// The first that has none.
pub(super) fn check(range: &crate::cli::Range, sinks: &[String]) -> Result<(), Failure> {
    if range.raw {
        for url in sinks {
            flow_sinks::raw_look(url)?;
        }
    }
    Ok(())
}

/// What ends a comparison before its end.
const ENDED: &str = "asked to end before all raw flows were compared";

fn go_on(asked: &AtomicBool) -> Result<(), Failure> {
    match asked.load(Ordering::Acquire) {
        true => Err(Failure::new(Exit::Io, ENDED)),
        false => Ok(()),
    }
}

impl<'a> Raw<'a> {
    /// Goes through topic and store once.
    ///
    /// # Errors
    /// If either cannot be read, or the topic does not hold what is needed.
    fn open(
        (url, stored): (&str, &Stored),
        base: &'a Base,
        checkpoint: &'a Checkpoint,
        plan: Plan<'a>,
        asked: &AtomicBool,
    ) -> Result<Raw<'a>, Failure> {
        let mut look = flow_sinks::raw_look(url)?;
        let window = Window::of(base, checkpoint, &mut look, (&plan, stored))?;
        let mut flows = SlotFlows::new(base, checkpoint, plan);
        let walked = flows.walk(&window, &mut look, asked)?;
        let range = RawRange {
            slots: base.slots,
            places: walked.places,
        };
        let mut found: BTreeMap<(u64, u32), RawDigest> = BTreeMap::new();
        let window_secs = base.rows.window_secs;
        // What an earlier replay has begun may still go on in the store.
        let read = patiently(|| {
            found.clear();
            look.rows((&range, false), &mut |flow, at| {
                let slot = flow.slot().unwrap_or(0);
                let slot = slot - slot % window_secs;
                found.entry((slot, at.partition)).or_default().add(&flow);
                match asked.load(Ordering::Relaxed) {
                    true => Err(SinkError::fatal(ENDED)),
                    false => Ok(()),
                }
            })?;
            Ok(0)
        });
        go_on(asked)?;
        read?;
        let line = look.retention_secs().and_then(|keep| {
            let watermark = u64::try_from(checkpoint.watermark_ns).ok()? / 1_000_000_000;
            watermark.checked_sub(keep)
        });
        let mut raw = Raw {
            base,
            look,
            flows,
            range,
            stored: found,
            behind: walked.behind,
            forgotten: BTreeSet::new(),
        };
        raw.forgotten = raw.slots();
        raw.forgotten
            .retain(|slot| line.is_some_and(|line| *slot < line));
        Ok(raw)
    }

    /// Slots of which either side has flows.
    fn slots(&self) -> BTreeSet<u64> {
        let computed = self.flows.accounts.keys();
        computed
            .chain(self.stored.keys())
            .map(|(slot, _)| *slot)
            .collect()
    }

    /// What is stored of a slot, and what should be.
    fn digests(&self, slot_secs: u64) -> (RawDigest, RawDigest) {
        let (mut stored, mut computed) = (RawDigest::default(), RawDigest::default());
        let of_slot = (slot_secs, 0)..=(slot_secs, u32::MAX);
        let found = self.stored.range(of_slot.clone());
        found.for_each(|(_, digest)| stored.join(digest));
        let accounts = self.flows.accounts.range(of_slot);
        accounts.for_each(|(_, account)| computed.join(&account.digest));
        (stored, computed)
    }

    /// Whether a slot's flows differ in any partition.
    fn differs(&self, slot_secs: u64) -> bool {
        if self.forgotten.contains(&slot_secs) {
            return false;
        }
        let of_slot = (slot_secs, 0)..=(slot_secs, u32::MAX);
        let stored = self
            .stored
            .range(of_slot.clone())
            .map(|(key, d)| (*key, *d));
        let accounts = self.flows.accounts.range(of_slot);
        let computed = accounts.map(|(key, account)| (*key, account.digest));
        !stored.eq(computed)
    }

    /// Hands over each flow of a slot that differs.
    ///
    /// # Errors
    /// The first of `take`; if topic or store cannot be read.
    fn each(
        &mut self,
        slot_secs: u64,
        take: &mut dyn FnMut(&Difference) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let range = self.of_slot(slot_secs);
        merge::merge(&mut self.look, &self.flows, (&range, slot_secs), take)
    }

    fn of_slot(&self, slot_secs: u64) -> RawRange {
        self.range.of_slot(slot_secs, self.base.rows.window_secs)
    }

    /// Says what could not be compared.
    fn tell(&self) {
        if let (Some(first), Some(last)) = (self.forgotten.first(), self.forgotten.last()) {
            tracing::warn!(
                sink = self.look.name(),
                slots = self.forgotten.len(),
                from = time(*first),
                to = time(*last),
                "raw flows not compared: raw_retention lets go of them"
            );
        }
    }
}
