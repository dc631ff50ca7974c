//! The state of all exporters: templates, sampling rates, sequence numbers.
//!
//! Keyed by the address a datagram came from and its observation domain, so that no exporter can spoil
//! another's templates. Everybody can send us UDP: exporters, domains, templates and their fields are bounded.
//! Law: at a bound the new one is refused and counted; an exporter silent for an hour gives way. Time is the
//! receive time of the datagrams, never a clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_proto::Addr;

use super::outcome::{Outcome, Reason};
use super::sampling::{Rates, agreement};
use super::sequence::Sequence;
use super::template::Template;
use super::{Arrival, Limits};

/// An exporter silent for this long may be forgotten when room is needed.
const IDLE_NS: u64 = 3_600_000_000_000;
/// How often room is looked for at most.
const SWEEP_EVERY_NS: u64 = 10_000_000_000;
/// What a domain costs to keep, templates and rates aside, in entries.
const DOMAIN_ENTRIES: usize = 16;

/// An observation domain of an exporter; protocols do not share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DomainKey {
    /// Engine type and id.
    NetflowV5(u16),
    /// Source id.
    NetflowV9(u32),
    /// Observation domain id.
    Ipfix(u32),
    /// Agent address and sub-agent: one source may relay many agents.
    Sflow(Addr, u32),
}

/// What is known of one observation domain.
#[derive(Debug, Default)]
pub(crate) struct Domain {
    pub(crate) sequence: Sequence,
    pub(crate) templates: BTreeMap<u16, Arc<Template>>,
    pub(crate) rates: Rates,
    /// IE 160 from options data: when the exporter started, ms since 1970; 0: not told.
    pub(crate) started_ms: u64,
}

impl Domain {
    fn entries(&self) -> usize {
        let templates: usize = self
            .templates
            .values()
            .map(|template| template.entries())
            .sum();
        DOMAIN_ENTRIES + templates + self.rates.entries()
    }
}

/// One exporter.
#[derive(Debug, Default)]
struct Exporter {
    last_seen_ns: u64,
    domains: BTreeMap<DomainKey, Domain>,
    /// The rate that all its domains agree on; 0: none.
    rate: u64,
}

/// A datagram's observation domain, and what it shares with others.
pub(crate) struct Found<'e> {
    pub(crate) domain: &'e mut Domain,
    /// The rate that all domains of the exporter agree on; 0: none.
    pub(crate) exporter_rate: u64,
    /// Entries held for all exporters.
    pub(crate) held: &'e mut usize,
}

/// All exporters.
#[derive(Debug)]
pub(crate) struct Exporters {
    pub(crate) limits: Limits,
    known: BTreeMap<Addr, Exporter>,
    /// Entries held for all of them (`Limits::entries`).
    pub(crate) held: usize,
    swept_ns: u64,
}

impl Exporters {
    pub(crate) fn new(limits: Limits) -> Exporters {
        Exporters {
            limits,
            known: BTreeMap::new(),
            held: 0,
            swept_ns: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// The observation domain of a datagram; `None` if there is no room for it.
    pub(crate) fn find(&mut self, arrival: &Arrival<'_>, key: DomainKey) -> Option<Found<'_>> {
        let known = self.known.get(&arrival.source);
        if known.is_none_or(|exporter| !exporter.domains.contains_key(&key)) {
            self.make_room(arrival);
            let domains = self
                .known
                .get(&arrival.source)
                .map(|exporter| exporter.domains.len());
            let full = match domains {
                Some(domains) => domains >= self.limits.domains,
                None => self.known.len() >= self.limits.exporters,
            };
            if full || self.held + DOMAIN_ENTRIES > self.limits.entries {
                return None;
            }
            self.held += DOMAIN_ENTRIES;
        }
        let exporter = self.known.entry(arrival.source).or_default();
        exporter.last_seen_ns = exporter.last_seen_ns.max(arrival.received_ns);
        let exporter_rate = exporter.rate;
        let domain = exporter.domains.entry(key).or_default();
        Some(Found {
            domain,
            exporter_rate,
            held: &mut self.held,
        })
    }

    /// Accounts for a datagram's sequence number, if there is room for its domain.
    pub(crate) fn sequence(
        &mut self,
        (arrival, key): (&Arrival<'_>, DomainKey),
        number: u32,
        (units, uptime_ms): (Option<u32>, Option<u32>),
        outcome: &mut Outcome,
    ) {
        let Some(found) = self.find(arrival, key) else {
            return outcome.count(Reason::ExporterLimit);
        };
        let gap = found.domain.sequence.step(number, units, uptime_ms);
        outcome.sequence_missing += u64::from(gap.missing);
        outcome.sequence_late += u64::from(gap.late);
    }

    /// To be called when the agreed rate of one of its domains has changed.
    pub(crate) fn agree(&mut self, source: Addr) {
        if let Some(exporter) = self.known.get_mut(&source) {
            exporter.rate = agreement(exporter.domains.values().map(|d| d.rates.agreed()));
        }
    }

    fn make_room(&mut self, arrival: &Arrival<'_>) {
        let now_ns = arrival.received_ns;
        let full = self.known.len() >= self.limits.exporters
            || self.held + DOMAIN_ENTRIES > self.limits.entries;
        if !full || now_ns < self.swept_ns.saturating_add(SWEEP_EVERY_NS) {
            return;
        }
        self.swept_ns = now_ns;
        self.known
            .retain(|_, exporter| exporter.last_seen_ns.saturating_add(IDLE_NS) > now_ns);
        let domains = self
            .known
            .values()
            .flat_map(|exporter| exporter.domains.values());
        self.held = domains.map(Domain::entries).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(source: u8, received_ns: u64) -> Arrival<'static> {
        Arrival {
            source: Addr::v4([192, 0, 2, source]),
            received_ns,
            datagram: &[],
        }
    }

    #[test]
    fn a_full_house_refuses_until_somebody_has_been_silent_for_an_hour() {
        let limits = Limits {
            exporters: 2,
            domains: 1,
            ..Limits::default()
        };
        let mut exporters = Exporters::new(limits);
        let mut room = |source, domain, received_ns| {
            exporters
                .find(&arrival(source, received_ns), DomainKey::Ipfix(domain))
                .is_some()
        };
        let start_ns = SWEEP_EVERY_NS;
        assert!(room(1, 1, start_ns));
        assert!(!room(1, 2, start_ns));
        assert!(room(2, 1, start_ns));
        assert!(!room(3, 1, start_ns + 1));
        let later_ns = start_ns + IDLE_NS + SWEEP_EVERY_NS;
        assert!(room(2, 1, later_ns - SWEEP_EVERY_NS));
        assert!(room(3, 1, later_ns));
        assert!(room(2, 1, later_ns));
        assert_eq!(exporters.len(), 2);
        assert_eq!(exporters.held, 2 * DOMAIN_ENTRIES);
    }

    #[test]
    fn entries_are_bounded_for_all_together() {
        let limits = Limits {
            entries: 3 * DOMAIN_ENTRIES,
            ..Limits::default()
        };
        let mut exporters = Exporters::new(limits);
        let found = |source| {
            exporters
                .find(&arrival(source, 0), DomainKey::Ipfix(1))
                .is_some()
        };
        assert_eq!((0..9).map(found).filter(|found| *found).count(), 3);
    }
}
