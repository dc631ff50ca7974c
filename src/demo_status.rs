//! The demo as the page shows it: every stage's counters, the job, the database.

use std::path::Path;

use serde_json::{Value, json};

use crate::demo::Demo;
use crate::progress;

/// `/api/status`.
pub(crate) fn json(demo: &Demo, rows_written: u64, database: &Path) -> Value {
    let totals = demo.collector.totals();
    let look = demo.running.status.look();
    let (datagrams, flows) = demo.exporters.sent();
    let errors: u64 = totals.errors.iter().map(|(_, count)| count).sum();
    let refused = |reason| demo.job_metrics.refused_flows(reason);
    let accepted: u64 = look.slots.values().map(|slot| slot.flows).sum();
    let watermark = look
        .watermark_ns
        .and_then(|ns| u64::try_from(ns / 1_000_000_000).ok())
        .map(progress::time);
    json!({
        "stages": [
            { "stage": "exporters (datagrams)", "in": flows, "out": datagrams, "dropped": {} },
            { "stage": "receive (datagrams)", "in": datagrams, "out": totals.datagrams_received,
              "dropped": { "kernel": totals.kernel_drops, "queue": totals.queue_drops } },
            { "stage": "decode (datagrams to flows)", "in": totals.datagrams_decoded, "out": totals.flows_decoded,
              "dropped": { "undecodable": errors, "waiting_for_template": totals.waiting_sets } },
            { "stage": "topic (flows to packs)", "in": totals.flows_decoded, "out": totals.packs_written,
              "dropped": { "topic": totals.topic_drops } },
            { "stage": "job (flows)", "in": demo.job_metrics.flows.get(), "out": accepted,
              "dropped": { "undecodable": demo.job_metrics.undecodable.get(), "too_early": refused("too_early"),
                           "too_late": refused("too_late"), "implausible": refused("implausible") } },
            { "stage": "SQLite (rows)", "in": rows_written, "out": rows_written, "dropped": {} },
        ],
        "job": { "watermark": watermark, "tick": look.tick, "checkpoint": look.checkpoint,
                 "open_keys": look.open_keys, "waiting": format!("{:?}", look.waiting) },
        "database": database.display().to_string(),
        "sql": "select datetime(slot,'unixepoch') as slot, src_as, dst_as, etype, scaled_bytes from rollup_5m \
                order by scaled_bytes desc limit 10",
    })
}
