//! The state of all exporters: templates, sampling rates, sequence numbers.
//!
//! Keyed by the address a datagram came from and its observation domain, so that no exporter can spoil
//! another's templates. Everybody can send us UDP: exporters, domains, templates and their fields are bounded.
//! Law: at a bound the new one is refused and counted; an exporter silent for an hour gives way, and one of which
//! nothing was learned much sooner: a header alone takes nobody's place. So it is with the domains of one exporter,
//! where templates that no data follows keep their place for a minute only. Time is the receive time of the
//! datagrams, never a clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_proto::Addr;

use super::early::Early;
use super::outcome::{Outcome, Reason};
use super::sampling::{Rates, agreement};
use super::sequence::Sequence;
use super::template::Template;
use super::{Arrival, Limits};

/// An exporter silent for this long may be forgotten when room is needed.
const IDLE_NS: u64 = 3_600_000_000_000;
/// One of which nothing was learned (no template, no rate) may be forgotten after this long.
const EMPTY_IDLE_NS: u64 = 10_000_000_000;
/// A domain whose templates no data has followed keeps its place this long against a new one.
const UNUSED_NS: u64 = 60_000_000_000;
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
    first_seen_ns: u64,
    pub(crate) last_seen_ns: u64,
    /// When data of it was last decoded; 0: never.
    pub(crate) data_ns: u64,
    pub(crate) sequence: Sequence,
    pub(crate) templates: BTreeMap<u16, Arc<Template>>,
    pub(crate) rates: Rates,
    /// IE 160 from options data: when the exporter started, ms since 1970; 0: not told.
    pub(crate) started_ms: u64,
    /// Data sets that wait for their template.
    pub(crate) early: Early,
}

impl Domain {
    /// Nothing was learned of it that a later datagram would miss, but where its sequence stands.
    pub(super) fn is_empty(&self) -> bool {
        self.templates.is_empty() && self.rates.entries() == 0 && self.started_ms == 0
    }

    fn entries(&self) -> usize {
        let templates: usize = self
            .templates
            .values()
            .map(|template| template.entries())
            .sum();
        DOMAIN_ENTRIES + templates + self.rates.entries()
    }

    /// Until when it keeps its place against a new domain of its exporter.
    fn stays_until_ns(&self) -> u64 {
        if self.is_empty() {
            0
        } else if self.data_ns > 0 {
            self.data_ns.saturating_add(IDLE_NS)
        } else {
            self.first_seen_ns.saturating_add(UNUSED_NS)
        }
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

impl Exporter {
    /// When it may be forgotten, should room be needed.
    fn stays_until_ns(&self) -> u64 {
        let empty = self.domains.values().all(Domain::is_empty);
        self.last_seen_ns
            .saturating_add(if empty { EMPTY_IDLE_NS } else { IDLE_NS })
    }

    /// Takes out the domain that is least worth its place: an empty one, else one without data, else one whose data
    /// is an hour old. `None`: all are worth it.
    fn give_way(&mut self, now_ns: u64) -> Option<Domain> {
        let (key, domain) = self
            .domains
            .iter()
            .min_by_key(|(_, domain)| (domain.stays_until_ns(), domain.last_seen_ns))?;
        let (key, stays) = (*key, domain.stays_until_ns() > now_ns);
        if stays {
            return None;
        }
        self.domains.remove(&key)
    }
}

/// A datagram's observation domain, and what it shares with others.
pub(crate) struct Found<'e> {
    pub(crate) domain: &'e mut Domain,
    /// The rate that all domains of the exporter agree on; 0: none.
    pub(crate) exporter_rate: u64,
    /// Entries held for all exporters.
    pub(crate) held: &'e mut usize,
    /// Bytes of data sets kept for all exporters until their template comes.
    pub(crate) early_held: &'e mut usize,
}

/// All exporters.
#[derive(Debug)]
pub(crate) struct Exporters {
    pub(crate) limits: Limits,
    known: BTreeMap<Addr, Exporter>,
    /// Entries held for all of them (`Limits::entries`).
    pub(crate) held: usize,
    /// Bytes of data sets kept until their template comes (`Limits::early_bytes`).
    pub(crate) early_held: usize,
    /// Such sets that went with their domain, since they were last asked for.
    pub(crate) early_dropped: u32,
    swept_ns: u64,
}

impl Exporters {
    pub(crate) fn new(limits: Limits) -> Exporters {
        Exporters {
            limits,
            known: BTreeMap::new(),
            held: 0,
            early_held: 0,
            early_dropped: 0,
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
            let full = match self.known.get_mut(&arrival.source) {
                Some(exporter) if exporter.domains.len() >= self.limits.domains => {
                    let gone = exporter.give_way(arrival.received_ns);
                    if let Some(domain) = &gone {
                        self.held = self.held.saturating_sub(domain.entries());
                        self.early_held = self.early_held.saturating_sub(domain.early.bytes());
                        self.early_dropped += sets_of(domain);
                    }
                    gone.is_none()
                }
                Some(_) => false,
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
        let domain = exporter.domains.entry(key).or_insert_with(|| Domain {
            first_seen_ns: arrival.received_ns,
            ..Domain::default()
        });
        domain.last_seen_ns = domain.last_seen_ns.max(arrival.received_ns);
        Some(Found {
            domain,
            exporter_rate,
            held: &mut self.held,
            early_held: &mut self.early_held,
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
            || self.held + DOMAIN_ENTRIES > self.limits.entries
            || self.early_held > self.limits.early_bytes / 2;
        if !full || now_ns < self.swept_ns.saturating_add(SWEEP_EVERY_NS) {
            return;
        }
        self.swept_ns = now_ns;
        let dropped = &mut self.early_dropped;
        self.known.retain(|_, exporter| {
            let stays = exporter.stays_until_ns() > now_ns;
            if !stays {
                *dropped += exporter.domains.values().map(sets_of).sum::<u32>();
            }
            stays
        });
        for domain in self.known.values_mut().flat_map(|e| e.domains.values_mut()) {
            // What is held is counted anew below.
            *dropped += domain.early.expire(now_ns, &self.limits, &mut 0);
        }
        let domains = || self.known.values().flat_map(|e| e.domains.values());
        self.held = domains().map(Domain::entries).sum();
        self.early_held = domains().map(|domain| domain.early.bytes()).sum();
    }

    /// Every domain with its exporter, in their order.
    pub(crate) fn domains(&self) -> impl Iterator<Item = (Addr, DomainKey, &Domain)> {
        self.known.iter().flat_map(|(source, exporter)| {
            let domains = exporter.domains.iter();
            domains.map(|(key, domain)| (*source, *key, domain))
        })
    }
}

/// Its data sets that wait.
fn sets_of(domain: &Domain) -> u32 {
    u32::try_from(domain.early.len()).unwrap_or(u32::MAX)
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

    /// Comes to `exporters`, and teaches the domain something if `learns`.
    fn comes(exporters: &mut Exporters, arrival: &Arrival<'_>, domain: u32, learns: bool) -> bool {
        let Some(found) = exporters.find(arrival, DomainKey::Ipfix(domain)) else {
            return false;
        };
        if learns {
            found.domain.started_ms = 1;
        }
        true
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
            comes(&mut exporters, &arrival(source, received_ns), domain, true)
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
    fn headers_alone_take_nobodys_place() {
        let limits = Limits {
            exporters: 2,
            domains: 2,
            ..Limits::default()
        };
        let mut exporters = Exporters::new(limits);
        assert!(comes(&mut exporters, &arrival(1, 1), 7, true));
        for domain in 100..200 {
            assert!(comes(
                &mut exporters,
                &arrival(1, u64::from(domain)),
                domain,
                false
            ));
        }
        assert!(
            comes(&mut exporters, &arrival(1, 300), 8, true),
            "a real one finds room"
        );
        assert!(
            !comes(&mut exporters, &arrival(1, 301), 9, false),
            "both are real now"
        );
        assert!(comes(&mut exporters, &arrival(2, 302), 1, false));
        assert!(
            !comes(&mut exporters, &arrival(3, 303), 1, true),
            "a full house"
        );
        let later_ns = SWEEP_EVERY_NS + EMPTY_IDLE_NS;
        assert!(
            comes(&mut exporters, &arrival(3, later_ns), 1, true),
            "the empty one gave way"
        );
        assert_eq!(exporters.held, 3 * DOMAIN_ENTRIES);
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

    #[test]
    fn templates_without_data_give_way_after_a_minute_and_data_never() {
        let limits = Limits {
            domains: 4,
            ..Limits::default()
        };
        let mut exporters = Exporters::new(limits);
        let comes_at = |exporters: &mut Exporters, domain, at_ns| {
            comes(exporters, &arrival(1, at_ns), domain, true)
        };
        assert!(comes_at(&mut exporters, 7, 0));
        let found = exporters.find(&arrival(1, 1), DomainKey::Ipfix(7));
        found.expect("known").domain.data_ns = 1;
        // A spoofer's domains, each with a template and no data, sent again and again.
        for at_ns in 0..90 {
            for domain in 100..103 {
                assert!(comes_at(&mut exporters, domain, at_ns * 1_000_000_000));
            }
            let real = comes_at(&mut exporters, 8, at_ns * 1_000_000_000);
            assert_eq!(real, at_ns >= 60, "after {at_ns} s");
            if real {
                break;
            }
        }
        let key = DomainKey::Ipfix(7);
        assert!(exporters.domains().any(|(_, known, _)| known == key));
        assert_eq!(exporters.held, 4 * DOMAIN_ENTRIES);
    }
}
