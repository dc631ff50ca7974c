//! A flow as the job has judged and enriched it: what raw tables and the enriched topic hold.
//!
//! Law 1: everything here is a pure function of the topic and the timeline, so that a flow written twice is
//! written alike. The coordinate names it for ever.

use crate::Flow;

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
    /// Version of the tables that enriched it; 0: none, as for flows too early.
    pub table_version: u32,
}

impl EnrichedFlow {
    /// The sampling rate to multiply by: an unknown one counts as 1.
    pub fn rate(&self) -> u64 {
        self.flow.sampling_rate.max(1)
    }
}
