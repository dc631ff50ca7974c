//! `docs/metrics.md` against the registry.
//!
//! The page is written from what a scrape says of itself (`# HELP`, `# TYPE`), so that it cannot name what is not there.
//! Law: the file in the repository is the one that this test would write.

use std::fmt::Write;
use std::path::Path;

use prometheus_client::encoding::text;

use crate::telemetry;

/// Set to 1, it makes the test write the file.
const RENEW: &str = "FLOW_PIPELINE_BLESS";

const HEAD: &str = "\
# Metrics

`/metrics` in OpenMetrics text. Counters only grow, from 0 at the start of the process. A metric with a label that has
no values yet is absent. This page is generated from the program: a test fails when it is out of date.
";

/// The stages in the order of the pipeline.
const STAGES: [(&str, &str); 10] = [
    (
        "ingest",
        "The collector's sockets and queue, and what it wrote to the topic",
    ),
    ("decode", "The collector's decoder"),
    ("topic", "The embedded log"),
    ("kafka", "The clients of `kafka://` topics"),
    ("source", "What the job reads from the topic"),
    ("window", "Open slots, and flows kept out of rows"),
    ("job", "The job as a whole"),
    ("checkpoint", "The job's checkpoints"),
    ("tables", "The job's tables for enrichment"),
    ("sink", "The stores that follow the checkpoints"),
];

#[derive(Default)]
struct Entry {
    name: String,
    help: String,
    kind: String,
    labels: String,
}

/// A scrape of a process that has every stage, each label with at least one value.
fn scrape() -> String {
    let mut registry = telemetry::registry();
    let _ = flow_ingest::metrics::Metrics::register(&mut registry);
    flow_topic::Metrics::register(&mut registry)
        .kafka
        .announce();
    flow_dataflow::Metrics::register(&mut registry).announce();
    flow_sinks::Metrics::register(&mut registry).announce("stdout:");
    let _ = crate::tables::metrics::Metrics::register(&mut registry);
    let mut scrape = String::new();
    text::encode(&mut scrape, &registry).unwrap();
    scrape
}

/// The metrics of a scrape, by name.
fn entries(scrape: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in scrape.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            entries.push(Entry {
                name: name.into(),
                help: help.into(),
                ..Entry::default()
            });
        } else if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
        {
            entries.last_mut().unwrap().kind = kind.into();
        } else if let Some((_, rest)) = line.split_once('{') {
            let label = rest.split_once('=').unwrap().0;
            if label != "le" {
                entries.last_mut().unwrap().labels = format!("`{label}`");
            }
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// The page.
fn reference(entries: &[Entry]) -> String {
    let mut page = String::from(HEAD);
    for (stage, what) in STAGES {
        let prefix = format!("flow_pipeline_{stage}_");
        write!(page, "\n## {stage}\n\n{what}.\n\n").unwrap();
        page.push_str("| name | type | label | meaning |\n| --- | --- | --- | --- |\n");
        for entry in entries.iter().filter(|e| e.name.starts_with(&prefix)) {
            let Entry {
                name,
                help,
                kind,
                labels,
            } = entry;
            // As a scrape names it, and a query must.
            let total = if kind == "counter" { "_total" } else { "" };
            let help = help.trim_end_matches('.');
            writeln!(page, "| `{name}{total}` | {kind} | {labels} | {help} |").unwrap();
        }
    }
    page
}

#[test]
fn the_reference_of_metrics_is_up_to_date() {
    let entries = entries(&scrape());
    let page = reference(&entries);
    let rows = page.lines().filter(|l| l.starts_with("| `")).count();
    assert_eq!(rows, entries.len(), "a metric of a stage that STAGES lacks");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    if std::env::var_os(RENEW).is_some_and(|value| value == "1") {
        std::fs::write(&file, &page).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page,
        "docs/metrics.md is out of date; renew it: {RENEW}=1 cargo test --release -p flow-pipeline the_reference"
    );
}
