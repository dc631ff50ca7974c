//! What rollups may be made of beside `FlowCore`: protocol, ports, interfaces, exporter.
//!
//! A job whose rollups have none of them does not read them: the hot path's decoder stays as it is, and a message is read a
//! second time, by the whole decoder, where they are wanted. Law 1: they are a function of the message alone.

use flow_proto::{Addr, Dimension, Flow, Framing, PACK_HEADER, Rollups, messages};
use flow_topic::RecordRef;

/// The ends of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlowEnds {
    pub(crate) proto: u32,
    pub(crate) src_port: u32,
    pub(crate) dst_port: u32,
    pub(crate) in_if: u32,
    pub(crate) out_if: u32,
    pub(crate) exporter: Addr,
}

impl FlowEnds {
    /// Whether any of these rollups has a dimension that they hold.
    pub(crate) fn are_wanted(rollups: Rollups) -> bool {
        rollups.any(Dimension::is_beyond_core)
    }

    /// Of each flow of a record, in the order in which they stand there: of those that can be read, as every decoder reads
    /// the same ones.
    pub(crate) fn read(record: &RecordRef<'_>, framing: Framing, into: &mut Vec<FlowEnds>) {
        into.clear();
        let (name, value) = PACK_HEADER;
        let ours = record.headers.get(name) == Some(value);
        let messages = messages(record.payload, ours, framing)
            .into_iter()
            .flatten();
        let flows = messages.filter_map(|message| Flow::decode(message).ok());
        into.extend(flows.map(|flow| FlowEnds {
            proto: flow.proto,
            src_port: flow.src_port,
            dst_port: flow.dst_port,
            in_if: flow.in_if,
            out_if: flow.out_if,
            exporter: flow.sampler_address,
        }));
    }
}
