//! Precedence, derived names and refusals, on a small command line of the tests' own.

use std::ffi::OsString;
use std::io::Write;

use clap::{Parser, Subcommand};

use super::*;
use crate::failure::Exit;
use std::path::PathBuf;

#[derive(Debug, Parser)]
#[command(name = "t")]
struct Line {
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[arg(long, global = true, default_value = "info")]
    log: String,
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Fetch {
        #[arg(long, required = true)]
        topic: String,
        #[arg(long)]
        sink_url: Vec<String>,
        #[arg(long, default_value_t = 1)]
        workers: u8,
        #[arg(long)]
        until_end: bool,
    },
}

fn line(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Line, Failure> {
    let arguments = std::iter::once("t")
        .chain(arguments.iter().copied())
        .map(OsString::from);
    parse(
        arguments,
        environment
            .iter()
            .map(|(n, v)| (OsString::from(n), OsString::from(v))),
    )
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn workers(line: Line) -> u8 {
    let Sub::Fetch { workers, .. } = line.command;
    workers
}

#[test]
fn flag_then_environment_then_file_then_default() {
    let file = file("fetch:\n  workers: 2\n  topic: t\n");
    let path = file.path().to_str().expect("utf-8");
    let base = ["fetch", "--config", path];
    let env = [("FLOW_PIPELINE_FETCH__WORKERS", "3")];
    let flag = ["fetch", "--config", path, "--workers", "4"];
    assert_eq!(
        workers(line(&["fetch", "--topic", "t"], &[]).expect("default")),
        1
    );
    assert_eq!(workers(line(&base, &[]).expect("file")), 2);
    assert_eq!(workers(line(&base, &env).expect("environment")), 3);
    assert_eq!(workers(line(&flag, &env).expect("flag")), 4);
}

#[test]
fn lists_switches_and_top_keys() {
    let file = file("log: warn\nfetch:\n  topic: t\n  sink-url: [a, b]\n  until-end: true\n");
    let path = file.path().to_str().expect("utf-8");
    let env = [
        ("FLOW_PIPELINE_CONFIG", path),
        ("HOME", "/"),
        ("FLOW_PIPELINE_SHARED", "/x"),
    ];
    let read = line(&["fetch"], &env).expect("reads");
    assert_eq!(read.log, "warn");
    let Sub::Fetch {
        topic,
        sink_url,
        until_end,
        ..
    } = read.command;
    assert_eq!(
        (topic.as_str(), sink_url, until_end),
        ("t", vec!["a".into(), "b".into()], true)
    );

    let env = [env[0], ("FLOW_PIPELINE_FETCH__SINK_URL", "c  d")];
    let Sub::Fetch { sink_url, .. } = line(&["fetch"], &env).expect("reads").command;
    assert_eq!(sink_url, ["c", "d"]);
    let Sub::Fetch { sink_url, .. } = line(&["fetch", "--sink-url", "e"], &env)
        .expect("reads")
        .command;
    assert_eq!(sink_url, ["e"], "a flag replaces the whole list");
}

#[test]
fn names_that_mean_nothing_are_refused_with_the_nearest() {
    for (text, what, hint) in [
        (
            "fetch:\n  topci: t\n",
            "f:2: unknown key topci in section fetch",
            "the nearest is topic",
        ),
        (
            "fetc:\n  topic: t\n",
            "f:2: unknown section fetc",
            "the nearest is fetch",
        ),
        ("lok: x\n", "f:1: unknown key lok", "the nearest is log"),
        (
            "fetch:\n  password: t\n",
            "f:2: unknown key password in section fetch",
            "known: topic, ",
        ),
        (
            "fetch:\n  config: t\n",
            "f:2: unknown key config in section fetch",
            "known: topic, ",
        ),
    ] {
        let file = file(text);
        let path = file.path().to_str().expect("utf-8");
        let failure = line(&["fetch", "--config", path], &[]).expect_err(text);
        let (exit, got, got_hint) = failure.parts();
        assert_eq!(
            (exit, got.replace(path, "f").as_str()),
            (Exit::Config, what)
        );
        assert!(got_hint.expect("a hint").starts_with(hint), "{got_hint:?}");
    }
    let failure = line(&["fetch"], &[("FLOW_PIPELINE_FETCH__TOPIK", "t")]).expect_err("unknown");
    let (exit, what, hint) = failure.parts();
    assert_eq!(exit, Exit::Config);
    assert_eq!(
        what,
        "environment variable FLOW_PIPELINE_FETCH__TOPIK is unknown"
    );
    assert_eq!(hint, Some("the nearest is FLOW_PIPELINE_FETCH__TOPIC"));
}

#[test]
fn wrong_values_are_blamed_on_their_place_and_not_repeated() {
    let file = file("fetch:\n  workers: hunter2\n");
    let path = file.path().to_str().expect("utf-8");
    for (environment, place) in [
        (
            vec![("FLOW_PIPELINE_CONFIG", path)],
            format!("{path}:2: workers: "),
        ),
        (
            vec![("FLOW_PIPELINE_FETCH__WORKERS", "hunter2")],
            "environment variable FLOW_PIPELINE_FETCH__WORKERS: workers: ".to_owned(),
        ),
    ] {
        let failure = line(&["fetch"], &environment).expect_err("refused");
        let (exit, what, _) = failure.parts();
        assert_eq!(exit, Exit::Config);
        assert!(
            what.starts_with(&place) && !what.contains("hunter2"),
            "{what}"
        );
    }
    let twice = self::file("fetch:\n  topic: [a, b]\n");
    let path = twice.path().to_str().expect("utf-8");
    let failure = line(&["fetch", "--config", path], &[]).expect_err("refused");
    assert!(
        failure.parts().1.ends_with(":2: topic: takes one value"),
        "{failure:?}"
    );
}

#[test]
fn usage_is_one_line_and_a_hint() {
    for (arguments, what, hint) in [
        (
            vec!["fetch"],
            "the following required arguments were not provided: --topic <TOPIC>",
            "",
        ),
        (
            vec!["fetch", "--topik", "x"],
            "unexpected argument '--topik' found",
            "a similar argument",
        ),
        (
            vec!["fetsch"],
            "unrecognized subcommand 'fetsch'",
            "a similar subcommand exists: 'fetch'",
        ),
    ] {
        let failure = line(&arguments, &[]).expect_err("refused");
        let (exit, got, got_hint) = failure.parts();
        assert_eq!((exit, got), (Exit::Usage, what));
        assert!(got_hint.expect("a hint").contains(hint), "{got_hint:?}");
    }
}

#[test]
fn help_names_the_variable_and_hides_configured_values() {
    let file = file("fetch:\n  topic: secret-value\n");
    let path = file.path().to_path_buf();
    let settings = file::read(&path).expect("reads");
    let mut command = names::describe(Line::command());
    for setting in &settings {
        command = apply(command, setting).expect("applies");
    }
    let help = command
        .find_subcommand_mut("fetch")
        .expect("fetch")
        .render_long_help()
        .to_string();
    assert!(
        help.contains("FLOW_PIPELINE_FETCH__SINK_URL, separated by blanks"),
        "{help}"
    );
    assert!(!help.contains("secret-value"), "{help}");
}
