//! `replay` and `verify` refuse what does not fit in one line, before anything is written.

use std::path::Path;

use crate::process::{Ended, run};

/// A job over mock flows of 40 minutes, in a folder.
fn job(folder: &Path, name: &str, seed: &str) -> [String; 6] {
    let place = |what: &str| folder.join(format!("{name}.{what}")).display().to_string();
    let (topic, sink) = (
        format!("dir://{}", place("flows")),
        format!("sqlite://{}", place("db")),
    );
    let from = ["--from", "2026-11-24T00:00:00Z", "--flows-per-second", "10"];
    let mocked = run(
        &[
            &[
                "mock", "--topic", &topic, "--count", "24000", "--seed", seed,
            ],
            &from[..],
        ]
        .concat(),
        &[],
    );
    assert_eq!(mocked.code, 0, "{mocked:?}");
    let (topic, state) = (
        ["--topic".to_owned(), topic],
        ["--state".to_owned(), place("state")],
    );
    let all: Vec<String> = [topic, state, ["--sink".to_owned(), sink]].concat();
    let words: Vec<&str> = all.iter().map(String::as_str).collect();
    let ran = run(&[&["run", "--until-end"], &words[..]].concat(), &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    all.try_into().expect("six words")
}

fn verify(words: &[String], range: [&str; 2]) -> Ended {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    run(
        &[
            &["verify", "--from", range[0], "--to", range[1]],
            &words[..],
        ]
        .concat(),
        &[],
    )
}

const RANGE: [&str; 2] = ["2026-11-24T00:00:00Z", "2026-11-24T00:30:00Z"];

#[test]
fn a_job_that_began_later_is_verified_from_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = job(folder.path(), "whole", "1");
    let state = folder.path().join("later").display().to_string();
    let sink = format!("sqlite://{state}.db");
    let [_, topic, ..] = &whole;
    let later = ["--topic", topic, "--state", &state, "--sink", &sink];
    let ran = run(
        &[
            &["run", "--until-end", "--start", "2026-11-24T00:12:30Z"],
            &later[..],
        ]
        .concat(),
        &[],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let words = later.map(str::to_owned);
    let same = verify(&words, RANGE);
    assert_eq!((same.code, same.stdout.as_str()), (0, ""), "{same:?}");
    // With what came before its start, the slot that it had cut off is whole.
    let replay = ["replay", "--json", "--from", RANGE[0], "--to", RANGE[1]];
    let more = run(&[&replay[..], &later[..]].concat(), &[]);
    let slots: Vec<&str> = more
        .stdout
        .lines()
        .filter_map(|line| line.split("\"slot\":\"").last()?.get(..20))
        .collect();
    assert_eq!(slots, ["2026-11-24T00:10:00Z"], "{more:?}");
}

#[test]
fn what_does_not_fit_is_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (
        job(folder.path(), "one", "1"),
        job(folder.path(), "other", "2"),
    );
    let good = verify(&one, RANGE);
    assert_eq!((good.code, good.stdout.as_str()), (0, ""), "{good:?}");
    let nowhere = |word: &str| format!("{word}x");
    let mixed = |topic: &str, state: &str, sink: &str| {
        ["--topic", topic, "--state", state, "--sink", sink].map(str::to_owned)
    };
    let [_, topic, _, state, _, sink] = &one;
    let [_, other_topic, _, _, _, other_sink] = &other;
    let file = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    std::fs::write(folder.path().join("empty.db"), "").expect("a file");
    std::fs::create_dir(folder.path().join("folder.db")).expect("a folder");
    let path = |url: &str| url.trim_start_matches("sqlite://").to_owned();
    std::fs::copy(path(sink), folder.path().join("changed.db")).expect("a copy");
    let changed = rusqlite::Connection::open(path(&file("changed.db"))).expect("a database");
    let rename = "ALTER TABLE rollup_5m RENAME COLUMN packets TO pkts";
    changed.execute(rename, []).expect("sql");
    drop(changed);
    for (words, range, code, said) in [
        (
            mixed(topic, state, sink),
            [RANGE[1], RANGE[0]],
            2,
            "no slot lies between them",
        ),
        (
            mixed(topic, state, other_sink),
            RANGE,
            78,
            "another job has written it than that of state",
        ),
        (
            mixed(other_topic, state, sink),
            RANGE,
            78,
            "is not the one this state has read",
        ),
        (
            mixed(&nowhere(topic), state, sink),
            RANGE,
            78,
            "no such topic",
        ),
        (
            mixed(topic, &nowhere(state), sink),
            RANGE,
            78,
            "no state of a job",
        ),
        (
            mixed(topic, state, &nowhere(sink)),
            RANGE,
            78,
            "no such file; name the file that the job writes",
        ),
        (
            mixed(topic, state, &file("empty.db")),
            RANGE,
            78,
            "has no tables of this program; name the store that the job writes, or make them: flow-pipeline schema apply",
        ),
        (
            mixed(topic, state, &file("folder.db")),
            RANGE,
            78,
            "is no file; name the file that the job writes",
        ),
        (
            mixed(topic, state, &file("changed.db")),
            RANGE,
            78,
            "no such column: packets; its tables are not as they should be: see flow-pipeline schema diff",
        ),
        (
            mixed(topic, state, "stdout:"),
            RANGE,
            78,
            "has no table of slots",
        ),
        (
            mixed(topic, state, "oracle://x"),
            RANGE,
            78,
            "unknown scheme",
        ),
    ] {
        let ended = verify(&words, range);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (code, ""),
            "{said}: {ended:?}"
        );
        let line = ended
            .stderr
            .lines()
            .find(|line| line.starts_with("flow-pipeline: "));
        assert!(
            line.is_some_and(|line| line.contains(said)),
            "{said}: {ended:?}"
        );
    }
}
