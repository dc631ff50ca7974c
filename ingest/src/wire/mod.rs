//! Pure decoders: a datagram and the state of its exporter in, flows out.
//!
//! No socket, no clock, no randomness: the collector, the `decode` command, tests and fuzzers all call the
//! same function with their own bytes and times. Rules that differ from goflow2's are stated where they are kept.
//! Law: decoding never fails as a whole and never panics; what could not be decoded is counted by reason, the
//! rest of the datagram is kept, and nothing is allocated beyond a small multiple of the datagram's length.

#![deny(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions
)]

mod early;
mod exporter;
mod fields;
mod ipfix;
mod message;
mod netflow_v5;
mod netflow_v9;
mod outcome;
mod packet;
mod parts;
mod reader;
mod record;
mod sampling;
mod saved;
mod sequence;
mod sets;
mod sflow;
mod sflow_records;
mod shared;
mod template;
mod times;
mod transport;

use flow_proto::{Addr, Flow};

pub use outcome::{Outcome, Protocol, Reason};
pub use parts::{Count, Learned, Parts, SampleKind, SetKind};
pub use saved::{Restored, SavedError};
pub use shared::SharedDecoder;

use exporter::Exporters;

const ETYPE_IPV4: u32 = 0x0800;
const ETYPE_IPV6: u32 = 0x86dd;

/// Bounds of a decoder's state. What exceeds one is refused and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Exporters, by the address their datagrams come from.
    pub exporters: usize,
    /// Observation domains of one exporter.
    pub domains: usize,
    /// Templates of one observation domain.
    pub templates: usize,
    /// Fields of one template.
    pub fields: usize,
    /// Everything kept for all exporters together: fields of templates, sampling rates, 16 for each
    /// domain. An entry takes some tens of bytes.
    pub entries: usize,
    /// Bytes of data sets, of all exporters together, that are kept until their template comes; 0: none is kept.
    pub early_bytes: usize,
    /// How long such a set is kept, nanoseconds.
    pub early_age_ns: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            exporters: 16_384,
            domains: 256,
            templates: 1_024,
            fields: 1_024,
            entries: 1 << 20,
            early_bytes: 0,
            early_age_ns: 300_000_000_000,
        }
    }
}

/// Decodes the datagrams of any number of exporters.
#[derive(Debug)]
pub struct Decoder {
    exporters: Exporters,
    news: u64,
}

/// A datagram and where and when it arrived.
struct Arrival<'a> {
    source: Addr,
    received_ns: u64,
    datagram: &'a [u8],
}

impl Arrival<'_> {
    fn flow(&self, protocol: Protocol) -> Flow {
        Flow {
            type_: protocol.flow_type(),
            time_received_ns: self.received_ns,
            ..Flow::default()
        }
    }
}

impl Decoder {
    /// A decoder that knows no exporter yet.
    pub fn new(limits: Limits) -> Decoder {
        Decoder {
            exporters: Exporters::new(limits),
            news: 0,
        }
    }

    /// Decodes one datagram that `source` sent and that was taken from the socket at `received_ns` (ns since
    /// 1970, UTC), and appends its flows to `out`.
    ///
    /// Flows whose sampling rate is not known carry rate 0; see [`assume_rate`].
    pub fn decode(
        &mut self,
        source: Addr,
        received_ns: u64,
        datagram: &[u8],
        out: &mut Vec<Flow>,
    ) -> Outcome {
        let before = out.len();
        let mut outcome = Outcome {
            protocol: detect(datagram),
            ..Outcome::default()
        };
        let arrival = Arrival {
            source,
            received_ns,
            datagram,
        };
        match outcome.protocol {
            Some(Protocol::Sflow5) => sflow::decode(self, &arrival, out, &mut outcome),
            Some(Protocol::NetflowV5) => netflow_v5::decode(self, &arrival, out, &mut outcome),
            Some(Protocol::NetflowV9) => netflow_v9::decode(self, &arrival, out, &mut outcome),
            Some(Protocol::Ipfix) => ipfix::decode(self, &arrival, out, &mut outcome),
            None => outcome.count(Reason::UnknownProtocol),
        }
        let flows = out.get(before..).unwrap_or(&[]);
        let unknown = flows.iter().filter(|flow| flow.sampling_rate == 0).count();
        outcome.flows = u32::try_from(flows.len()).unwrap_or(u32::MAX);
        outcome.unknown_rate_flows = u32::try_from(unknown).unwrap_or(u32::MAX);
        outcome.early_dropped += std::mem::take(&mut self.exporters.early_dropped);
        self.news += u64::from(outcome.news);
        outcome
    }

    /// Grows with what is learned that was not known before: when it has not, what `save` gives would tell nothing new.
    pub fn news(&self) -> u64 {
        self.news
    }

    /// Exporters known, by address.
    pub fn exporters(&self) -> usize {
        self.exporters.len()
    }

    /// What is kept for all exporters together: what `Limits::entries` bounds.
    pub fn entries(&self) -> usize {
        self.exporters.held
    }

    /// Bytes of the data sets that wait for their template: what `Limits::early_bytes` bounds.
    pub fn early_bytes(&self) -> usize {
        self.exporters.early_held
    }
}

/// The protocol of a datagram by its content, whatever port it came to: sFlow begins with a 32-bit 5, the
/// others with their version in 16 bits.
pub fn detect(datagram: &[u8]) -> Option<Protocol> {
    match *datagram {
        [0, 0, 0, 5, ..] => Some(Protocol::Sflow5),
        [0, 5, ..] => Some(Protocol::NetflowV5),
        [0, 9, ..] => Some(Protocol::NetflowV9),
        [0, 10, ..] => Some(Protocol::Ipfix),
        _ => None,
    }
}

/// Writes an unknown sampling rate as 1 and marks it as assumed, so that sums count the flow once and tell
/// that they did. The collector calls it on what it puts into the topic; `decode` shows flows as sent.
pub fn assume_rate(flow: &mut Flow) {
    if flow.sampling_rate == 0 {
        flow.sampling_rate = 1;
        flow.sampling_rate_assumed = true;
    }
}
