//! `tables check|lookup|diff`: what scripts read, and the exit codes; `--table` and `--asn-order` as a job takes them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::process::{Ended, run};

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn tables(words: &[&str]) -> Ended {
    run(&[&["tables"], words].concat(), &[])
}

fn lines(ended: &Ended) -> Vec<Value> {
    let parsed = ended.stdout.lines().map(serde_json::from_str);
    parsed.collect::<Result<_, _>>().expect("JSON lines")
}

#[test]
fn check_counts_and_ends_by_what_was_kept_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let clean = written(
        folder.path(),
        "a.csv",
        "10.0.0.0/8,1\n10.1.0.0/16,2\n10.1.0.0/16,3\n",
    );
    let table = format!("asn={clean}");
    let ended = tables(&["check", "--table", &table, "--json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let found = lines(&ended);
    let counts = [
        "rows",
        "bad_rows",
        "contradictions",
        "nested",
        "distinct_values",
    ];
    assert_eq!(
        counts.map(|name| found[0][name].as_u64()),
        [3, 0, 1, 1, 2].map(Some)
    );
    assert_eq!(found[0]["v4_addresses"], 1 << 24);
    assert_eq!(
        (&found[1]["table"], &found[1]["ranges"]),
        (&"asn".into(), &3.into())
    );
    let rows: String = (0..2000)
        .map(|n| format!("10.{}.{}.0/24,7\n", n / 256, n % 256))
        .collect();
    let flawed = written(folder.path(), "b.csv", &format!("{rows}x,7\n"));
    let ended = tables(&["check", "--table", &format!("asn={flawed}")]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.stdout.contains("  bad: line 2001: "),
        "{}",
        ended.stdout
    );
    let wrong = written(folder.path(), "c.csv", "<html>\n");
    let ended = tables(&["check", "--table", &format!("asn={wrong}")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (78, ""));
    assert!(ended.stderr.contains("HTML or XML"), "{}", ended.stderr);
    let ended = tables(&["check", "--table", "ans=x"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("did you mean asn?"),
        "{}",
        ended.stderr
    );
}

#[test]
fn lookup_names_the_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = written(folder.path(), "own.csv", "# ours\n10.1.0.0/16,64500\n");
    let all = written(folder.path(), "all.csv", "10.0.0.0/8,1\n10.1.2.0/24,2\n");
    let names = written(folder.path(), "names.csv", "64500,Example\n");
    let sources = [
        format!("asn={own}"),
        format!("asn={all}"),
        format!("as-names={names}"),
    ];
    let mut words = vec!["lookup", "10.1.2.3", "10.2.0.0", "192.0.2.1"];
    words.extend(sources.iter().flat_map(|source| ["--table", source]));
    let ended = tables(&words);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(
        ended.stdout,
        format!(
            "10.1.2.3  asn 64500 (Example)  10.1.0.0/16  {own} line 2\n\
             10.2.0.0  asn 1  10.0.0.0/8  {all} line 1\n192.0.2.1  no value\n"
        )
    );
    words.push("--json");
    let found = lines(&tables(&words));
    assert_eq!(
        (&found[0]["value"], &found[0]["line"]),
        (&"64500".into(), &2.into())
    );
    assert!(found[2]["table"].is_null());
}

/// The tables of a job, by version, after a change of one value and of the order.
#[test]
fn versions_of_a_job_are_looked_into_and_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (topic, state) = (format!("dir://{}", path("flows")), path("state"));
    let sink = format!("sqlite://{}", path("flows.db"));
    let from = "2026-11-24T00:00:00Z";
    let mock = ["mock", "--topic", &topic, "--count", "1000", "--from", from];
    assert_eq!(run(&mock, &[]).code, 0);
    for (asn, order) in [
        ("10.0.0.0/8,1\n", "table,flow"),
        ("10.0.0.0/9,1\n10.128.0.0/9,2\n", "flow"),
    ] {
        let table = format!("asn={}", written(folder.path(), "t.csv", asn));
        let job = [
            "run",
            "--topic",
            &topic,
            "--state",
            &state,
            "--sink",
            &sink,
            "--until-end",
        ];
        let with = ["--table", &table, "--asn-order", order];
        // Far from the ones before, and meant.
        let meant = ["--max-range-change", "1000", "--max-address-change", "100"];
        let ended = run(&[&job[..], &with, &meant].concat(), &[]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    let looked = |version: &str| {
        let words = [
            "lookup",
            "10.200.0.1",
            "--state",
            &state,
            "--tables",
            version,
        ];
        tables(&words).stdout
    };
    assert_eq!(looked("1"), "10.200.0.1  asn 1  10.0.0.0/8  version 1\n");
    assert_eq!(looked("2"), "10.200.0.1  asn 2  10.128.0.0/9  version 2\n");
    let same = tables(&["diff", "2", "2", "--state", &state]);
    assert_eq!(same.code, 0, "{}", same.stderr);
    let ended = tables(&["diff", "1", "2", "--state", &state]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let expected = "asn IPv4: 0 ranges added, 0 removed, 1 changed; 50.000 % of the addresses that have a value\n";
    assert!(
        ended.stdout.starts_with(expected),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    assert!(ended.stdout.contains("10.128.0.0/9"), "{}", ended.stdout);
    let ended = tables(&["lookup", "10.0.0.1", "--state", &state, "--tables", "9"]);
    assert_eq!(ended.code, 78);
    assert!(ended.stderr.contains("there are: 1, 2"), "{}", ended.stderr);
}

#[test]
fn an_order_without_a_table_is_refused() {
    let job = [
        "run", "--topic", "dir:///t", "--state", "s", "--sink", "stdout:",
    ];
    let alone = [&job[..], &["--asn-order", "flow"]].concat();
    assert_eq!(run(&alone, &[]).code, 2);
}

/// Counted by the addresses as `topic tail` prints them, and a prefix by hand.
#[test]
fn diff_tells_how_much_traffic_a_change_concerns() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let topic = format!("dir://{}", path("flows"));
    let mock = [
        "mock",
        "--topic",
        &topic,
        "--count",
        "3000",
        "--flows-per-second",
        "1",
        "--from",
        "-2h",
    ];
    assert_eq!(run(&mock, &[]).code, 0);
    std::fs::write(path("old"), "0.0.0.0/0,1\n::/0,1\n").expect("a table");
    std::fs::write(path("new"), "0.0.0.0/0,1\n10.16.0.0/12,2\n::/0,1\n").expect("a table");
    let (old, new) = (
        format!("asn={}", path("old")),
        format!("asn={}", path("new")),
    );
    let (mut flows, mut bytes) = ([0_u64; 2], [0_u64; 2]);
    let tail = [
        "topic",
        "tail",
        &topic,
        "--from",
        "earliest",
        "--until-end",
        "--format",
        "json",
    ];
    for line in run(&tail, &[]).stdout.lines() {
        let flow: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let is_in = |side: &str| match flow[side].as_str().and_then(|text| text.parse().ok()) {
            Some(std::net::IpAddr::V4(address)) => u32::from(address) >> 20 == 0x0a1,
            _ => false,
        };
        let number = |name: &str| flow[name].as_u64().unwrap_or(0);
        let scaled = number("bytes") * number("sampling_rate").max(1);
        let concerned = is_in("src_addr") || is_in("dst_addr");
        for (n, counts) in [true, concerned].into_iter().enumerate() {
            flows[n] += u64::from(counts);
            bytes[n] += if counts { scaled } else { 0 };
        }
    }
    assert!(flows[0] == 3_000 && flows[1] > 100, "{flows:?}");
    let words = [
        "diff", &old, &new, "--topic", &topic, "--from", "-3h", "--json",
    ];
    let ended = tables(&words);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let line = ended.stdout.lines().last().expect("a line");
    let said: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let number = |name: &str| match &said[name] {
        serde_json::Value::String(text) => text.parse().expect("a number"),
        number => number.as_u64().expect("a number"),
    };
    assert_eq!([number("flows"), number("changed_flows")], flows);
    assert_eq!(
        [number("scaled_bytes"), number("changed_scaled_bytes")],
        bytes
    );
    // Of nothing there is no share.
    let ended = tables(&["diff", &old, &new, "--topic", &topic]);
    assert!(
        ended.stdout.contains(": 0 flows, 0 bytes"),
        "{}",
        ended.stdout
    );
    assert_eq!(tables(&["diff", &old, &new, "--from", "-3h"]).code, 2);
}
