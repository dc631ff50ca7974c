//! Packs enriched flows into records of a topic.
//!
//! Law: each record names in a header the flows of the source topic that it holds, from the first to the last, so that a
//! reader who meets a flow twice can tell.

use flow_proto::{Coordinate, Dialect, EnrichedFlow, PACK_HEADER};

/// Names the flows of a record: `partition/offset.index-offset.index`, both ends included.
pub(super) const SOURCE_HEADER: &str = "flow-pipeline-source";
/// A pack is closed at this size.
const PACK_BYTES: usize = 16 << 10;

/// How flows stand in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Many to a record, each with its length in front, with our header.
    Packed,
    /// One to a record, with its length in front.
    Delimited,
    /// One to a record.
    Bare,
}

/// A record to be.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) payload: Vec<u8>,
    pub(super) source: String,
    /// Receive time of its last flow.
    pub(super) timestamp_millis: i64,
}

/// Gathers flows.
pub(super) struct Packer {
    framing: Framing,
    dialect: Dialect,
    payload: Vec<u8>,
    scratch: Vec<u8>,
    first: Option<Coordinate>,
    last: Coordinate,
    received_ns: u64,
}

impl Packer {
    pub(super) fn new(framing: Framing, dialect: Dialect) -> Packer {
        Packer {
            framing,
            dialect,
            payload: Vec::with_capacity(PACK_BYTES),
            scratch: Vec::new(),
            first: None,
            last: Coordinate::default(),
            received_ns: 0,
        }
    }

    /// Takes a flow; returns a record if that filled one.
    pub(super) fn push(&mut self, flow: &EnrichedFlow) -> Option<Packed> {
        match self.framing {
            Framing::Bare => flow.encode(self.dialect, &mut self.payload),
            Framing::Packed | Framing::Delimited => {
                flow.encode_delimited(self.dialect, &mut self.scratch, &mut self.payload);
            }
        }
        self.first.get_or_insert(flow.at);
        self.last = flow.at;
        self.received_ns = flow.received_ns;
        let full = self.framing != Framing::Packed || self.payload.len() >= PACK_BYTES;
        full.then(|| self.take()).flatten()
    }

    /// What is left; `None` if nothing is.
    pub(super) fn take(&mut self) -> Option<Packed> {
        let (first, last) = (self.first.take()?, self.last);
        let source = format!(
            "{}/{}.{}-{}.{}",
            first.partition, first.offset, first.index, last.offset, last.index
        );
        Some(Packed {
            payload: std::mem::replace(&mut self.payload, Vec::with_capacity(PACK_BYTES)),
            source,
            timestamp_millis: i64::try_from(self.received_ns / 1_000_000).unwrap_or(i64::MAX),
        })
    }

    /// The header that says how to split a record, if it needs one.
    pub(super) fn pack_header(&self) -> Option<(&'static str, &'static [u8])> {
        (self.framing == Framing::Packed).then_some(PACK_HEADER)
    }
}
