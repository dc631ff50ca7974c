//! `mock`: the same seed writes the same bytes; what exporters send is collected whole.

use crate::process::{Collecting, Record, records, run};

const FROM: &str = "2026-01-31T12:00:00Z";
const FROM_MILLIS: i64 = 1_769_860_800_000;

fn mock(folder: &tempfile::TempDir, name: &str, more: &[&str]) -> Vec<Record> {
    let url = format!("dir://{}", folder.path().join(name).display());
    let ended = run(&[&["mock", "--topic", &url][..], more].concat(), &[]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, ""),
        "{}",
        ended.stderr
    );
    records(&url)
}

#[test]
fn the_same_seed_writes_the_same_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = [
        "--from",
        FROM,
        "--count",
        "5000",
        "--flows-per-second",
        "100",
        "--seed",
    ];
    let [one, again, other] = [("a", "7"), ("b", "7"), ("c", "8")]
        .map(|(name, seed)| mock(&folder, name, &[&base[..], &[seed]].concat()));
    assert!(one == again && one != other);
    assert_eq!(one.iter().map(|record| record.flows).sum::<usize>(), 5000);
    // 5000 flows at 100 a second are 50 s of simulated time, whatever the real one is.
    assert!(
        one.iter()
            .all(|r| (FROM_MILLIS..=FROM_MILLIS + 50_100).contains(&r.timestamp_millis))
    );
    assert!(
        one.iter()
            .any(|r| r.timestamp_millis >= FROM_MILLIS + 49_000)
    );
}

#[test]
fn live_flows_beside_records_of_another_time_are_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = |name: &str| format!("dir://{}", folder.path().join(name).display());
    let live = |name: &str| {
        let flags = ["--count", "20", "--flows-per-second", "1000"];
        let ended = run(
            &[&["mock", "--topic", &url(name)][..], &flags].concat(),
            &[],
        );
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.stderr.contains("far from these flows")
    };
    mock(&folder, "old", &["--from", FROM, "--count", "100"]);
    assert!(live("old"), "its records are of another month");
    let made = ["topic", "create", &url("new"), "--timestamps", "create"];
    assert_eq!(run(&made, &[]).code, 0);
    assert!(!live("new") && !live("new"), "its records are of now");
}

#[test]
fn simulated_time_needs_a_topic_that_keeps_it() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(
        mock(
            &folder,
            "live",
            &["--count", "10", "--flows-per-second", "1000"]
        )
        .len(),
        1
    );
    let url = format!("dir://{}", folder.path().join("live").display());
    for (arguments, code, says) in [
        (vec!["mock", "--topic", &url, "--from", "-1h"], 78, "append"),
        (
            vec!["mock", "--topic", &url, "--from", "2100-01-01T00:00:00Z"],
            2,
            "future",
        ),
        (
            vec!["mock", "--udp", "ipfix://127.0.0.1:9", "--from", "-1h"],
            2,
            "--from",
        ),
        (vec!["mock"], 2, "one target"),
        (
            vec!["mock", "--udp", "ftp://127.0.0.1:9"],
            78,
            "unknown scheme",
        ),
        (
            vec!["mock", "--topic", &url, "--flows-per-second", "0"],
            2,
            "--flows-per-second",
        ),
    ] {
        let ended = run(&arguments, &[]);
        assert_eq!(ended.code, code, "{ended:?}");
        let line = ended.stderr.lines().next().unwrap_or_default();
        assert!(
            line.starts_with("flow-pipeline: ") && line.contains(says),
            "{ended:?}"
        );
    }
}

#[test]
fn what_exporters_send_is_collected_whole() {
    for scheme in ["sflow", "netflow-v5", "netflow-v9", "ipfix"] {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("dir://{}", folder.path().join("flows").display());
        let collecting = Collecting::start("flow://127.0.0.1:0", &url);
        let target = format!("{scheme}://{}", collecting.address());
        let base = ["mock", "--udp", &target, "--exporters", "3"];
        let sent = run(
            &[&base[..], &["--count", "500", "--flows-per-second", "5000"]].concat(),
            &[],
        );
        assert_eq!(sent.code, 0, "{}", sent.stderr);
        assert!(sent.stderr.contains("500 flows"), "{}", sent.stderr);
        let end = collecting.terminate();
        assert!(
            end.stderr
                .contains("flows 500, written 500; dropped: kernel 0, queue 0, topic 0\""),
            "{}",
            end.stderr
        );
        assert_eq!(
            records(&url)
                .iter()
                .map(|record| record.flows)
                .sum::<usize>(),
            500
        );
    }
}
