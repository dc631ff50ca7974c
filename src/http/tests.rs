//! Every route over a real socket, by requests written by hand.
//!
//! The rows are written here with SQL of the documented columns, so that neither the sink nor the reader under test
//! says what is right.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Page, Port, Server, serve};
use crate::failure::Exit;
use crate::telemetry;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn page(last_hour: Option<PathBuf>) -> Page {
    Page {
        goflow: None,
        tables: None,
        registry: Arc::new(telemetry::registry()),
        status: Arc::new(|| json!({})),
        last_hour,
        ready: Arc::new(|| true),
    }
}

/// Status, header lines in lower case, body.
fn request(method: &str, server: &Server, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, head.to_lowercase(), body.to_owned())
}

fn get(server: &Server, path: &str) -> (u16, String, String) {
    request("GET", server, path)
}

fn last_hour(file: &Path) -> Value {
    let server = serve(ANY, Port::Exact, page(Some(file.to_owned()))).unwrap();
    let (code, head, body) = get(&server, "/api/last-hour");
    assert_eq!(code, 200, "{body}");
    assert!(head.contains("content-type: application/json"), "{head}");
    serde_json::from_str(&body).unwrap()
}

fn database(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE rollup_5m (slot INTEGER, src_as INTEGER, dst_as INTEGER, etype INTEGER, bytes INTEGER,
               packets INTEGER, flows INTEGER, scaled_bytes INTEGER, scaled_packets INTEGER,
               unknown_rate_flows INTEGER, table_version INTEGER, revision INTEGER);
             CREATE TABLE slots (rollup TEXT, slot INTEGER, state TEXT, partial INTEGER, generation INTEGER,
               first_written INTEGER, last_written INTEGER, flows INTEGER, too_early INTEGER, too_late INTEGER,
               implausible INTEGER, missing_partitions TEXT, complete_through INTEGER);",
        )
        .unwrap();
    connection
}

/// A row with `bytes` b, b packets less one, one flow; scaled tenfold.
fn row(connection: &Connection, slot: i64, (src, dst): (u32, u32), etype: u32, bytes: i64) {
    connection
        .execute(
            "INSERT INTO rollup_5m VALUES (?1, ?2, ?3, ?4, ?5, ?5 - 1, 1, ?5 * 10, ?5 * 10 - 10, 0, 1, 7)",
            rusqlite::params![slot, src, dst, etype, bytes],
        )
        .unwrap();
}

fn slot(connection: &Connection, rollup: &str, slot: i64, state: &str, refused: [i64; 3]) {
    let [early, late, implausible] = refused;
    connection
        .execute(
            "INSERT INTO slots VALUES (?1, ?2, ?3, 0, 1, NULL, NULL, 5, ?4, ?5, ?6, '[]', NULL)",
            rusqlite::params![rollup, slot, state, early, late, implausible],
        )
        .unwrap();
}

#[test]
fn the_plain_routes_answer() {
    let mut registry = telemetry::registry();
    let counter: Counter = Counter::default();
    registry.register("test_things", "Things of a test", counter.clone());
    counter.inc_by(3);
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let served = Page {
        registry: Arc::new(registry),
        status: Arc::new(move || json!({ "asked": count.fetch_add(1, Ordering::Relaxed) })),
        ..page(None)
    };
    let server = serve(ANY, Port::Exact, served).unwrap();

    let (code, head, body) = get(&server, "/metrics");
    assert_eq!(code, 200);
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.contains(kind), "{head}");
    assert!(
        body.contains("flow_pipeline_test_things_total 3\n"),
        "{body}"
    );
    assert!(body.ends_with("# EOF\n"));
    assert_eq!(get(&server, "/livez").0, 200);
    assert_eq!(get(&server, "/api/status").2, "{\"asked\":0}");
    assert_eq!(
        get(&server, "/api/status").2,
        "{\"asked\":1}",
        "never cached"
    );
    let (code, head, body) = get(&server, "/");
    assert_eq!(code, 200);
    assert!(
        head.contains("content-type: text/html; charset=utf-8"),
        "{head}"
    );
    assert!(
        head.contains("content-security-policy: default-src 'none'"),
        "{head}"
    );
    assert!(body.starts_with("<!doctype html>") && body.ends_with("</html>\n"));
    for path in ["/metrics/", "/api", "/api/", "/favicon.ico", "/../metrics"] {
        assert_eq!(get(&server, path).0, 404, "{path}");
    }
    assert_eq!(request("POST", &server, "/api/status").0, 405);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn the_page_names_no_other_host() {
    let text = include_str!("page.html");
    for outside in [
        "http:", "https:", "src=", "\"//", "'//", "@import", "url(", "ws:", "wss:",
    ] {
        assert!(!text.contains(outside), "{outside}");
    }
}

#[test]
fn goflows_names_stand_beside_ours() {
    let mut registry = telemetry::registry();
    let metrics = flow_ingest::metrics::Metrics::register(&mut registry);
    metrics.received_datagrams.inc_by(3);
    let listen = "netflow://127.0.0.1:2055".parse().unwrap();
    let outcome = flow_ingest::wire::Outcome {
        protocol: Some(flow_ingest::wire::Protocol::NetflowV9),
        ..Default::default()
    };
    metrics
        .goflow
        .worker(0, &listen)
        .add(&flow_ingest::goflow::Arrived {
            source: SocketAddr::from(([192, 0, 2, 1], 9)),
            bytes: 20,
            outcome: &outcome,
            flows: &[],
            begun_ns: 0,
            decoded_ns: 0,
            done_ns: 0,
        });
    let served = Page {
        goflow: Some(metrics.goflow.clone()),
        registry: Arc::new(registry),
        ..page(None)
    };
    let server = serve(ANY, Port::Exact, served).unwrap();
    let (code, head, body) = get(&server, "/metrics?names=goflow");
    assert_eq!(code, 200);
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    for line in [
        "# TYPE flow_pipeline_ingest_received_datagrams_total counter",
        "flow_pipeline_ingest_received_datagrams_total 3",
        "# TYPE flow_process_nf_count counter",
        "flow_process_nf_count{router=\"192.0.2.1\",version=\"9\"} 1",
    ] {
        assert!(body.lines().any(|found| found == line), "{line}\n{body}");
    }
    assert!(!body.contains("# EOF"));
    assert!(!get(&server, "/metrics").2.contains("flow_process_nf_count"));
    assert_eq!(get(&server, "/metrics?names=other").0, 400);
}

#[test]
fn readiness_is_asked_each_time() {
    let ready = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ready);
    let served = Page {
        ready: Arc::new(move || told.load(Ordering::Relaxed)),
        ..page(None)
    };
    let server = serve(ANY, Port::Exact, served).unwrap();
    let before = get(&server, "/readyz").0;
    ready.store(true, Ordering::Relaxed);
    let then = get(&server, "/readyz").0;
    ready.store(false, Ordering::Relaxed);
    assert_eq!((before, then, get(&server, "/readyz").0), (503, 200, 503));
}

#[test]
fn the_last_hour_is_summed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rows.db");
    let connection = database(&file);
    let newest = 1_700_000_100;
    row(&connection, newest, (64500, 64501), 2048, 1000);
    row(&connection, newest, (64500, 64502), 34525, 70);
    row(&connection, newest - 3300, (64500, 64501), 2048, 200);
    row(&connection, newest - 3300, (64503, 64501), 2048, 4000);
    // An hour and no more.
    row(&connection, newest - 3600, (64509, 64509), 2048, 1 << 40);
    slot(&connection, "rollup_5m", newest + 300, "open", [1, 0, 0]);
    slot(&connection, "rollup_5m", newest, "complete", [1, 20, 300]);
    slot(
        &connection,
        "rollup_5m_country",
        newest,
        "complete",
        [0, 9, 0],
    );
    slot(&connection, "rollup_5m", newest - 3600, "retired", [0; 3]);

    // The writer's connection stays open beside the reader's.
    let hour = last_hour(&file);
    assert_eq!(hour["from_secs"], newest - 3300);
    assert_eq!(hour["to_secs"], newest + 300);
    assert_eq!(
        hour["pairs"],
        json!([
            { "src_as": 64503, "dst_as": 64501, "bytes": 4000, "packets": 3999, "flows": 1, "scaled_bytes": 40000,
              "scaled_packets": 39990, "unknown_rate_flows": 0 },
            { "src_as": 64500, "dst_as": 64501, "bytes": 1200, "packets": 1198, "flows": 2, "scaled_bytes": 12000,
              "scaled_packets": 11980, "unknown_rate_flows": 0 },
            { "src_as": 64500, "dst_as": 64502, "bytes": 70, "packets": 69, "flows": 1, "scaled_bytes": 700,
              "scaled_packets": 690, "unknown_rate_flows": 0 },
        ])
    );
    let list = |name: &str, key: &str| -> Vec<(u64, u64)> {
        let rows = hour[name].as_array().unwrap().iter();
        rows.map(|row| (row[key].as_u64().unwrap(), row["bytes"].as_u64().unwrap()))
            .collect()
    };
    assert_eq!(list("sources", "as"), [(64503, 4000), (64500, 1270)]);
    assert_eq!(list("destinations", "as"), [(64501, 5200), (64502, 70)]);
    assert_eq!(list("etypes", "etype"), [(2048, 5200), (34525, 70)]);
    assert_eq!(
        hour["slots"],
        json!([
            { "slot": newest + 300, "state": "open", "partial": 0, "flows": 5, "refused": 1 },
            { "slot": newest, "state": "complete", "partial": 0, "flows": 5, "refused": 321 },
        ])
    );
}

#[test]
fn lists_are_cut_at_their_largest() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rows.db");
    let connection = database(&file);
    for n in 1..=25 {
        row(&connection, 1_700_000_100, (n, n + 100), 2048, i64::from(n));
    }
    let hour = last_hour(&file);
    let column = |name: &str, key: &str| -> Vec<u64> {
        let rows = hour[name].as_array().unwrap().iter();
        rows.map(|row| row[key].as_u64().unwrap()).collect()
    };
    assert_eq!(
        column("pairs", "src_as"),
        (6..=25).rev().collect::<Vec<u64>>()
    );
    assert_eq!(
        column("sources", "as"),
        (16..=25).rev().collect::<Vec<u64>>()
    );
    assert_eq!(
        column("destinations", "as"),
        (116..=125).rev().collect::<Vec<u64>>()
    );
}

#[test]
fn no_database_or_no_tables_are_empty_lists() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent.db");
    let bare = directory.path().join("bare.db");
    let fresh = directory.path().join("fresh.db");
    Connection::open(&bare)
        .unwrap()
        .execute_batch("CREATE TABLE other (x)")
        .unwrap();
    drop(database(&fresh));
    for file in [&absent, &bare, &fresh] {
        let hour = last_hour(file);
        for list in ["pairs", "sources", "destinations", "etypes", "slots"] {
            assert_eq!(hour[list], json!([]), "{} {list}", file.display());
        }
        assert!(hour["from_secs"].is_null() && hour["to_secs"].is_null());
    }
    assert!(!absent.exists(), "reading makes no file");
}

#[test]
fn a_file_that_is_no_database_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rows.db");
    std::fs::write(&file, [b'x'; 4096]).unwrap();
    let server = serve(ANY, Port::Exact, page(Some(file))).unwrap();
    let (code, _, body) = get(&server, "/api/last-hour");
    assert_eq!(code, 503, "{body}");
    assert!(body.contains("not a database"), "{body}");
    assert_eq!(get(&server, "/livez").0, 200);
}

#[test]
fn a_taken_port_is_said_or_passed_over() {
    let holder = TcpListener::bind(ANY).unwrap();
    let taken = holder.local_addr().unwrap();
    let failure = serve(taken, Port::Exact, page(None)).unwrap_err();
    let (exit, what, hint) = failure.parts();
    assert_eq!(exit, Exit::Io);
    assert!(what.starts_with(&format!("http {taken}: ")), "{what}");
    assert!(hint.unwrap().contains("--http"));

    let server = serve(taken, Port::NextFree, page(None)).unwrap();
    let passed = server.address.port() - taken.port();
    assert!((1..=20).contains(&passed), "{passed}");
    assert_eq!(get(&server, "/livez").0, 200);
}

#[test]
fn a_dropped_server_frees_its_port() {
    let server = serve(ANY, Port::Exact, page(None)).unwrap();
    let address = server.address;
    // A connection that says nothing does not hold the end up.
    let _idle = TcpStream::connect(address).unwrap();
    assert_eq!(get(&server, "/livez").0, 200);
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}
