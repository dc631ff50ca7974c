//! Rows are right: equal, row by row, to what the oracle computes from the topic and the recorded timeline, for any
//! number of workers, any arrival between partitions, and any number of deaths on the way.
mod support;

use std::sync::Arc;

use flow_dataflow::JobConfig;
use flow_tables::TableSet;
use support::scenario::{Shape, topic};

#[test]
fn histories_end() {
    let config = JobConfig {
        checkpoint_gap_millis: 5,
        checkpoint_millis: 20,
        tick_millis: 10,
        ..JobConfig::default()
    };
    for seed in 0..20 {
        let shape = Shape {
            partitions: 1 + seed % 4,
            span_secs: 7_200,
            packs: 300,
        };
        let tables = Arc::new(TableSet::default());
        let outcome = support::history::run(seed, &config, &tables, topic(seed, shape), &[1, 2, 4]);
        let rows: u64 = outcome.table.rows.values().map(|s| s.flows).sum();
        eprintln!(
            "seed {seed}: {} attempts, {} followed, {} rows, {rows} flows, retirements {}",
            outcome.attempts,
            outcome.table.followed,
            outcome.table.rows.len(),
            outcome.checkpoint.timeline.retirements.len()
        );
    }
}
