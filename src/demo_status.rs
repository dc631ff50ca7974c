//! The demo as the page shows it: every stage's counters, the job, the database.

use std::path::Path;

use serde_json::{Value, json};

use crate::demo::Demo;
use crate::status;

/// `/api/status`.
pub(crate) fn json(demo: &Demo, rows_written: u64, database: &Path) -> Value {
    let look = demo.running.status.look();
    let (datagrams, flows) = demo.exporters.sent();
    let exporters = json!({ "stage": "exporters (flows to datagrams)", "in": flows, "out": datagrams, "dropped": {} });
    let mut stages = vec![exporters];
    stages.extend(status::collector(&demo.collector.totals()));
    stages.push(status::job_stage(&demo.job_metrics));
    stages.push(status::sink("SQLite", rows_written));
    json!({
        "stages": stages,
        "job": status::job(&look),
        "database": database.display().to_string(),
        "sql": "select datetime(slot,'unixepoch') as slot, src_as, dst_as, etype, scaled_bytes from rollup_5m \
                order by scaled_bytes desc limit 10",
    })
}
