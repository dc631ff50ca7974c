//! What the stages have done, as `/api/status` tells it: for each what came in, what went out, what was dropped why.
//!
//! Law: every number is read from the counters that `/metrics` exports, or from the job's own status.

use flow_dataflow::{Metrics, Snapshot};
use flow_ingest::metrics::Totals;
use serde_json::{Value, json};

use crate::{progress, run};

/// Sockets, decoder and topic writer.
pub(crate) fn collector(totals: &Totals) -> [Value; 3] {
    let errors: u64 = totals.errors.iter().map(|(_, count)| count).sum();
    [
        json!({ "stage": "receive (datagrams)", "in": totals.datagrams_received + totals.kernel_drops,
                "out": totals.datagrams_decoded,
                "dropped": { "kernel": totals.kernel_drops, "queue": totals.queue_drops } }),
        json!({ "stage": "decode (datagrams to flows)", "in": totals.datagrams_decoded, "out": totals.flows_decoded,
                "dropped": { "undecodable": errors, "waiting_for_template": totals.waiting_sets } }),
        json!({ "stage": "topic (flows)", "in": totals.flows_decoded, "out": totals.flows_written,
                "dropped": { "topic": totals.topic_drops } }),
    ]
}

/// Source and windows.
pub(crate) fn job_stage(metrics: &Metrics) -> Value {
    let refused = |reason| metrics.refused_flows(reason);
    json!({ "stage": "job (flows)", "in": metrics.flows.get(), "out": metrics.accepted.get(),
            "dropped": { "undecodable": metrics.undecodable_messages(), "too_early": refused("too_early"),
                         "too_late": refused("too_late"), "implausible": refused("implausible") } })
}

/// One store.
pub(crate) fn sink(name: &str, rows: u64) -> Value {
    json!({ "stage": format!("{name} (rows)"), "in": rows, "out": rows, "dropped": {} })
}

/// How far the job is.
pub(crate) fn job(look: &Snapshot) -> Value {
    let watermark = look
        .watermark_ns
        .and_then(|ns| u64::try_from(ns / 1_000_000_000).ok())
        .map(progress::time);
    json!({ "watermark": watermark, "tick": look.tick, "checkpoint": look.checkpoint,
            "open_keys": look.open_keys, "waiting": run::waiting(look) })
}
