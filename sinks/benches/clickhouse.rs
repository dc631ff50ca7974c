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

use flow_proto::{Addr, Coordinate, EnrichedFlow, Flow};
use flow_sinks::{RawBlock, RawRows, SinkError, Store};
use load::{Given, SLOT, pairs, time};

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

#[derive(Debug)]
struct Flows(Vec<EnrichedFlow>);

impl RawRows for Flows {
    fn for_each(
        &self,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.0.iter().try_for_each(take)
    }
}

fn flow(n: u32) -> EnrichedFlow {
    let [a, b, c, d] = n.wrapping_mul(2_654_435_761).to_be_bytes();
    let received_ns = SLOT * 1_000_000_000 + u64::from(n) * 500_000;
    EnrichedFlow {
        flow: Flow {
            time_flow_start_ns: received_ns - u64::from(n % 977) * 1_000_000,
            time_flow_end_ns: received_ns,
            sequence_num: n,
            sampling_rate: 1000,
            sampler_address: Addr::v4([10, 0, 0, 7]),
            src_addr: Addr::v4([a, b, c, 9]),
            dst_addr: Addr::v4([198, 51, d, c]),
            etype: 0x0800,
            proto: 6,
            src_port: 443,
            dst_port: u32::from(c) << 8 | u32::from(d),
            bytes: u64::from(n % 1_400) * 7,
            packets: u64::from(n % 9) + 1,
            ..Flow::default()
        },
        at: Coordinate {
            partition: 0,
            offset: u64::from(n / 120),
            index: n % 120,
        },
        received_ns,
        slot_secs: SLOT,
        src_as: n % 4_001,
        dst_as: 64_496 + n % 700,
        ..EnrichedFlow::default()
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
