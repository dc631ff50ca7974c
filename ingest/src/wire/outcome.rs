//! `Outcome`: what became of one datagram, in numbers.
//!
//! A decoder has no error to return: a datagram may be half good. What was left out is counted here by a
//! bounded set of reasons, which are also the labels of the metrics. How much there was of what is counted as well
//! (`Parts`).
//! Law: everything in a datagram is a flow, or counted here.

use flow_proto::FlowType;

use super::parts::Parts;

/// An export protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// sFlow version 5.
    Sflow5,
    /// NetFlow version 5.
    NetflowV5,
    /// NetFlow version 9 (RFC 3954).
    NetflowV9,
    /// IPFIX (RFC 7011).
    Ipfix,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Protocol; 4] = [
        Protocol::Sflow5,
        Protocol::NetflowV5,
        Protocol::NetflowV9,
        Protocol::Ipfix,
    ];

    /// Its name in labels and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Protocol::Sflow5 => "sflow",
            Protocol::NetflowV5 => "netflow-v5",
            Protocol::NetflowV9 => "netflow-v9",
            Protocol::Ipfix => "ipfix",
        }
    }

    /// The type of its flows.
    pub const fn flow_type(self) -> FlowType {
        match self {
            Protocol::Sflow5 => FlowType::Sflow5,
            Protocol::NetflowV5 => FlowType::NetflowV5,
            Protocol::NetflowV9 => FlowType::NetflowV9,
            Protocol::Ipfix => FlowType::Ipfix,
        }
    }
}

macro_rules! reasons {
    ($($name:ident $label:literal $doc:literal;)*) => {
        /// Why something in a datagram was not decoded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $(#[doc = $doc] $name,)* }

        impl Reason {
            /// All reasons, in the order of the counts in `Outcome::errors`.
            pub const ALL: [Reason; Reason::COUNT] = [$(Reason::$name,)*];

            /// How many reasons there are.
            pub const COUNT: usize = [$($label,)*].len();

            /// Its name in labels.
            pub const fn label(self) -> &'static str {
                match self { $(Reason::$name => $label,)* }
            }

            /// What it means, in one sentence.
            pub const fn explain(self) -> &'static str {
                match self { $(Reason::$name => $doc,)* }
            }
        }
    };
}

reasons! {
    UnknownProtocol "unknown_protocol" "Datagrams that are neither sFlow 5, NetFlow 5, NetFlow 9 nor IPFIX.";
    BadHeader "bad_header" "Datagrams that end inside their header or whose header makes no sense.";
    CountMismatch "count_mismatch" "Datagrams whose header announces more records or samples than they hold.";
    TrailingBytes "trailing_bytes" "Datagrams with bytes after what their header announces.";
    BadLength "bad_length" "IPFIX messages whose length is not that of the datagram.";
    BadSetLength "bad_set_length" "Sets that are shorter than their header or end past the datagram; the rest is lost.";
    ReservedSet "reserved_set" "Sets whose id is reserved (RFC 7011 3.3.2), skipped by their length.";
    BadTemplate "bad_template" "Templates that are cut, empty or have a reserved id.";
    TemplateLimit "template_limit" "Templates refused because there are too many or they have too many fields.";
    ExporterLimit "exporter_limit" "Datagrams that found no room for their exporter's or domain's state.";
    TruncatedRecord "truncated_record" "Data records with a field that runs past the end of their set.";
    RecordLimit "record_limit" "Data sets with more records than a datagram of that size can reasonably hold.";
    BadSample "bad_sample" "sFlow samples that are cut or shorter than their own fields.";
    BadSampleRecord "bad_sample_record" "Records in sFlow samples that are cut or shorter than their own fields.";
    BadPacket "bad_packet" "Sampled packets whose headers cannot be read as what they claim to be.";
}

/// What became of one datagram; `add` sums many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The protocol found; `None` if it is none of ours (or after adding unlike ones).
    pub protocol: Option<Protocol>,
    /// Flows appended.
    pub flows: u32,
    /// Of these, flows whose sampling rate neither they nor their exporter told; they carry rate 0.
    pub unknown_rate_flows: u32,
    /// Option records read.
    pub option_records: u32,
    /// sFlow counter samples skipped.
    pub counter_samples: u32,
    /// Other sFlow samples skipped: discarded packets, enterprise formats.
    pub other_samples: u32,
    /// Templates learned or confirmed, options templates included.
    pub templates: u32,
    /// Of these, templates that replaced one of another layout.
    pub templates_changed: u32,
    /// Templates withdrawn (RFC 7011 8.1).
    pub templates_withdrawn: u32,
    /// What a later process would miss that knows only what was saved before: templates that are new, changed or
    /// withdrawn, sampling rates and start times that are new or changed.
    pub news: u32,
    /// Data sets left undecoded because their template is not known (yet).
    pub waiting: u32,
    /// Data sets that had been kept for their template, and were decoded now.
    pub early_decoded: u32,
    /// Waiting data sets that were not kept, or no longer: no room, or too old.
    pub early_dropped: u32,
    /// Start or end times computed from the exporter's uptime that lay out of reason and were clamped.
    pub clamped_times: u32,
    /// What is missing before this datagram by its sequence number: flow records (NetFlow v5), data records
    /// (IPFIX), datagrams (NetFlow v9, sFlow).
    pub sequence_missing: u64,
    /// The same units, arrived late: they were counted as missing before.
    pub sequence_late: u64,
    /// Counts by `Reason`, in the order of `Reason::ALL`.
    pub errors: [u32; Reason::COUNT],
    /// What this datagram was made of; not summed by `add`.
    pub parts: Parts,
}

impl Outcome {
    /// How often `reason` came up.
    pub fn error(&self, reason: Reason) -> u32 {
        Reason::ALL
            .iter()
            .zip(self.errors)
            .find_map(|(r, n)| (*r == reason).then_some(n))
            .unwrap_or(0)
    }

    /// The reasons that came up, with their counts.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u32)> + '_ {
        Reason::ALL
            .into_iter()
            .zip(self.errors)
            .filter(|(_, count)| *count > 0)
    }

    /// Adds another datagram's.
    pub fn add(&mut self, other: &Outcome) {
        if self.protocol != other.protocol {
            self.protocol = None;
        }
        self.flows = self.flows.saturating_add(other.flows);
        self.unknown_rate_flows = self
            .unknown_rate_flows
            .saturating_add(other.unknown_rate_flows);
        self.option_records = self.option_records.saturating_add(other.option_records);
        self.counter_samples = self.counter_samples.saturating_add(other.counter_samples);
        self.other_samples = self.other_samples.saturating_add(other.other_samples);
        self.templates = self.templates.saturating_add(other.templates);
        self.templates_changed = self
            .templates_changed
            .saturating_add(other.templates_changed);
        self.templates_withdrawn = self
            .templates_withdrawn
            .saturating_add(other.templates_withdrawn);
        self.news = self.news.saturating_add(other.news);
        self.waiting = self.waiting.saturating_add(other.waiting);
        self.early_decoded = self.early_decoded.saturating_add(other.early_decoded);
        self.early_dropped = self.early_dropped.saturating_add(other.early_dropped);
        self.clamped_times = self.clamped_times.saturating_add(other.clamped_times);
        self.sequence_missing = self.sequence_missing.saturating_add(other.sequence_missing);
        self.sequence_late = self.sequence_late.saturating_add(other.sequence_late);
        for (sum, more) in self.errors.iter_mut().zip(other.errors) {
            *sum = sum.saturating_add(more);
        }
    }

    pub(crate) fn count(&mut self, reason: Reason) {
        for (r, n) in Reason::ALL.iter().zip(&mut self.errors) {
            if *r == reason {
                *n = n.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_apart() {
        let mut one = Outcome::default();
        one.count(Reason::BadSample);
        one.count(Reason::BadSample);
        one.count(Reason::BadPacket);
        let mut sum = Outcome::default();
        sum.add(&one);
        sum.add(&one);
        assert_eq!(sum.error(Reason::BadSample), 4);
        assert_eq!(
            sum.reasons().collect::<Vec<_>>(),
            [(Reason::BadSample, 4), (Reason::BadPacket, 2)]
        );
    }

    #[test]
    fn labels_differ() {
        let mut labels: Vec<_> = Reason::ALL.iter().map(|r| r.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Reason::COUNT);
    }
}
