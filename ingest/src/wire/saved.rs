//! Templates and sampling rates as bytes, to outlive the process.
//!
//! Exporters send templates every few minutes, up to half an hour; a collector that starts anew without them is blind
//! for as long. Templates are kept as they were sent and are learned again by the code that reads datagrams, so that a
//! file can do no more than its exporter could.
//! Law: what was restored decodes as before; a file that is damaged in any place is refused whole; nothing older than
//! a day is restored, since its exporter may have been set up anew.
//!
//! Format, big endian: magic, version u32, length u64 and CRC-32 of what follows; then for each observation domain
//! with something to tell: exporter (16 bytes), protocol u8 (9 or 10), domain u32, last seen (ns) u64, started (ms) u64, rate u64;
//! counts u16 of samplers, interfaces and templates; samplers (u64, rate u64), interfaces (u32, rate u64), templates (0 or
//! 1 for options, length u32, the record as sent).

use flow_proto::{Addr, Flow};

use super::exporter::{Domain, DomainKey, Found};
use super::outcome::{Outcome, Protocol};
use super::reader::Reader;
use super::sets::Sets;
use super::times::Export;
use super::{Arrival, Decoder, Limits, sampling};

const MAGIC: &[u8; 8] = b"FLOWTMPL";
const VERSION: u32 = 1;
/// What is older is left out.
const OLDEST_NS: u64 = 24 * 3_600_000_000_000;

/// Why saved state was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// Another kind of file.
    #[error("not a file of templates")]
    Foreign,
    /// A later release wrote it.
    #[error("templates in format {0}, this release knows {VERSION}")]
    Version(u32),
    /// Cut, or changed.
    #[error("damaged")]
    Damaged,
}

/// What was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Observation domains.
    pub domains: u64,
    /// Templates.
    pub templates: u64,
}

/// The whole of what all parts tell.
pub(super) fn file(body: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(body.len() + 24);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&VERSION.to_be_bytes());
    let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(&crc32fast::hash(body).to_be_bytes());
    file.extend_from_slice(body);
    file
}

/// What follows the head, if it is whole.
pub(super) fn body(file: &[u8]) -> Result<&[u8], SavedError> {
    let mut reader = Reader::new(file);
    if reader.array() != Some(*MAGIC) {
        return Err(SavedError::Foreign);
    }
    match reader.u32() {
        Some(VERSION) => {}
        Some(version) => return Err(SavedError::Version(version)),
        None => return Err(SavedError::Damaged),
    }
    let length = reader.array().map(u64::from_be_bytes);
    let crc = reader.u32();
    let whole =
        length == u64::try_from(reader.len()).ok() && crc == Some(crc32fast::hash(reader.rest()));
    whole.then_some(reader.rest()).ok_or(SavedError::Damaged)
}

/// A saved observation domain.
pub(super) struct Saved<'f> {
    pub(super) source: Addr,
    key: DomainKey,
    protocol: Protocol,
    seen_ns: u64,
    started_ms: u64,
    rate: u64,
    samplers: Vec<(u64, u64)>,
    interfaces: Vec<(u32, u64)>,
    templates: Vec<(bool, &'f [u8])>,
}

/// Appends a domain that has something to tell. sFlow and NetFlow v5 tell everything in each datagram.
fn save(source: Addr, key: DomainKey, domain: &Domain, out: &mut Vec<u8>) {
    let (protocol, id) = match key {
        DomainKey::NetflowV9(id) => (9, id),
        DomainKey::Ipfix(id) => (10, id),
        DomainKey::NetflowV5(_) | DomainKey::Sflow(..) => return,
    };
    if domain.is_empty() {
        return;
    }
    let rates = &domain.rates;
    let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
    out.extend_from_slice(&source.0);
    out.push(protocol);
    out.extend_from_slice(&id.to_be_bytes());
    for number in [domain.last_seen_ns, domain.started_ms, rates.domain] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&count(rates.by_sampler.len()));
    out.extend_from_slice(&count(rates.by_interface.len()));
    out.extend_from_slice(&count(domain.templates.len()));
    for (sampler, rate) in &rates.by_sampler {
        out.extend_from_slice(&sampler.to_be_bytes());
        out.extend_from_slice(&rate.to_be_bytes());
    }
    for (interface, rate) in &rates.by_interface {
        out.extend_from_slice(&interface.to_be_bytes());
        out.extend_from_slice(&rate.to_be_bytes());
    }
    for template in domain.templates.values() {
        out.push(u8::from(template.options));
        let length = u32::try_from(template.sent.len()).unwrap_or(0);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&template.sent);
    }
}

impl<'f> Saved<'f> {
    /// Reads one; `None` if there is none.
    pub(super) fn read(reader: &mut Reader<'f>) -> Option<Saved<'f>> {
        let u64 = |reader: &mut Reader<'f>| reader.array().map(u64::from_be_bytes);
        let source = Addr(reader.array()?);
        let protocol = reader.u8()?;
        let id = reader.u32()?;
        let (protocol, key) = match protocol {
            9 => (Protocol::NetflowV9, DomainKey::NetflowV9(id)),
            10 => (Protocol::Ipfix, DomainKey::Ipfix(id)),
            _ => return None,
        };
        let (seen_ns, started_ms, rate) = (u64(reader)?, u64(reader)?, u64(reader)?);
        let (samplers, interfaces, templates) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let sampler = |_| Some((u64(reader)?, u64(reader)?));
        let samplers = (0..samplers).map(sampler).collect::<Option<_>>()?;
        let interface = |_| Some((reader.u32()?, u64(reader)?));
        let interfaces = (0..interfaces).map(interface).collect::<Option<_>>()?;
        let template = |_| {
            let options = reader.u8()? == 1;
            let length = reader.u32()?;
            Some((options, reader.take(super::reader::length(length))?))
        };
        let templates = (0..templates).map(template).collect::<Option<_>>()?;
        Some(Saved {
            source,
            key,
            protocol,
            seen_ns,
            started_ms,
            rate,
            samplers,
            interfaces,
            templates,
        })
    }
}

impl Decoder {
    /// Appends what would be missed after a restart.
    pub(super) fn save(&self, out: &mut Vec<u8>) {
        for (source, key, domain) in self.exporters.domains() {
            save(source, key, domain, out);
        }
    }

    /// Learns a saved domain anew, within the bounds.
    pub(super) fn restore(&mut self, saved: &Saved<'_>, now_ns: u64, restored: &mut Restored) {
        if saved.seen_ns.saturating_add(OLDEST_NS) < now_ns {
            return;
        }
        let arrival = Arrival {
            source: saved.source,
            // A clock that went back since makes nobody stay for ever.
            received_ns: saved.seen_ns.min(now_ns),
            datagram: &[],
        };
        let limits = self.exporters.limits;
        let Some(found) = self.exporters.find(&arrival, saved.key) else {
            return;
        };
        restored.domains += 1;
        restored.templates += learn(found, saved, limits);
        self.exporters.agree(saved.source);
    }
}

/// The templates taken.
fn learn(found: Found<'_>, saved: &Saved<'_>, limits: Limits) -> u64 {
    let Found {
        domain,
        exporter_rate,
        held,
        early_held,
    } = found;
    domain.started_ms = saved.started_ms;
    let rates = &mut domain.rates;
    let before = rates.entries();
    rates.domain = saved.rate;
    let room = limits.entries.saturating_sub(*held).min(sampling::MOST);
    rates
        .by_sampler
        .extend(saved.samplers.iter().copied().take(room));
    let room = room.saturating_sub(rates.by_sampler.len());
    rates
        .by_interface
        .extend(saved.interfaces.iter().copied().take(room));
    rates.agree();
    *held += rates.entries().saturating_sub(before);
    let mut outcome = Outcome::default();
    let mut sets = Sets {
        protocol: saved.protocol,
        export: Export::default(),
        base: Flow::default(),
        exporter_rate,
        limits,
        domain,
        held,
        early_held,
        out: &mut Vec::new(),
        outcome: &mut outcome,
        room: 0,
        records: 0,
        countable: false,
        rate_changed: false,
    };
    for (options, record) in &saved.templates {
        // The set's id matters for withdrawals only, of which none was saved.
        sets.template(0, &mut Reader::new(record), *options);
    }
    u64::from(outcome.templates)
}
