//! The input: flows of the mock generator, packed as the collector packs them, in memory.

use flow_ingest::mock::{AddressBlock, Generator, Options};
use flow_proto::{Dialect, PackBuilder};

/// One record.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) stamp_millis: i64,
    pub(crate) payload: Vec<u8>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Packs {
    pub(crate) partitions: Vec<Vec<Pack>>,
}

/// Collectors' packs.
const PACK_BYTES: usize = 16 << 10;
/// 2023-11-14 22:15 UTC.
const FROM_NS: u64 = 1_700_000_100_000_000_000;
/// An hour of simulated time for the default of 5 M flows.
const FLOWS_PER_SECOND: u64 = 1_400;

impl Packs {
    /// `flows` flows, round robin over the partitions.
    pub(crate) fn mock(flows: u64, partitions: usize) -> anyhow::Result<Packs> {
        let blocks = AddressBlock::parse(flow_tables::DEMO_ASN_CSV, &flow_tables::DEMO_OWN_ASNS)?;
        let options = Options {
            exporters: 32,
            flows_per_second: FLOWS_PER_SECOND,
            from_ns: FROM_NS,
            ..Options::default()
        };
        let mut generator = Generator::new(options, &blocks);
        let mut all = Packs {
            partitions: (0..partitions).map(|_| Vec::new()).collect(),
        };
        let mut builder = PackBuilder::new(PACK_BYTES, Dialect::default());
        let mut next = (0..partitions).cycle();
        for _ in 0..flows {
            let Some(flow) = generator.next() else { break };
            if builder.push(&flow) {
                all.take(
                    &mut builder,
                    next.next().unwrap_or(0),
                    flow.time_received_ns,
                );
            }
        }
        all.take(&mut builder, next.next().unwrap_or(0), generator.now_ns());
        Ok(all)
    }

    fn take(&mut self, builder: &mut PackBuilder, partition: usize, received_ns: u64) {
        let payload = builder.take(<[u8]>::to_vec);
        let stamp_millis = i64::try_from(received_ns / 1_000_000).unwrap_or(i64::MAX);
        if let Some(packs) = self.partitions.get_mut(partition) {
            packs.push(Pack {
                stamp_millis,
                payload,
            });
        }
    }

    /// Round robin over the partitions, as they were made.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Pack> {
        let longest = self.partitions.iter().map(Vec::len).max().unwrap_or(0);
        (0..longest).flat_map(move |at| self.partitions.iter().filter_map(move |p| p.get(at)))
    }

    pub(crate) fn count(&self) -> usize {
        self.partitions.iter().map(Vec::len).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.partitions
            .iter()
            .flatten()
            .map(|pack| pack.payload.len())
            .sum()
    }
}
