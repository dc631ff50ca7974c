//! The input: slots of a known number of keys, each key met again and again in an order that no cache likes.
//!
//! Law: a pure function of its shape, so that a child process makes the same records as its parent.

use flow_proto::{Addr, Dialect, Flow, PackBuilder};

/// One record.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) stamp_millis: i64,
    pub(crate) payload: Vec<u8>,
}

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Distinct keys of each slot; the same ones in all slots.
    pub(crate) keys: u64,
    pub(crate) flows_per_slot: u64,
    pub(crate) slots: u64,
    /// One flow, late enough for the slots before it to be complete, at the end.
    pub(crate) completing: bool,
}

/// All records.
#[derive(Debug)]
pub(crate) struct Packs {
    pub(crate) partitions: Vec<Vec<Pack>>,
    pub(crate) flows: u64,
}

pub(crate) const PARTITIONS: usize = 4;
/// Collectors' packs.
const PACK_BYTES: usize = 16 << 10;
/// 2023-11-14 22:15 UTC, the start of a slot.
const FROM_SECS: u64 = 1_700_000_100;
const SLOT_NS: u64 = 300_000_000_000;
/// A prime above any number of keys: steps of it meet every key once before any twice.
const STEP: u64 = 982_451_653;

impl Packs {
    pub(crate) fn make(shape: Shape) -> Packs {
        let mut packs = Packs {
            partitions: (0..PARTITIONS).map(|_| Vec::new()).collect(),
            flows: 0,
        };
        let mut builder = PackBuilder::new(PACK_BYTES, Dialect::default());
        for slot in 0..shape.slots {
            let start_ns = FROM_SECS * 1_000_000_000 + slot * SLOT_NS;
            for i in 0..shape.flows_per_slot {
                let now_ns = start_ns + SLOT_NS / shape.flows_per_slot.max(1) * i;
                let full = builder.push(&flow((i * STEP) % shape.keys, now_ns));
                packs.flows += 1;
                if full || i + 1 == shape.flows_per_slot {
                    packs.take(&mut builder, now_ns);
                }
            }
        }
        if shape.completing {
            let late_ns = FROM_SECS * 1_000_000_000 + shape.slots * SLOT_NS + SLOT_NS / 2;
            builder.push(&flow(0, late_ns));
            packs.flows += 1;
            packs.take(&mut builder, late_ns);
        }
        packs
    }

    /// The open pack goes to the partition with the fewest.
    fn take(&mut self, builder: &mut PackBuilder, now_ns: u64) {
        if builder.is_empty() {
            return;
        }
        let payload = builder.take(<[u8]>::to_vec);
        let stamp_millis = i64::try_from(now_ns / 1_000_000).unwrap_or(i64::MAX);
        if let Some(packs) = self.partitions.iter_mut().min_by_key(|packs| packs.len()) {
            packs.push(Pack {
                stamp_millis,
                payload,
            });
        }
    }
}

fn flow(key: u64, now_ns: u64) -> Flow {
    let low = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap_or(0);
    let mut addr = [0u8; 16];
    addr[..8].copy_from_slice(&(0x2001_0db8_0000_0000 | key).to_be_bytes());
    Flow {
        time_received_ns: now_ns,
        sampling_rate: 1000,
        sequence_num: low(now_ns),
        src_addr: Addr(addr),
        dst_addr: Addr(addr),
        bytes: 40 + key % 1460,
        packets: 1,
        sampler_address: Addr(addr),
        src_as: 64_496 + low(key >> 10),
        dst_as: 64_496 + low(key & 0x3ff),
        in_if: 3,
        out_if: 7,
        proto: 6,
        src_port: low(key & 0xffff),
        dst_port: 443,
        etype: 0x86dd,
        ..Flow::default()
    }
}
