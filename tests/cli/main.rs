//! The command line as scripts and supervisors see it: output, one-line errors, exit codes.

mod bad_tables;
mod check;
mod errors;
mod manual;
mod mock;
mod object_store;
mod process;
mod replay;
mod schema;
mod servers;
mod settings;
mod status;
mod swap;
mod tables;
mod templates;
mod topic;

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Command, Stdio};

use process::{Collecting, datagram, records, run};

#[test]
fn help_lists_what_works_and_nothing_else() {
    let help = run(&["--help"], &[]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    for command in [
        "check", "collect", "decode", "demo", "mock", "replay", "run", "schema", "status",
        "tables", "topic", "verify",
    ] {
        assert!(
            help.stdout.contains(&format!("\n  {command} ")),
            "{}",
            help.stdout
        );
        let own = run(&[command, "--help"], &[]);
        assert_eq!(own.code, 0);
        let nested = ["schema", "tables", "topic"].contains(&command);
        assert!(
            nested || own.stdout.contains("FLOW_PIPELINE_"),
            "{}",
            own.stdout
        );
    }
    let sinks = run(&["run", "--help"], &[]).stdout;
    for scheme in [
        "sqlite:///",
        "postgres://",
        "clickhouse://",
        "kafka://",
        "dir:///",
        "stdout:",
    ] {
        let sink = sinks.split("--sink <URL>").nth(2).unwrap_or_default();
        let sink = sink.split("[env:").next().unwrap_or_default();
        assert!(sink.contains(scheme), "{scheme}: {sinks}");
    }
    assert!(!sinks.contains("--tables"));
}

#[test]
fn version() {
    let version = run(&["--version"], &[]);
    assert_eq!(version.code, 0);
    assert_eq!(
        version.stdout,
        concat!("flow-pipeline ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("one.dat");
    std::fs::write(&file, datagram(30, 0)).expect("written");
    // More than a pipe holds: the end must notice.
    let files = vec![file.to_str().expect("utf-8"); 300];
    let mut child = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"))
        .arg("decode")
        .args(&files)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    reader.read_line(&mut first).expect("a line");
    assert!(first.starts_with('{'), "{first}");
    drop(reader);
    let output = child.wait_with_output().expect("ends");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// The first line of a job's standard output, which is then closed; how the job ended.
fn head(arguments: &[&str]) -> (String, Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    reader.read_line(&mut first).expect("a line");
    drop(reader);
    let output = child.wait_with_output().expect("ends");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (first, output.status.code(), stderr)
}

#[test]
fn a_job_whose_reader_has_enough_ends_quietly_if_it_was_for_that_reader_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let topic = format!("dir://{}", path("flows"));
    // More rows than a pipe holds.
    let flows = [
        "--from",
        "-2h",
        "--count",
        "100000",
        "--flows-per-second",
        "50",
    ];
    let mock = run(&[&["mock", "--topic", &topic][..], &flows].concat(), &[]);
    assert_eq!(mock.code, 0, "{}", mock.stderr);
    let (state, second) = (path("state"), path("second"));
    let job = [
        "run",
        "--until-end",
        "--topic",
        &topic,
        "--sink",
        "stdout:",
        "--state",
    ];
    let (first, code, stderr) = head(&[&job[..], &[&state]].concat());
    assert!(first.starts_with('{'), "{first}");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stderr.contains("flow-pipeline: "), "{stderr}");
    let database = format!("sqlite://{}", path("flows.db"));
    let (_, code, stderr) = head(&[&job[..], &[&second, "--sink", &database]].concat());
    assert_eq!(code, Some(74), "{stderr}");
    assert!(
        stderr.contains("flow-pipeline: sink stdout: its reader has gone"),
        "{stderr}"
    );
}

#[test]
fn sigterm_drains_and_what_was_sent_is_in_the_topic() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("dir://{}", folder.path().join("flows").display());
    let collecting = Collecting::start("flow://127.0.0.1:0", &url);
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a sender");
    for n in 0..200 {
        sender
            .send_to(&datagram(30, n * 30), collecting.address())
            .expect("sent");
    }
    let end = collecting.terminate();
    assert_eq!(end.code, 0, "{}", end.stderr);
    assert_eq!(end.stdout, "");
    let totals = "datagrams 200, flows 6000, written 6000; dropped: kernel 0, queue 0, topic 0";
    assert!(end.stderr.contains(totals), "{}", end.stderr);

    let flows: usize = records(&url).iter().map(|record| record.flows).sum();
    assert_eq!(flows, 6000);
}
