//! A flow as the job has judged and enriched it: what raw tables and the enriched topic hold.
//!
//! Law 1: everything here is a pure function of the topic and the timeline, so that a flow written twice is
//! written alike. The coordinate names it for ever.

use crate::Flow;
use crate::text::TextWords;

/// What became of a flow (law 2), in the order of the tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It counts.
    #[default]
    Counts,
    /// Its counters can't be true.
    Implausible,
    /// Its slot starts after clock + earliness.
    TooEarly,
    /// Its slot is over.
    TooLate,
}

impl Verdict {
    /// Why it was refused; empty if it counts.
    pub const fn refused(self) -> &'static str {
        match self {
            Verdict::Counts => "",
            Verdict::Implausible => "implausible",
            Verdict::TooEarly => "too_early",
            Verdict::TooLate => "too_late",
        }
    }
}

/// Where a flow stands in the topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coordinate {
    /// The partition.
    pub partition: u32,
    /// The record's offset.
    pub offset: u64,
    /// The flow's place in the record, from 0 on; unreadable messages have theirs, too.
    pub index: u32,
}

/// A flow, judged and enriched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnrichedFlow {
    /// As the exporter sent it. Its sampling rate is 0 if unknown, also where the message says that 1 was assumed.
    pub flow: Flow,
    /// Where it stands.
    pub at: Coordinate,
    /// Trusted receive time: ns since 1970, UTC.
    pub received_ns: u64,
    /// Start of its slot: seconds since 1970, UTC.
    pub slot_secs: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// The table's AS of the source, else the flow's own, else 0.
    pub src_as: u32,
    /// The table's AS of the destination, else the flow's own, else 0.
    pub dst_as: u32,
    /// Country of the source as `country_number`; 0: none.
    pub src_country: u32,
    /// Country of the destination as `country_number`; 0: none.
    pub dst_country: u32,
    /// Customer of the source as `text_words`; zeros: none.
    pub src_customer: TextWords,
    /// Customer of the destination as `text_words`; zeros: none.
    pub dst_customer: TextWords,
    /// Name of the exporter as `text_words`; zeros: none.
    pub exporter_name: TextWords,
    /// Name of the input interface as `text_words`; zeros: none.
    pub in_if_name: TextWords,
    /// Name of the output interface as `text_words`; zeros: none.
    pub out_if_name: TextWords,
    /// Version of the tables that enriched it; 0: none, as for flows too early.
    pub table_version: u32,
}

impl EnrichedFlow {
    /// Its texts, each in its column and field of the same name.
    pub const fn texts(&self) -> [TextWords; 5] {
        [
            self.src_customer,
            self.dst_customer,
            self.exporter_name,
            self.in_if_name,
            self.out_if_name,
        ]
    }

    /// None of its texts is known.
    pub fn forget_texts(&mut self) {
        (self.src_customer, self.dst_customer) = ([0; 2], [0; 2]);
        self.exporter_name = [0; 2];
        (self.in_if_name, self.out_if_name) = ([0; 2], [0; 2]);
    }

    /// The sampling rate to multiply by: an unknown one counts as 1.
    pub fn rate(&self) -> u64 {
        self.flow.sampling_rate.max(1)
    }
}
