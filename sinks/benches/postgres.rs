//! PostgreSQL beside `psql`: the same rows through `Sink::apply` and `RawSink::apply`, and by `\copy` into the same tables.
//!
//! `cargo bench -p flow-sinks --bench postgres [-- PAIRS]`, with a server in `FLOW_PIPELINE_TEST_POSTGRES`. Ours does
//! more: it encodes the rows, asks what the store has, moves cursors; theirs reads a file that is encoded already.

// A benchmark's output is its purpose, and it may stop at the first error.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod load;

use std::path::Path;
use std::process::Command;

use flow_sinks::{Applied, RawBlock, RawSink, Sink, Store};
use load::{Flows, Given, SLOT, flow, pairs, time};

const ROWS: u32 = 500_000;
const FLOWS: u32 = 300_000;

/// A database of our own, by `psql`.
struct Database {
    url: String,
}

impl Database {
    fn psql(&self, commands: &[&str]) -> String {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", &self.url]);
        for command in commands {
            psql.args(["-c", command]);
        }
        let out = psql.output().unwrap();
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{commands:?}: {errors}");
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }
}

fn rollups(database: &Database, sink: &mut dyn Sink, count: usize, folder: &Path) {
    let given = Given::new(ROWS, 1);
    sink.apply(&given.delta(0, 1)).unwrap();
    let mut at = 1;
    for format in ["binary", "csv"] {
        let file = folder.join(format);
        let file = file.display();
        database.psql(&[&format!(
            "\\copy (SELECT * FROM rollup_5m ORDER BY 1, 2, 3, 4) TO '{file}' (FORMAT {format})"
        )]);
        let copy = format!("\\copy rollup_5m FROM '{file}' (FORMAT {format})");
        pairs(
            &format!("a slot of 500,000 new rows, \\copy {format}"),
            (count, ROWS),
            || {
                database.psql(&["TRUNCATE rollup_5m"]);
                at += 1;
                time(|| written(sink.apply(&given.delta(at - 1, at)).unwrap()))
            },
            || {
                database.psql(&["TRUNCATE rollup_5m"]);
                time(|| drop(database.psql(&[&copy])))
            },
        );
    }
    corrections(database, sink, (count, at), folder);
}

/// Every row of a slot is corrected.
fn corrections(database: &Database, sink: &mut dyn Sink, (count, at): (usize, u64), folder: &Path) {
    let old = format!(
        "\\copy rollup_5m FROM '{}' (FORMAT binary)",
        folder.join("binary").display()
    );
    let new = folder.join("new");
    let new = new.display();
    database.psql(&[
        "UPDATE rollup_5m SET revision = 2, bytes = bytes + 1",
        &format!("\\copy (SELECT * FROM rollup_5m ORDER BY 1, 2, 3, 4) TO '{new}' (FORMAT binary)"),
    ]);
    let sets = [
        "bytes",
        "packets",
        "flows",
        "scaled_bytes",
        "scaled_packets",
        "unknown_rate_flows",
        "table_version",
        "revision",
    ]
    .map(|name| format!("{name} = excluded.{name}"));
    let upsert = format!(
        "INSERT INTO rollup_5m AS t SELECT * FROM staged ON CONFLICT (slot, src_as, dst_as, etype) DO UPDATE SET {}
         WHERE excluded.revision > t.revision",
        sets.join(", ")
    );
    let copy = format!("\\copy staged FROM '{new}' (FORMAT binary)");
    let given = Given::new(ROWS, 2);
    let mut at = at;
    let reset = || drop(database.psql(&["TRUNCATE rollup_5m", &old, "VACUUM ANALYZE rollup_5m"]));
    pairs(
        "500,000 corrected rows, \\copy and upsert",
        (count, ROWS),
        || {
            reset();
            at += 1;
            time(|| written(sink.apply(&given.delta(at - 1, at)).unwrap()))
        },
        || {
            reset();
            let staged = "CREATE TEMPORARY TABLE staged (LIKE rollup_5m)";
            time(|| drop(database.psql(&[staged, "BEGIN", &copy, &upsert, "COMMIT"])))
        },
    );
    println!("{}", plan(database, &upsert));
}

/// That a delta or block was taken.
fn written(applied: Applied) {
    assert!(matches!(applied, Applied::Done { .. }), "{applied:?}");
}

/// What the server says of the upsert.
fn plan(database: &Database, upsert: &str) -> String {
    database.psql(&[
        "CREATE TEMPORARY TABLE staged (LIKE rollup_5m)",
        "INSERT INTO staged SELECT * FROM rollup_5m",
        "UPDATE staged SET revision = 3",
        &format!("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {upsert}"),
    ])
}

fn raw(database: &Database, sink: &mut dyn RawSink, count: usize, folder: &Path) {
    let flows = Flows((0..FLOWS).map(flow).collect());
    let block = |from: Option<u64>, to: u64| RawBlock {
        job: "bench",
        topic: "dir:///t",
        partition: 0,
        from,
        to,
        first_offset: 0,
        end_offset: 1,
        rows: &flows,
        now_secs: SLOT,
        watermark_secs: None,
    };
    sink.apply(&block(None, 1)).unwrap();
    let names = database.psql(&[
        "SELECT string_agg(column_name, ', ' ORDER BY ordinal_position)
        FROM information_schema.columns WHERE table_name = 'flows' AND column_name <> 'id'",
    ]);
    let mut at = 1;
    for format in ["binary", "csv"] {
        let file = folder.join(format!("raw.{format}"));
        let file = file.display();
        database.psql(&[&format!(
            "\\copy (SELECT {names} FROM flows) TO '{file}' (FORMAT {format})"
        )]);
        let copy = format!("\\copy flows ({names}) FROM '{file}' (FORMAT {format})");
        pairs(
            &format!("a block of 300,000 raw flows, \\copy {format}"),
            (count, FLOWS),
            || {
                database.psql(&["TRUNCATE flows"]);
                at += 1;
                time(|| written(sink.apply(&block(Some(at - 1), at)).unwrap()))
            },
            || {
                database.psql(&["TRUNCATE flows"]);
                time(|| drop(database.psql(&[&copy])))
            },
        );
    }
}

fn main() {
    let Ok(url) = std::env::var("FLOW_PIPELINE_TEST_POSTGRES") else {
        eprintln!("SKIPPED: no PostgreSQL: FLOW_PIPELINE_TEST_POSTGRES is not set");
        return;
    };
    let count = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(5);
    let name = format!("bench_{}", std::process::id());
    let admin = Database { url: url.clone() };
    admin.psql(&[&format!("CREATE DATABASE {name}")]);
    let (server, _) = url.rsplit_once('/').unwrap();
    let database = Database {
        url: format!("{server}/{name}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let store = flow_sinks::open(&format!("{}?sslmode=disable", database.url)).unwrap();
    let Store {
        rollups: Some(mut sink),
        raw: Some(mut flows),
    } = store
    else {
        panic!("rollups and raw flows")
    };
    rollups(&database, &mut *sink, count, folder.path());
    raw(&database, &mut *flows, count, folder.path());
    drop((sink, flows));
    admin.psql(&[&format!("DROP DATABASE {name} WITH (FORCE)")]);
}
