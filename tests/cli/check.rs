//! `check`: it refuses what the command refuses, says why, and leaves everything as it was.

use std::path::Path;

use rusqlite::Connection;

use crate::process::{Ended, run};

/// A folder with a topic of mock flows.
struct World {
    folder: tempfile::TempDir,
    topic: String,
}

fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let topic = format!("dir://{}", folder.path().join("flows").display());
    let mock = [
        "mock", "--topic", &topic, "--from", "-2h", "--count", "3000",
    ];
    assert_eq!(run(&mock, &[]).code, 0);
    World { folder, topic }
}

impl World {
    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str().expect("utf-8").to_owned()
    }

    /// The flags of a job with this state and these sinks.
    fn job(&self, state: &str, sinks: &[&str]) -> Vec<String> {
        let mut line: Vec<String> = ["run", "--topic", &self.topic, "--state"]
            .map(str::to_owned)
            .into();
        line.push(self.path(state));
        for sink in sinks {
            line.extend(["--sink".to_owned(), (*sink).to_owned()]);
        }
        line
    }
}

fn with(before: &[&str], line: &[String]) -> Ended {
    let line: Vec<&str> = before
        .iter()
        .copied()
        .chain(line.iter().map(String::as_str))
        .collect();
    run(&line, &[])
}

/// The line of a check that begins with this word and holds that text.
fn says(ended: &Ended, word: &str, text: &str) {
    let found = ended
        .stdout
        .lines()
        .any(|line| line.starts_with(word) && line.contains(text));
    assert!(found, "no line {word} … {text} in {ended:?}");
}

#[test]
fn a_good_configuration_is_good_before_and_after_the_job_has_run() {
    let world = world();
    let database = format!("sqlite://{}", world.path("flows.db"));
    let job = world.job("state", &[&database]);
    let before = with(&["check", "--connect"], &job);
    assert_eq!(before.code, 0, "{before:?}");
    says(&before, "ok", "4 partitions");
    says(&before, "ok", "state: new");
    says(&before, "ok", "empty");
    says(&before, "warning", "timestamps are create");
    for name in ["state", "flows.db"] {
        assert!(
            !Path::new(&world.path(name)).exists(),
            "check has made {name}"
        );
    }
    let mut to_end = job.clone();
    to_end.push("--until-end".to_owned());
    let ran = with(&[], &to_end);
    assert_eq!(ran.code, 0, "{ran:?}");
    let after = with(&["check", "--connect"], &job);
    assert_eq!(after.code, 0, "{after:?}");
    says(&after, "ok", "checkpoint 1 of job");
    says(&after, "ok", "rows at checkpoint 1");
}

#[test]
fn what_does_not_fit_is_refused_by_check_and_by_run() {
    let world = world();
    let database = format!("sqlite://{}", world.path("flows.db"));
    let mut job = world.job("state", &[&database]);
    job.push("--until-end".to_owned());
    assert_eq!(with(&[], &job).code, 0);
    let foreign = format!("sqlite://{}", world.path("foreign.db"));
    let connection = Connection::open(world.path("foreign.db")).expect("made");
    connection
        .execute_batch("CREATE TABLE slots (a); PRAGMA user_version = 0")
        .expect("SQL");
    let newer = format!("sqlite://{}", world.path("newer.db"));
    std::fs::copy(world.path("flows.db"), world.path("newer.db")).expect("copied");
    let connection = Connection::open(world.path("newer.db")).expect("opens");
    connection
        .execute_batch("PRAGMA user_version = 99")
        .expect("SQL");
    drop(connection);
    std::fs::write(world.path("image.db"), [7; 9000]).expect("written");
    let image = format!("sqlite://{}", world.path("image.db"));
    let link = format!("sqlite://{}", world.path("link.db"));
    std::os::unix::fs::symlink(world.path("flows.db"), world.path("link.db")).expect("linked");
    let late = [
        "--emit-delay".to_owned(),
        "2h".to_owned(),
        "--allowed-lateness".to_owned(),
        "1h".to_owned(),
    ];
    let slower = ["--allowed-lateness".to_owned(), "2h".to_owned()];
    let cases: [(Vec<String>, &[String], i32, &str); 9] = [
        (world.job("new", &[&database]), &[], 78, "written by job"),
        (
            world.job("new", &[&foreign]),
            &[],
            78,
            "table slots: column 1 `a` should be",
        ),
        (world.job("new", &[&newer]), &[], 78, "version 99"),
        (world.job("new", &[&image]), &[], 78, "something else"),
        (
            world.job("new", &["sqlite:///proc/x.db"]),
            &[],
            74,
            "/proc/x.db",
        ),
        (
            world.job("new", &["sqlite:///dev/full"]),
            &[],
            74,
            "/dev/full",
        ),
        (
            world.job("state", &[&database, &link]),
            &[],
            78,
            "given twice",
        ),
        (world.job("state", &[&database]), &late, 78, "--emit-delay"),
        (
            world.job("state", &[&database]),
            &slower,
            78,
            "allowed-lateness",
        ),
    ];
    for (line, more, code, text) in cases {
        let line = [line, more.to_vec(), vec!["--until-end".to_owned()]].concat();
        let checked = with(&["check", "--connect"], &line);
        assert_eq!(checked.code, code, "{checked:?}");
        says(&checked, "error", text);
        let ran = with(&[], &line);
        assert_eq!(ran.code, code, "{line:?} {ran:?}");
        assert!(ran.stderr.contains(text), "{line:?} {ran:?}");
    }
}

#[test]
fn one_store_under_two_names_and_the_topic_as_a_sink_are_seen_in_the_urls() {
    let world = world();
    let job = |topic: &str, sinks: &[&str]| {
        let state = world.path("none");
        let mut line = vec!["check", "run", "--topic", topic, "--state", &state];
        sinks.iter().for_each(|sink| line.extend(["--sink", sink]));
        run(&line, &[])
    };
    for (one, other) in [
        (
            "postgres://localhost:5432/d?raw=off",
            "postgres://127.0.0.1/d?raw=off",
        ),
        (
            "postgres://u@[::1]/d?raw=off",
            "postgresql://LOCALHOST/d?raw=off",
        ),
        ("clickhouse://h/d?raw=off", "clickhouse://h:8123/d?raw=off"),
        ("kafka://h/t", "kafka://H:9092/t"),
    ] {
        let checked = job(&world.topic, &[one, other]);
        assert_eq!(checked.code, 78, "{one} {other}: {checked:?}");
        says(&checked, "error", "given twice");
    }
    let apart = job(
        &world.topic,
        &["clickhouse://h/d?raw=off", "clickhouse://h/e?raw=off"],
    );
    assert_eq!(apart.code, 0, "{apart:?}");
    let round = job(
        "kafka://localhost:9092/t",
        &["kafka://127.0.0.1/t?framing=bare"],
    );
    assert_eq!(round.code, 78, "{round:?}");
    says(&round, "error", "is the topic that the job reads");
}

#[test]
fn every_section_of_a_configuration_is_checked() {
    let world = world();
    let file = world.path("flow-pipeline.yaml");
    let write = |text: &str| std::fs::write(&file, text).expect("written");
    let check = || run(&["check", "--config", &file], &[]);
    let topic = &world.topic;
    let (asn, state) = (world.path("asn.csv"), world.path("state"));
    let rows: String = (0..4000)
        .map(|n| format!("10.{}.{}.0/24,64500\n", n / 256, n % 256))
        .collect();
    std::fs::write(&asn, rows + "nonsense\n").expect("written");
    let run_section = format!(
        "run:\n  topic: {topic}\n  state: {state}\n  sink: \"stdout:\"\n  table: asn={asn}\n"
    );
    write(&format!(
        "collect:\n  listen: [\"sflow://:6343\", \"netflow://:2055\"]\n  topic: {topic}\n{run_section}"
    ));
    let good = check();
    assert_eq!(good.code, 0, "{good:?}");
    says(&good, "ok", "collect: listen");
    says(&good, "ok", "run: sink stdout:");
    says(&good, "warning", "4000 rows, 1 kept out");

    write(&format!("collect:\n  listen: tcp://:1\n{run_section}"));
    let bad = check();
    assert_eq!(bad.code, 78, "{bad:?}");
    says(&bad, "error", "collect: the following required arguments");
    write("collect:\n  listen: [\"sflow://:6343\", \"flow://:6343\"]\n  topic: nats://x\n");
    let bad = check();
    assert_eq!(bad.code, 78, "{bad:?}");
    says(&bad, "error", "flow://:6343: given twice");
    says(&bad, "error", "nats://x");
    write("run:\n  topci: x\n");
    let bad = check();
    assert_eq!(bad.code, 78, "{bad:?}");
    assert!(bad.stderr.contains(":2: unknown key topci"), "{bad:?}");
    assert_eq!(run(&["check"], &[]).code, 2);
    assert_eq!(run(&["check", "decode", "x"], &[]).code, 2);
}

#[test]
fn a_state_that_a_job_holds_is_seen_by_its_lock() {
    let world = world();
    let state = world.path("state");
    let held = flow_state::StateStore::open(Path::new(&state)).expect("opened");
    let line = world.job("state", &["stdout:"]);
    let taken = with(&["check", "--connect"], &line);
    assert_eq!(taken.code, 75, "{taken:?}");
    says(&taken, "error", "taken by another job");
    drop(held);
    assert_eq!(with(&["check", "--connect"], &line).code, 0);
}

#[test]
fn whose_the_stores_are_is_not_judged_while_the_state_is_taken() {
    let world = world();
    let enriched = format!("dir://{}", world.path("enriched"));
    let database = format!("sqlite://{}", world.path("flows.db"));
    let job = world.job("state", &[&enriched, &database]);
    let to_end = [&job[..], &["--until-end".to_owned()]].concat();
    assert_eq!(with(&[], &to_end).code, 0);
    let state = world.path("state");
    let held = flow_state::StateStore::open(Path::new(&state)).expect("opened");
    let taken = with(&["check", "--connect"], &job);
    assert_eq!(taken.code, 75, "{taken:?}");
    says(&taken, "error", "taken by another job");
    for sink in ["enriched: raw flows at", "flows.db: rows at checkpoint 1"] {
        says(&taken, "ok", sink);
    }
    let unjudged = "whether this job has written them is not known without its state";
    assert_eq!(taken.stdout.matches(unjudged).count(), 2, "{taken:?}");
    assert!(!taken.stdout.contains("is new"), "{taken:?}");
    drop(held);
    let free = with(&["check", "--connect"], &job);
    assert_eq!(free.code, 0, "{free:?}");
    assert!(!free.stdout.contains(unjudged), "{free:?}");
    let other = with(
        &["check", "--connect"],
        &world.job("another", &[&enriched, &database]),
    );
    assert_eq!(other.code, 78, "{other:?}");
    assert_eq!(other.stdout.matches("written by job").count(), 2);
}

#[test]
fn of_several_errors_what_has_to_be_changed_is_the_exit_code() {
    let world = world();
    let (unreadable, full) = ("postgres://u@127.0.0.1:1/d", "sqlite:///dev/full");
    let missing = "sqlite:///f.db?retention=never";
    let state = world.path("state");
    let _held = flow_state::StateStore::open(Path::new(&state)).expect("opened");
    for (state, sinks, code) in [
        ("free", &[unreadable][..], 69),
        ("state", &[unreadable], 75),
        ("state", &["stdout:", unreadable], 75),
        ("state", &[unreadable, full], 74),
        ("state", &[unreadable, full, missing], 78),
    ] {
        let checked = with(&["check", "--connect"], &world.job(state, sinks));
        assert_eq!(checked.code, code, "{checked:?}");
        let errors = checked.stdout.matches("\nerror ").count();
        let begins = usize::from(checked.stdout.starts_with("error "));
        let taken = usize::from(state == "state");
        let wrong = sinks.iter().filter(|sink| **sink != "stdout:").count();
        assert_eq!(errors + begins, taken + wrong, "{checked:?}");
    }
}

#[test]
fn simulated_time_into_a_live_topic_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let topic = format!("dir://{}", folder.path().join("live").display());
    assert_eq!(run(&["topic", "create", &topic], &[]).code, 0);
    let mock = ["mock", "--topic", &topic].map(str::to_owned);
    assert_eq!(with(&["check", "--connect"], &mock).code, 0);
    let from = [&mock[..], &["--from".to_owned(), "-1h".to_owned()]].concat();
    let checked = with(&["check", "--connect"], &from);
    assert_eq!(checked.code, 78, "{checked:?}");
    says(&checked, "error", "append");
    assert_eq!(with(&[], &from).code, 78);
}
