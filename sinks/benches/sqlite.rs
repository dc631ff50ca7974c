//! SQLite beside its own shell: the same sorted rows through `Sink::apply` and through `.import` of a CSV file.
//!
//! `cargo bench -p flow-sinks --bench sqlite [-- PAIRS]`. Both make a new file with our schema, one transaction, the
//! same journal and `synchronous` setting.

// A benchmark's output is its purpose, and it may stop at the first error.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

mod load;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use load::{Given, pairs, time};

const ROWS: u32 = 500_000;

fn ours(folder: &Path, given: &Given) -> Duration {
    let path = folder.join("ours.sqlite");
    let mut sink = flow_sinks::open(&format!("sqlite://{}", path.display()))
        .unwrap()
        .rollups
        .unwrap();
    let took = time(|| {
        sink.apply(&given.delta(0, 1)).unwrap();
    });
    drop(sink);
    remove(&path);
    took
}

fn theirs(folder: &Path, csv: &Path) -> Duration {
    let path = folder.join("theirs.sqlite");
    drop(flow_sinks::open(&format!("sqlite://{}", path.display())).unwrap());
    let script = format!(
        "PRAGMA synchronous = full;\nBEGIN;\n.mode csv\n.import {} rollup_5m\nCOMMIT;\n",
        csv.display()
    );
    let file = folder.join("import.sql");
    std::fs::write(&file, script).unwrap();
    let took = time(|| {
        let read = format!(".read {}", file.display());
        let status = Command::new("sqlite3").arg(&path).arg(read).status();
        assert!(status.unwrap().success());
    });
    remove(&path);
    took
}

fn remove(path: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        drop(std::fs::remove_file(name));
    }
}

fn main() {
    let pairs_wanted = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(5);
    let folder = tempfile::tempdir().unwrap();
    let given = Given::new(ROWS, 1);
    let mut text = String::new();
    for row in &given.rows {
        let [a, b, c] = row.key;
        let sums = row.sums.values().map(|sum| sum.to_string()).join(",");
        writeln!(text, "{},{a},{b},{c},{sums},1,1", row.slot_secs).unwrap();
    }
    let csv = folder.path().join("rows.csv");
    std::fs::write(&csv, text).unwrap();
    pairs(
        "a slot of 500,000 new rows",
        (pairs_wanted, ROWS),
        || ours(folder.path(), &given),
        || theirs(folder.path(), &csv),
    );
}
