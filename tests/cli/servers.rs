//! `schema` and `check --connect` on real servers: what is wrong with one is one line and the right exit code.
//!
//! Addresses come from the environment, as `scripts/services` prints them.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::process::{Ended, run};

/// An address of a server, or `None` and a line that says so.
fn server(name: &str) -> Option<String> {
    let found = std::env::var(format!("FLOW_PIPELINE_TEST_{name}")).ok();
    if found.is_none() {
        let text = format!("SKIPPED: FLOW_PIPELINE_TEST_{name} is not set: no server to test with");
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    found
}

/// A name that no other run has.
fn unique(word: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
    format!("{word}_{}_{}", std::process::id(), now.as_nanos())
}

/// A store of our own: in PostgreSQL a schema, in ClickHouse a database.
fn store(kind: &str) -> Option<String> {
    let url = server(kind)?;
    let name = unique("cli");
    Some(if kind == "POSTGRES" {
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}schema={name}")
    } else {
        format!("{}/{name}", url.trim_end_matches('/'))
    })
}

fn check(topic: &str, state: &str, sink: &str) -> Ended {
    let job = ["--topic", topic, "--state", state, "--sink", sink];
    run(&[&["check", "--connect", "run"][..], &job].concat(), &[])
}

#[test]
fn a_store_is_empty_then_made_then_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (topic, state) = (format!("dir://{}", path("flows")), path("state"));
    let made = ["topic", "create", &topic, "--partitions", "1"];
    assert_eq!(run(&made, &[]).code, 0);
    for kind in ["POSTGRES", "CLICKHOUSE"] {
        let Some(url) = store(kind) else { return };
        let schema = |command: &str| run(&["schema", command, "--sink", &url], &[]);
        let printed = schema("print");
        assert_eq!(printed.code, 0, "{printed:?}");
        assert!(printed.stdout.contains("rollup_5m"), "{printed:?}");
        let before = check(&topic, &state, &url);
        assert_eq!(before.code, 0, "{before:?}");
        assert!(before.stdout.contains("made at the start"), "{before:?}");
        assert_eq!(schema("diff").code, 1, "{kind}: check has made the schema");
        let applied = schema("apply");
        assert_eq!(applied.code, 0, "{applied:?}");
        assert!(!applied.stdout.is_empty(), "{kind}");
        for command in ["diff", "apply"] {
            let nothing = schema(command);
            assert_eq!(
                (nothing.code, nothing.stdout.as_str()),
                (0, ""),
                "{nothing:?}"
            );
        }
        let after = check(&topic, &state, &url);
        assert_eq!(after.code, 0, "{after:?}");
        assert!(
            after.stdout.contains("no rows yet, no raw flows yet"),
            "{after:?}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_server_is_one_line_without_its_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (topic, state) = (format!("dir://{}", path("flows")), path("state"));
    let made = ["topic", "create", &topic, "--partitions", "1"];
    assert_eq!(run(&made, &[]).code, 0);
    let (Some(postgres), Some(clickhouse)) = (server("POSTGRES"), server("CLICKHOUSE")) else {
        return;
    };
    let place = |url: &str| {
        let rest = url.split_once("://").expect("a URL").1;
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        host.split(['/', '?']).next().expect("a host").to_owned()
    };
    let (postgres_at, clickhouse_at) = (place(&postgres), place(&clickhouse));
    let mut cases = vec![
        ("postgres://u:hunter2@127.0.0.1:1/d".to_owned(), 69),
        ("clickhouse://u:hunter2@127.0.0.1:1/d".to_owned(), 69),
        (format!("postgres://nobody:hunter2@{postgres_at}/none"), 78),
        (
            format!("clickhouse://nobody:hunter2@{clickhouse_at}/none"),
            78,
        ),
    ];
    if let Some(kafka) = server("KAFKA") {
        let missing = format!("kafka://{kafka}/{}", unique("none"));
        let ended = run(&["topic", "describe", &missing], &[]);
        assert_eq!(ended.code, 78, "{ended:?}");
        assert!(ended.stderr.contains("topic create"), "{ended:?}");
        cases.push(("stdout:".to_owned(), 0));
    }
    for (url, code) in cases {
        let checked = check(&topic, &state, &url);
        assert_eq!(checked.code, code, "{url}: {checked:?}");
        let job = ["--topic", &topic, "--state", &state, "--until-end"];
        let ran = run(&[&["run", "--sink", &url][..], &job].concat(), &[]);
        assert_eq!(ran.code, code, "{url}: {ran:?}");
        for text in [&checked.stdout, &checked.stderr, &ran.stderr] {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}

#[test]
fn a_kafka_topic_is_made_described_and_read() {
    let Some(kafka) = server("KAFKA") else { return };
    let url = format!("kafka://{kafka}/{}", unique("cli"));
    let make = [
        "create",
        &url,
        "--partitions",
        "2",
        "--timestamps",
        "create",
    ];
    let made = run(&[&["topic"][..], &make].concat(), &[]);
    assert_eq!(made.code, 0, "{made:?}");
    let again = run(&[&["topic"][..], &make].concat(), &[]);
    assert_eq!(again.code, 78, "{again:?}");
    let flows = ["--from", "2026-01-31T12:00:00Z", "--count", "500"];
    let mock = run(&[&["mock", "--topic", &url][..], &flows].concat(), &[]);
    assert_eq!(mock.code, 0, "{mock:?}");
    let described = run(&["topic", "describe", &url, "--json"], &[]);
    let all: serde_json::Value = serde_json::from_str(&described.stdout).expect("JSON");
    assert_eq!(all["timestamps"], "create", "{described:?}");
    assert_eq!(all["partitions"].as_array().map(Vec::len), Some(2));
    let first = all["partitions"][0]["first_time"].as_str().expect("a time");
    assert!(first.starts_with("2026-01-31T12:00:"), "{first}");
    let tail = ["topic", "tail", &url, "--from", "earliest", "--until-end"];
    let read = run(&tail, &[]);
    assert_eq!(
        (read.code, read.stdout.lines().count()),
        (0, 500),
        "{}",
        read.stderr
    );
}
