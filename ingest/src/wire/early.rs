//! Data sets that came before their template.
//!
//! After a start, and after an exporter's restart, data comes for up to half an hour before its template does
//! (RFC 7011 8.4 leaves it to the collector). What fits is kept, each set with the times of its own message.
//! Law: bounded in bytes for a domain and for all, and in age; a set that waits is decoded or counted as dropped, once.

use std::collections::VecDeque;

use super::Limits;
use super::times::Export;

/// Most bytes of one observation domain.
const DOMAIN_BYTES: usize = 256 << 10;
/// What a set costs beside its bytes.
const OVERHEAD_BYTES: usize = 96;

/// A data set, and what its message said.
#[derive(Debug)]
pub(crate) struct EarlySet {
    pub(crate) id: u16,
    pub(crate) received_ns: u64,
    pub(crate) sequence: u32,
    pub(crate) export: Export,
    pub(crate) body: Box<[u8]>,
}

impl EarlySet {
    fn cost_bytes(&self) -> usize {
        self.body.len() + OVERHEAD_BYTES
    }

    /// Flows that it may hold.
    pub(crate) fn most_flows(&self) -> usize {
        self.body.len() / super::message::LEAST_FLOW_BYTES
    }
}

/// The sets of one observation domain that wait, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Early {
    sets: VecDeque<EarlySet>,
    bytes: usize,
}

impl Early {
    /// What is kept, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many sets.
    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }

    /// Keeps a set if there is room; how many sets were dropped, it or older ones. `held`: bytes of all domains.
    pub(crate) fn keep(&mut self, set: EarlySet, limits: &Limits, held: &mut usize) -> u32 {
        let expired = self.expire(set.received_ns, limits, held);
        let cost = set.cost_bytes();
        if self.bytes + cost > DOMAIN_BYTES || *held + cost > limits.early_bytes {
            return expired + 1;
        }
        self.bytes += cost;
        *held += cost;
        self.sets.push_back(set);
        expired
    }

    /// The sets that wait for template `id`; and how many have waited for too long.
    pub(crate) fn take(
        &mut self,
        id: u16,
        now_ns: u64,
        limits: &Limits,
        held: &mut usize,
    ) -> (Vec<EarlySet>, u32) {
        if self.sets.is_empty() {
            return (Vec::new(), 0);
        }
        let expired = self.expire(now_ns, limits, held);
        let all = std::mem::take(&mut self.sets);
        let mut taken = Vec::new();
        for set in all {
            if set.id == id {
                taken.push(set);
            } else {
                self.sets.push_back(set);
            }
        }
        let bytes: usize = taken.iter().map(EarlySet::cost_bytes).sum();
        self.release(bytes, held);
        (taken, expired)
    }

    /// Drops what has waited for too long; how many sets.
    pub(crate) fn expire(&mut self, now_ns: u64, limits: &Limits, held: &mut usize) -> u32 {
        let mut dropped = 0;
        while let Some(set) = self.sets.front() {
            if set.received_ns.saturating_add(limits.early_age_ns) >= now_ns {
                break;
            }
            let cost = set.cost_bytes();
            self.sets.pop_front();
            self.release(cost, held);
            dropped += 1;
        }
        dropped
    }

    fn release(&mut self, bytes: usize, held: &mut usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        *held = held.saturating_sub(bytes);
    }
}
