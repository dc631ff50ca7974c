//! The state of all exporters: templates, sampling rates, sequence numbers.
//!
//! Keyed by the address a datagram came from and its observation domain, so that no exporter can spoil
//! another's templates. Everybody can send us UDP: exporters, domains, templates and their fields are bounded.
//! Law: at a bound the new one is refused and counted; an exporter silent for an hour gives way. Time is the
//! receive time of the datagrams, never a clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_proto::Addr;

use super::outcome::Outcome;
use super::sampling::{Rates, agreement};
use super::sequence::Sequence;
use super::template::Template;
use super::{Arrival, Limits};

/// An exporter silent for this long may be forgotten when room is needed.
const IDLE_NS: u64 = 3_600_000_000_000;
/// How often room is looked for at most.
const SWEEP_EVERY_NS: u64 = 10_000_000_000;

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
    /// Accounts for a datagram's sequence number.
    pub(crate) fn sequence(
        &mut self,
        number: u32,
        units: Option<u32>,
        uptime_ms: Option<u32>,
        outcome: &mut Outcome,
    ) {
        let gap = self.sequence.step(number, units, uptime_ms);
        outcome.sequence_missing += u64::from(gap.missing);
        outcome.sequence_late += u64::from(gap.late);
    }

    fn template_fields(&self) -> usize {
        self.templates
            .values()
            .map(|template| template.weight())
            .sum()
    }
}

/// One exporter.
#[derive(Debug, Default)]
pub(crate) struct Exporter {
    last_seen_ns: u64,
    domains: BTreeMap<DomainKey, Domain>,
    /// The rate that all its domains agree on; 0: none.
    pub(crate) rate: u64,
}

impl Exporter {
    pub(crate) fn domain(&mut self, key: DomainKey, limits: &Limits) -> Option<&mut Domain> {
        if self.domains.len() >= limits.domains && !self.domains.contains_key(&key) {
            return None;
        }
        Some(self.domains.entry(key).or_default())
    }

    /// To be called when a domain's agreed rate has changed.
    pub(crate) fn agree(&mut self) {
        self.rate = agreement(self.domains.values().map(|domain| domain.rates.agreed()));
    }
}

/// All exporters.
#[derive(Debug)]
pub(crate) struct Exporters {
    pub(crate) limits: Limits,
    known: BTreeMap<Addr, Exporter>,
    /// Template fields held for all of them.
    pub(crate) template_fields: usize,
    swept_ns: u64,
}

impl Exporters {
    pub(crate) fn new(limits: Limits) -> Exporters {
        Exporters {
            limits,
            known: BTreeMap::new(),
            template_fields: 0,
            swept_ns: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// The sender of a datagram; `None` if there is no room for it.
    pub(crate) fn exporter(&mut self, arrival: &Arrival<'_>) -> Option<&mut Exporter> {
        self.make_room(arrival);
        if self.known.len() >= self.limits.exporters && !self.known.contains_key(&arrival.source) {
            return None;
        }
        let exporter = self.known.entry(arrival.source).or_default();
        exporter.last_seen_ns = exporter.last_seen_ns.max(arrival.received_ns);
        Some(exporter)
    }

    /// The observation domain of a datagram; `None` if there is no room for it.
    pub(crate) fn domain(&mut self, arrival: &Arrival<'_>, key: DomainKey) -> Option<&mut Domain> {
        let limits = self.limits;
        self.exporter(arrival)?.domain(key, &limits)
    }

    fn make_room(&mut self, arrival: &Arrival<'_>) {
        let now_ns = arrival.received_ns;
        if self.known.len() < self.limits.exporters
            || now_ns < self.swept_ns.saturating_add(SWEEP_EVERY_NS)
        {
            return;
        }
        self.swept_ns = now_ns;
        self.known
            .retain(|_, exporter| exporter.last_seen_ns.saturating_add(IDLE_NS) > now_ns);
        let domains = self
            .known
            .values()
            .flat_map(|exporter| exporter.domains.values());
        self.template_fields = domains.map(Domain::template_fields).sum();
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
        let mut exporters = Exporters::new(Limits {
            exporters: 2,
            domains: 1,
            ..Limits::default()
        });
        let start_ns = SWEEP_EVERY_NS;
        assert!(
            exporters
                .domain(&arrival(1, start_ns), DomainKey::Ipfix(1))
                .is_some()
        );
        assert!(
            exporters
                .domain(&arrival(1, start_ns), DomainKey::Ipfix(2))
                .is_none()
        );
        assert!(exporters.exporter(&arrival(2, start_ns)).is_some());
        assert!(exporters.exporter(&arrival(3, start_ns + 1)).is_none());
        let later_ns = start_ns + IDLE_NS + SWEEP_EVERY_NS;
        assert!(
            exporters
                .exporter(&arrival(2, later_ns - SWEEP_EVERY_NS))
                .is_some()
        );
        assert!(exporters.exporter(&arrival(3, later_ns)).is_some());
        assert_eq!(exporters.len(), 2);
    }
}
