//! Blocks of raw flows given by hand.

use flow_proto::{Addr, Coordinate, EnrichedFlow, Flow, Verdict};
use flow_sinks::{RawBlock, RawRows, SinkError};

use crate::support::given::Hook;

/// Flows of a block, and what happens between them.
pub(crate) struct Flows {
    pub(crate) flows: Vec<EnrichedFlow>,
    pub(crate) before: Option<Hook>,
}

impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} flows", self.flows.len())
    }
}

impl RawRows for Flows {
    fn for_each(
        &self,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        for (n, flow) in self.flows.iter().enumerate() {
            if let Some(before) = &self.before {
                before(n);
            }
            take(flow)?;
        }
        Ok(())
    }
}

/// 2026-02-28 12:00:00 UTC.
pub(crate) const NOON: u64 = 1_772_280_000;

pub(crate) fn block<'a>(from: Option<u64>, to: u64, rows: &'a Flows) -> RawBlock<'a> {
    RawBlock {
        job: "a",
        topic: "dir:///t",
        partition: 3,
        from,
        to,
        first_offset: 0,
        end_offset: 1,
        rows,
        now_secs: NOON,
        watermark_secs: Some(NOON),
    }
}

/// Flow number n: different in every field that is set.
pub(crate) fn flow(n: u64) -> EnrichedFlow {
    let small = u32::try_from(n % 50_000).unwrap();
    let flow = Flow {
        sampling_rate: if n.is_multiple_of(7) { 0 } else { 1 + n % 1000 },
        src_addr: Addr::v4([10, 0, 1, u8::try_from(n % 5).unwrap()]),
        dst_addr: Addr([
            0x20,
            1,
            0xd,
            0xb8,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            u8::try_from(n % 9 + 1).unwrap(),
        ]),
        bytes: 100 + n,
        packets: 1 + n % 10,
        etype: 0x0800,
        proto: 6,
        src_port: small,
        dst_port: 443,
        ..Flow::default()
    };
    let received_secs = NOON - 300 + n % 200;
    EnrichedFlow {
        flow,
        at: Coordinate {
            partition: 3,
            offset: n / 10,
            index: u32::try_from(n % 10).unwrap(),
        },
        received_ns: received_secs * 1_000_000_000 + n,
        slot_secs: received_secs - received_secs % 300,
        verdict: if n % 100 == 99 {
            Verdict::Implausible
        } else {
            Verdict::Counts
        },
        src_as: u32::MAX - small,
        dst_as: 64_500,
        src_country: 0,
        src_customer: [0; 2],
        dst_customer: [0; 2],
        exporter_name: [0; 2],
        in_if_name: [0; 2],
        out_if_name: [0; 2],
        dst_country: flow_proto::country_number("DE"),
        table_version: 2,
    }
}
