//! The thinnest path: a few packs in memory, to rows.
mod support;

use std::sync::Arc;

use flow_dataflow::JobConfig;
use flow_proto::{Addr, Dialect, Flow, PackBuilder};
use flow_state::StateStore;
use flow_tables::TableSet;
use support::Attempt;
use support::follower::Table;
use support::memory::{MemoryTopic, Stored};

fn pack(time_secs: u64, flows: u64) -> Stored {
    let mut pack = PackBuilder::new(1 << 20, Dialect::Goflow2);
    for i in 0..flows {
        let flow = Flow {
            time_received_ns: time_secs * 1_000_000_000,
            sampling_rate: 10,
            bytes: 100 + i,
            packets: 1,
            src_as: 64_496,
            dst_as: 65_000 + (i % 7) as u32,
            etype: 0x800,
            src_addr: Addr::v4([10, 0, 0, 1]),
            ..Flow::default()
        };
        pack.push(&flow);
    }
    let payload = pack.take(<[u8]>::to_vec);
    Stored {
        timestamp_millis: time_secs as i64 * 1000,
        ours: true,
        payload,
    }
}

#[test]
fn packs_become_rows() {
    for workers in [1, 2, 4] {
        let start = 1_700_000_100u64;
        let partitions = (0..3)
            .map(|p| (0..400).map(|i| pack(start + i * 3 + p, 50)).collect())
            .collect();
        let topic = MemoryTopic::new(partitions);
        topic.reveal_all();
        let dir = tempfile::tempdir().expect("a folder");
        let state = StateStore::open(dir.path()).expect("a state");
        let config = JobConfig {
            workers,
            until_end: true,
            checkpoint_gap_millis: 1,
            ..JobConfig::default()
        };
        let attempt = Attempt::new(
            config,
            Arc::new(topic),
            Arc::new(TableSet::default()),
            state,
            1,
        );
        let (result, table, _) = attempt.run(Table::default());
        let snapshot = result.expect("it runs");
        let counted: u64 = snapshot.slots.values().map(|slot| slot.flows).sum();
        assert_eq!(counted, 3 * 400 * 50);
        let complete: u64 = table.rows.values().map(|sums| sums.flows).sum();
        let slots: std::collections::BTreeSet<u64> = table.rows.keys().map(|key| key.1).collect();
        let expected: u64 = snapshot
            .slots
            .iter()
            .filter(|(slot, _)| slots.contains(slot))
            .map(|(_, counts)| counts.flows)
            .sum();
        assert_eq!(complete, expected);
        assert_eq!(slots.len(), 3, "1,200 s of time, the last slots still open");
        assert!(
            table
                .rows
                .values()
                .all(|sums| sums.scaled_bytes == 10 * sums.bytes)
        );
    }
}
