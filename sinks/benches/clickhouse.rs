//! ClickHouse beside `curl`: the same rows through `Sink::apply` and `RawSink::apply`, and as a RowBinary file into the same tables.
//!
//! `cargo bench -p flow-sinks --bench clickhouse [-- PAIRS]`, with a server in `FLOW_PIPELINE_TEST_CLICKHOUSE`. Ours does
//! more: it encodes the rows, compresses them on the way, reads and writes cursors.

// A benchmark's output is its purpose, and it may stop at the first error.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod load;

use std::fs::File;
use std::path::Path;
use std::process::Command;

use flow_sinks::{RawBlock, Store};
use load::{Flows, Given, SLOT, flow, pairs, time};

const ROWS: u32 = 500_000;
const FLOWS: u32 = 400_000;

/// The server's HTTP address and a database of our own.
struct Server {
    address: String,
    database: String,
}

impl Server {
    fn curl(&self, sql: &str, data: Option<&Path>, answer: Option<&Path>) {
        let mut curl = Command::new("curl");
        let url = format!(
            "http://{}/?async_insert=0&wait_end_of_query=1",
            self.address
        );
        curl.args(["-sS", "--fail-with-body", "--url-query"])
            .arg(format!("query={}", sql.replace("{db}", &self.database)))
            .arg(url);
        match data {
            Some(file) => curl
                .args(["-X", "POST", "-T", "-"])
                .stdin(File::open(file).unwrap()),
            None => curl.args(["-d", ""]),
        };
        if let Some(file) = answer {
            curl.stdout(File::create(file).unwrap());
        }
        assert!(curl.status().unwrap().success(), "{sql}");
    }

    /// What a table holds, as the file that `curl` is to send.
    fn file(&self, table: &str, path: &Path) {
        let sql = format!("SELECT * FROM {{db}}.{table} FORMAT RowBinary");
        self.curl(&sql, None, Some(path));
    }

    fn theirs(&self, table: &str, path: &Path) {
        let sql = format!("INSERT INTO {{db}}.{table} FORMAT RowBinary");
        self.curl(&sql, Some(path), None);
    }

    fn empty(&self, table: &str) {
        self.curl(&format!("TRUNCATE TABLE {{db}}.{table}"), None, None);
    }
}

fn block<'a>(topic: &'a str, from: Option<u64>, to: u64, rows: &'a Flows) -> RawBlock<'a> {
    RawBlock {
        job: "bench",
        topic,
        partition: 0,
        from,
        to,
        first_offset: 0,
        end_offset: 1,
        rows,
        now_secs: SLOT,
        watermark_secs: None,
    }
}

fn main() {
    let Ok(url) = std::env::var("FLOW_PIPELINE_TEST_CLICKHOUSE") else {
        eprintln!("SKIPPED: no ClickHouse: FLOW_PIPELINE_TEST_CLICKHOUSE is not set");
        return;
    };
    let count = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(5);
    let server = Server {
        address: url.rsplit_once('@').unwrap().1.to_owned(),
        database: format!("bench_{}", std::process::id()),
    };
    let folder = tempfile::tempdir().unwrap();
    let Store { rollups, raw } = flow_sinks::open(&format!("{url}/{}", server.database)).unwrap();
    let (mut rollups, mut raw) = (rollups.unwrap(), raw.unwrap());

    let (given, file) = (Given::new(ROWS, 1), folder.path().join("rows"));
    rollups.apply(&given.delta(0, 1)).unwrap();
    server.file("rollup_5m_rows", &file);
    let mut at = 1;
    pairs(
        "a slot of 500,000 new rows",
        (count, ROWS),
        || {
            server.empty("rollup_5m_rows");
            at += 1;
            time(|| {
                rollups.apply(&given.delta(at - 1, at)).unwrap();
            })
        },
        || {
            server.empty("rollup_5m_rows");
            time(|| server.theirs("rollup_5m_rows", &file))
        },
    );

    let (flows, file) = (
        Flows((0..FLOWS).map(flow).collect()),
        folder.path().join("raw"),
    );
    raw.apply(&block("first", None, 1, &flows)).unwrap();
    server.file("raw_flows", &file);
    let mut at = 1;
    pairs(
        "a block of 400,000 raw flows",
        (count, FLOWS),
        || {
            server.empty("raw_flows");
            at += 1;
            let topic = format!("topic {at}");
            time(|| {
                raw.apply(&block(&topic, Some(at - 1), at, &flows)).unwrap();
            })
        },
        || {
            server.empty("raw_flows");
            time(|| server.theirs("raw_flows", &file))
        },
    );
    server.curl("DROP DATABASE {db}", None, None);
}
