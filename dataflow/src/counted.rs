//! A flow that counts, while it waits for its look-up: what its rows are made of, without its addresses.
//!
//! They are looked up in columns of their own. Law 1: nothing but the flow, its slot and that slot's tables is in here.

use flow_proto::{FlowCore, Sums};
use flow_state::SlotSecs;
use flow_tables::{AsnOrder, Order};

/// What is needed of a flow beside its addresses: half of it, so that a batch stays in the first-level cache.
pub(crate) struct Counted {
    pub(crate) slot_secs: SlotSecs,
    bytes: u64,
    packets: u64,
    sampling_rate: u64,
    pub(crate) src_as: u32,
    pub(crate) dst_as: u32,
    pub(crate) etype: u32,
    /// Whether the table or the flow is asked first for an AS number.
    pub(crate) asn_order: Order,
}

impl Counted {
    #[inline]
    pub(crate) fn of(slot_secs: SlotSecs, flow: &FlowCore, order: &AsnOrder) -> Counted {
        Counted {
            slot_secs,
            bytes: flow.bytes,
            packets: flow.packets,
            sampling_rate: flow.sampling_rate,
            src_as: flow.src_as,
            dst_as: flow.dst_as,
            etype: flow.etype,
            asn_order: order.of(&flow.exporter.0),
        }
    }

    /// What the flow adds to its row. Law 2 has bounded the products.
    #[inline]
    pub(crate) fn sums(&self) -> Sums {
        let rate = self.sampling_rate.max(1);
        Sums {
            bytes: self.bytes,
            packets: self.packets,
            flows: 1,
            scaled_bytes: self.bytes * rate,
            scaled_packets: self.packets * rate,
            unknown_rate_flows: u64::from(self.sampling_rate == 0),
        }
    }
}
