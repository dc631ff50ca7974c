//! Each class of error: its exit code, one line of what and where, at most one of what to do.

use std::net::TcpListener;
use std::path::Path;

use crate::process::{Collecting, run};

struct Case<'a> {
    arguments: &'a [&'a str],
    code: i32,
    /// What the line must say.
    says: &'a [&'a str],
}

fn check(case: &Case<'_>) {
    let ended = run(case.arguments, &[]);
    let context = format!("{:?}: {ended:?}", case.arguments);
    assert_eq!(ended.code, case.code, "{context}");
    assert_eq!(ended.stdout, "", "{context}");
    let mut lines = ended.stderr.lines().filter(|line| !line.starts_with('{'));
    let line = lines.next().unwrap_or_default();
    assert!(line.starts_with("flow-pipeline: "), "{context}");
    for part in case.says {
        assert!(line.contains(part), "{part:?} in {context}");
    }
    assert!(
        lines.next().is_none_or(|hint| hint.starts_with("hint: ")),
        "{context}"
    );
    assert_eq!(lines.next(), None, "{context}");
}

fn text(path: &Path) -> String {
    path.to_str().expect("utf-8").to_owned()
}

#[test]
fn usage() {
    for (arguments, says) in [
        (&["frobnicate"][..], "'frobnicate'"),
        (&["decode"], "<FILE>"),
        (&["decode", "--frob", "x"], "'--frob'"),
        (&["decode", "--format", "xml", "x"], "'xml'"),
        (&["collect", "--listen", "flow://:1"], "--topic"),
        (
            &[
                "collect",
                "--pack-wait",
                "50",
                "--listen",
                "x",
                "--topic",
                "x",
            ],
            "--pack-wait",
        ),
        (
            &[
                "collect",
                "--pack-size",
                "2MiB",
                "--listen",
                "x",
                "--topic",
                "x",
            ],
            "1KiB to 1MiB",
        ),
        (&["--log", "=?", "decode", "x"], "--log"),
    ] {
        check(&Case {
            arguments,
            code: 2,
            says: &[says],
        });
    }
}

#[test]
fn names_that_no_kafka_topic_has_are_told_before_a_broker_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, long) = (text(&folder.path().join("state")), "n".repeat(250));
    let topic = format!("dir://{}", text(&folder.path().join("flows")));
    for name in ["a b", "m#x", "", ".", "..", &long] {
        // Nobody listens there: whoever asked would say so, ten seconds later.
        let url = format!("kafka://127.0.0.1:1/{name}");
        for arguments in [
            &["collect", "--listen", "flow://127.0.0.1:0", "--topic", &url][..],
            &["mock", "--topic", &url],
            &["topic", "create", &url],
            &[
                "run", "--state", &state, "--sink", "stdout:", "--topic", &url,
            ],
            &["run", "--state", &state, "--sink", &url, "--topic", &topic],
        ] {
            check(&Case {
                arguments,
                code: 78,
                says: &["a-z A-Z 0-9 . _ -", "1 to 249"],
            });
        }
    }
}

#[test]
fn urls_and_files_that_are_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("dir://{}", text(&folder.path().join("flows")));
    let state = text(&folder.path().join("state"));
    let missing = text(&folder.path().join("none"));
    let listen = ["collect", "--topic", &url, "--listen"];
    let job = ["run", "--state", &state, "--sink"];
    for (arguments, code, says) in [
        (vec!["decode", &missing], 74, missing.as_str()),
        (vec!["--config", &missing, "decode", "x"], 78, &missing),
        (
            [&listen[..], &["tcp://:1"]].concat(),
            78,
            "tcp://:1: unknown scheme",
        ),
        ([&listen[..], &["flow://"]].concat(), 78, "flow://: "),
        (
            vec![
                "collect",
                "--listen",
                "flow://127.0.0.1:0",
                "--topic",
                "nats://x",
            ],
            78,
            "nats://x",
        ),
        (
            [&job[..], &["stdout:", "--topic", "nats://x"]].concat(),
            78,
            "nats://x",
        ),
    ] {
        check(&Case {
            arguments: &arguments,
            code,
            says: &[says],
        });
    }
}

#[test]
fn a_taken_port_and_a_taken_topic() {
    let folder = tempfile::tempdir().expect("a folder");
    let urls = ["one", "two"].map(|name| format!("dir://{}", text(&folder.path().join(name))));
    let first = Collecting::start("flow://127.0.0.1:0", &urls[0]);
    let taken = format!("flow://{}", first.address());
    let arguments = ["collect", "--listen", &taken, "--topic", &urls[1]];
    check(&Case {
        arguments: &arguments,
        code: 74,
        says: &[&taken, "cannot listen", "in use"],
    });
    let arguments = [
        "collect",
        "--listen",
        "flow://127.0.0.1:0",
        "--topic",
        &urls[0],
    ];
    check(&Case {
        arguments: &arguments,
        code: 75,
        says: &[&urls[0]],
    });
    assert_eq!(first.terminate().code, 0);
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("bound").to_string();
    let listen = [
        "collect",
        "--listen",
        "flow://127.0.0.1:0",
        "--topic",
        &urls[1],
    ];
    let arguments = [&listen[..], &["--http", &address]].concat();
    check(&Case {
        arguments: &arguments,
        code: 74,
        says: &["http", &address, "in use"],
    });
}

#[test]
fn a_job_with_wrong_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let topic = format!("dir://{}", text(&folder.path().join("flows")));
    assert_eq!(
        Collecting::start("flow://127.0.0.1:0", &topic)
            .terminate()
            .code,
        0
    );
    let state = text(&folder.path().join("state"));
    let table = format!("asn={}", text(&folder.path().join("asn.csv")));
    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).expect("made");
    std::fs::write(foreign.join("holiday.jpg"), b"x").expect("written");
    let foreign = text(&foreign);
    let job = ["run", "--until-end", "--topic", &topic];
    let with = |more: &[&str], code, says: &str| {
        check(&Case {
            arguments: &[&job[..], more].concat(),
            code,
            says: &[says],
        });
    };
    with(
        &["--sink", "stdout:", "--state", &state, "--table", &table],
        78,
        "asn.csv",
    );
    with(&["--sink", "stdout:", "--state", &foreign], 78, &foreign);
    with(
        &["--sink", "oracle://x", "--state", &state],
        78,
        "oracle://x",
    );
    with(
        &["--sink", "stdout:", "--state", "/proc/flow-pipeline"],
        74,
        "/proc/flow-pipeline",
    );
    with(
        &["--sink", "stdout:", "--state", &state, "--workers", "0"],
        2,
        "--workers",
    );
}

#[test]
fn a_file_without_a_datagram_and_a_taken_port_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = text(&folder.path().join("empty.pcap"));
    std::fs::write(&empty, "").expect("written");
    check(&Case {
        arguments: &["decode", &empty],
        code: 74,
        says: &[&empty, "no datagram"],
    });
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("bound").to_string();
    let (state, topic) = (
        text(&folder.path().join("state")),
        format!("dir://{}", text(&folder.path().join("flows"))),
    );
    let job = ["run", "--topic", &topic, "--state", &state, "--sink"];
    check(&Case {
        arguments: &[&job[..], &["stdout:", "--http", &address]].concat(),
        code: 74,
        says: &["http", &address, "in use"],
    });
    assert!(!Path::new(&state).exists(), "the job has started");
}

#[test]
fn no_secret_of_a_url_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, file) = (
        text(&folder.path().join("state")),
        text(&folder.path().join("c")),
    );
    for (topic, sink) in [
        ("dir:///x", "postgres://u:wrong/S3CRET@h/d?raw=off"),
        ("dir:///x", "postgres://u:wrong?S3CRET@h/d"),
        ("dir:///x", "clickhouse://u:wrong/S3CRET@h/d"),
        ("dir:///x", "mysql://u:S3CRET@h/d"),
        ("postgre://u:S3CRET@h/d", "stdout:"),
        ("kafka://h/t?ssl.key.pasword=S3CRET", "stdout:"),
        ("kafka://h/t?sasl.password=S3C&RET-part=x", "stdout:"),
    ] {
        let settings = format!("run:\n  topic: {topic}\n  state: {state}\n  sink: ['{sink}']\n");
        std::fs::write(&file, settings).expect("written");
        let job = ["run", "--topic", topic, "--state", &state, "--sink", sink];
        let checked = ["check", "--config", &file];
        for arguments in [&job[..], &[&["check"][..], &job].concat(), &checked] {
            let ended = run(arguments, &[]);
            assert_eq!(ended.code, 78, "{arguments:?}: {ended:?}");
            let said = ended.stdout + &ended.stderr;
            assert!(!said.contains("S3C") && !said.contains("RET"), "{said}");
        }
    }
}

/// In a directory; on a broker it is `tests/rows/remade.rs`.
#[test]
fn of_a_topic_made_anew_the_way_out_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| text(&folder.path().join(name));
    let topic = format!("dir://{}", path("flows"));
    let sink = format!("sqlite://{}", path("flows.db"));
    let state = path("state");
    let mock = |flows: &str| {
        let pace = ["--from", "-2h", "--flows-per-second", "50"];
        let arguments = [&["mock", "--topic", &topic, "--count", flows], &pace[..]].concat();
        let ended = run(&arguments, &[]);
        assert_eq!(ended.code, 0, "{ended:?}");
    };
    let job = ["run", "--until-end", "--topic", &topic, "--state", &state];
    let job = [&job[..], &["--sink", &sink]].concat();
    mock("20000");
    let ended = run(&job, &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    std::fs::remove_dir_all(path("flows")).expect("deleted");
    mock("100");
    let ended = run(&job, &[]);
    assert_eq!(ended.code, 78, "{ended:?}");
    for words in [
        "is not the one this state has read: it ends at offset ",
        "\nhint: to begin with the new topic give --state a new place",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {ended:?}");
    }
}
