//! `Parts`: what one datagram was made of, for those who count sets and samples.
//!
//! GoFlow's metrics count what it walked through, not only what came of it; here is what they need.
//! Law: announced counts of a stranger are bounded by the bytes that could hold them.

use flow_proto::Addr;

/// A template record that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Its id.
    pub id: u16,
    /// Whether it describes options.
    pub options: bool,
}

/// Kinds of sets in NetFlow v9 and IPFIX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetKind {
    /// Templates.
    Template,
    /// Options templates.
    OptionsTemplate,
    /// Options data.
    OptionsData,
    /// Data.
    Data,
}

/// Kinds of sFlow samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleKind {
    /// Flow sample.
    Flow,
    /// Expanded flow sample.
    ExpandedFlow,
    /// Counter sample.
    Counter,
    /// Expanded counter sample.
    ExpandedCounter,
    /// Any other.
    Other,
}

/// How many there were of one kind, and of the records in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Sets or samples.
    pub units: u32,
    /// Records in them.
    pub records: u32,
}

impl Count {
    pub(crate) fn add(&mut self, records: u32) {
        self.units = self.units.saturating_add(1);
        self.records = self.records.saturating_add(records);
    }
}

/// What one datagram was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Observation domain (v9, IPFIX).
    pub domain_id: u32,
    /// Template records taken, in order.
    pub learned: Vec<Learned>,
    /// sFlow's agent address.
    pub agent: Addr,
    sets: [Count; 4],
    samples: [Count; 5],
}

impl SetKind {
    /// All kinds.
    pub const ALL: [SetKind; 4] = [
        SetKind::Template,
        SetKind::OptionsTemplate,
        SetKind::OptionsData,
        SetKind::Data,
    ];
}

impl SampleKind {
    /// All kinds.
    pub const ALL: [SampleKind; 5] = [
        SampleKind::Flow,
        SampleKind::ExpandedFlow,
        SampleKind::Counter,
        SampleKind::ExpandedCounter,
        SampleKind::Other,
    ];
}

impl Parts {
    /// The sets, by kind.
    pub fn sets(&self) -> impl Iterator<Item = (SetKind, Count)> + '_ {
        SetKind::ALL.into_iter().zip(self.sets)
    }

    /// The samples, by kind.
    pub fn samples(&self) -> impl Iterator<Item = (SampleKind, Count)> + '_ {
        SampleKind::ALL.into_iter().zip(self.samples)
    }

    pub(crate) fn set(&mut self, kind: SetKind, records: u32) {
        let counts = SetKind::ALL.iter().zip(&mut self.sets);
        counts
            .filter(|(of, _)| **of == kind)
            .for_each(|(_, count)| count.add(records));
    }

    pub(crate) fn sample(&mut self, kind: SampleKind, records: u32) {
        let counts = SampleKind::ALL.iter().zip(&mut self.samples);
        counts
            .filter(|(of, _)| **of == kind)
            .for_each(|(_, count)| count.add(records));
    }
}
