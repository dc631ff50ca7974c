//! Sampling rates: what exporters say about them in records and options, and which word counts.
//!
//! A wrong rate scales every sum, an unknown one must not become 0. Precedence: the record itself (IE 34, 50),
//! then what options data said for its sampler or selector (48, 302), for its interface, for its observation
//! domain, for its exporter.
//! Law: a wider scope answers only if all that is known in it agrees; a guess is no rate.

use std::collections::BTreeMap;

use super::fields::SamplingField;
use super::reader::{saturated, unsigned};

/// What a record says about sampling.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sampling {
    interval: u64,
    random_interval: u64,
    packet_interval: u64,
    packet_space: u64,
    size: u64,
    population: u64,
    sampler: Option<u64>,
    interface: Option<u32>,
}

impl Sampling {
    pub(crate) fn set(&mut self, field: SamplingField, bytes: &[u8]) {
        let value = unsigned(bytes);
        match field {
            SamplingField::Interval => self.interval = either_endian(bytes),
            SamplingField::RandomInterval => self.random_interval = either_endian(bytes),
            SamplingField::PacketInterval => self.packet_interval = value,
            SamplingField::PacketSpace => self.packet_space = value,
            SamplingField::Size => self.size = value,
            SamplingField::Population => self.population = value,
            SamplingField::Sampler => self.sampler = Some(value),
            SamplingField::Interface => self.interface = Some(saturated(value)),
        }
    }

    /// Packets per sampled packet: (305 + 306) / 305, or 310 / 309, or 50, or 34 (RFC 5477 8.2); 0: not said.
    fn rate(&self) -> u64 {
        let period = self.packet_interval.saturating_add(self.packet_space);
        if let Some(rate) = period.checked_div(self.packet_interval) {
            return rate;
        }
        match self.population.checked_div(self.size) {
            Some(rate) if rate > 0 => rate,
            _ if self.random_interval > 0 => self.random_interval,
            _ => self.interval,
        }
    }
}

/// MikroTik sends IE 34 with its bytes reversed. A rate above 16 millions that is a small one backwards is
/// such a one.
fn either_endian(bytes: &[u8]) -> u64 {
    match <[u8; 4]>::try_from(bytes) {
        Ok(four) if four[0] != 0 && four[3] == 0 => u64::from(u32::from_le_bytes(four)),
        _ => unsigned(bytes),
    }
}

/// The rates that the options data of one observation domain told.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    pub(super) by_sampler: BTreeMap<u64, u64>,
    pub(super) by_interface: BTreeMap<u32, u64>,
    pub(super) domain: u64,
    agreed: u64,
    /// How often any of them was new or has changed.
    changes: u64,
}

/// Samplers and interfaces kept for each domain; those beyond count as their domain's.
pub(super) const MOST: usize = 256;

impl Rates {
    /// Takes an option record, new samplers and interfaces only if there is room for them; true if what
    /// the domain agrees on has changed.
    pub(crate) fn learn(&mut self, option: &Sampling, room: bool) -> bool {
        let rate = option.rate();
        if rate == 0 {
            return false;
        }
        let before = match (option.sampler, option.interface) {
            (Some(sampler), _) => insert(&mut self.by_sampler, sampler, rate, room),
            (None, Some(interface)) => insert(&mut self.by_interface, interface, rate, room),
            (None, None) => Some(std::mem::replace(&mut self.domain, rate)),
        };
        if before == Some(rate) {
            return false;
        }
        self.changes += 1;
        self.agree()
    }

    /// Finds anew what the domain agrees on; true if that has changed.
    pub(super) fn agree(&mut self) -> bool {
        let all = self
            .by_sampler
            .values()
            .chain(self.by_interface.values())
            .copied();
        let agreed = if self.domain > 0 {
            self.domain
        } else {
            agreement(all)
        };
        std::mem::replace(&mut self.agreed, agreed) != agreed
    }

    /// How often any of them was new or has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// What it costs to keep.
    pub(crate) fn entries(&self) -> usize {
        self.by_sampler.len() + self.by_interface.len()
    }

    /// The rate of the whole domain, if there is one; else 0.
    pub(crate) fn agreed(&self) -> u64 {
        self.agreed
    }

    /// The rate of a data record of interfaces `in_if` and `out_if`; 0: unknown.
    pub(crate) fn of(&self, record: &Sampling, in_if: u32, out_if: u32, exporter: u64) -> u64 {
        let own = record.rate();
        if own > 0 {
            return own;
        }
        if let Some(rate) = record
            .sampler
            .and_then(|sampler| self.by_sampler.get(&sampler))
        {
            return *rate;
        }
        if !self.by_interface.is_empty() {
            let ingress = self.by_interface.get(&in_if);
            if let Some(rate) = ingress.or_else(|| self.by_interface.get(&out_if)) {
                return *rate;
            }
        }
        if self.agreed > 0 {
            self.agreed
        } else {
            exporter
        }
    }
}

/// Inserts within bounds; the value before.
fn insert<K: Ord>(map: &mut BTreeMap<K, u64>, key: K, rate: u64, room: bool) -> Option<u64> {
    if (!room || map.len() >= MOST) && !map.contains_key(&key) {
        return Some(rate);
    }
    map.insert(key, rate)
}

/// The one rate that all say; 0 if they differ or say nothing. Zeros do not speak.
pub(crate) fn agreement(rates: impl Iterator<Item = u64>) -> u64 {
    let mut told = rates.filter(|rate| *rate > 0);
    let first = told.next().unwrap_or(0);
    if told.all(|rate| rate == first) {
        first
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SamplingField::{
        Interface, Interval, PacketInterval, PacketSpace, Population, RandomInterval, Sampler, Size,
    };

    fn said(fields: &[(SamplingField, u32)]) -> Sampling {
        let mut sampling = Sampling::default();
        for (field, value) in fields {
            sampling.set(*field, &value.to_be_bytes());
        }
        sampling
    }

    #[test]
    fn a_rate_has_five_spellings() {
        assert_eq!(said(&[(Interval, 64)]).rate(), 64);
        assert_eq!(said(&[(Interval, 64), (RandomInterval, 32)]).rate(), 32);
        assert_eq!(
            said(&[(PacketInterval, 1), (PacketSpace, 999)]).rate(),
            1000
        );
        assert_eq!(said(&[(Size, 2), (Population, 512)]).rate(), 256);
        assert_eq!(
            said(&[(PacketInterval, 0), (PacketSpace, 9), (Size, 0)]).rate(),
            0
        );
        // MikroTik: 100 backwards.
        assert_eq!(said(&[(Interval, 0x6400_0000)]).rate(), 100);
        let mut narrow = Sampling::default();
        narrow.set(Interval, &[0x10, 0x00]);
        assert_eq!(narrow.rate(), 4096);
    }

    #[test]
    fn the_narrower_scope_wins() {
        let mut rates = Rates::default();
        rates.learn(&said(&[(Sampler, 1), (Interval, 10)]), true);
        rates.learn(&said(&[(Interface, 7), (Interval, 20)]), true);
        rates.learn(&said(&[(Interval, 30)]), true);
        let none = Sampling::default();
        assert_eq!(rates.of(&said(&[(Sampler, 1), (Interval, 5)]), 7, 0, 40), 5);
        assert_eq!(rates.of(&said(&[(Sampler, 1)]), 7, 0, 40), 10);
        assert_eq!(rates.of(&said(&[(Sampler, 2)]), 0, 7, 40), 20);
        assert_eq!(rates.of(&none, 8, 9, 40), 30);
        assert_eq!(Rates::default().of(&none, 8, 9, 40), 40);
    }

    #[test]
    fn a_domain_answers_only_if_its_samplers_agree() {
        let mut rates = Rates::default();
        assert!(rates.learn(&said(&[(Sampler, 1), (Interval, 10)]), true));
        assert!(!rates.learn(&said(&[(Sampler, 2), (Interval, 10)]), true));
        assert_eq!(rates.of(&Sampling::default(), 0, 0, 0), 10);
        assert!(rates.learn(&said(&[(Sampler, 2), (Interval, 99)]), true));
        assert_eq!(rates.of(&Sampling::default(), 0, 0, 0), 0);
    }

    #[test]
    fn its_state_is_bounded() {
        let mut rates = Rates::default();
        for sampler in 0..10_000 {
            rates.learn(&said(&[(Sampler, sampler), (Interval, 10)]), true);
        }
        assert_eq!(rates.by_sampler.len(), MOST);
    }
}
