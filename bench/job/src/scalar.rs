//! The baseline: one thread, one flow after the other, one hash map a slot. No acceptance, exchange or checkpoint.
//!
//! What any engineer would write in an afternoon, with our decoder and our tables: whatever the job costs beyond it is
//! the price of workers, exactness and recovery.

use std::collections::{BTreeMap, HashMap};

use flow_proto::{FlowCore, Framing, Rollup, Sums, messages};
use flow_tables::TableSet;

use crate::digest::Digest;
use crate::packs::Packs;

type Map = HashMap<[u32; 3], Sums, foldhash::fast::RandomState>;

/// Sums all packs; returns the digest of all rows.
pub(crate) fn run(packs: &Packs, tables: &TableSet) -> anyhow::Result<Digest> {
    let mut slots: BTreeMap<u64, Map> = BTreeMap::new();
    let look = |addr: &[u8; 16], sent: u32| {
        let found = tables.asn.as_ref().map_or(0, |table| table.lookup(addr));
        if found != 0 { found } else { sent }
    };
    for pack in packs.in_order() {
        for message in messages(&pack.payload, true, Framing::Auto)? {
            let flow = FlowCore::decode(message)?;
            let slot = flow.received_ns / 1_000_000_000 / 300 * 300;
            let rate = flow.sampling_rate.max(1);
            let key = [
                look(&flow.src_addr.0, flow.src_as),
                look(&flow.dst_addr.0, flow.dst_as),
                flow.etype,
            ];
            slots
                .entry(slot)
                .or_default()
                .entry(key)
                .or_default()
                .add(&Sums {
                    bytes: flow.bytes,
                    packets: flow.packets,
                    flows: 1,
                    scaled_bytes: flow.bytes * rate,
                    scaled_packets: flow.packets * rate,
                    unknown_rate_flows: u64::from(flow.sampling_rate == 0),
                });
        }
    }
    let mut digest = Digest::default();
    for (slot, rows) in &slots {
        for (key, sums) in rows {
            digest.add(Rollup::AS.number(), *slot, *key, sums);
        }
    }
    Ok(digest)
}
