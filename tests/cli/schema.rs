//! `schema`: what is printed makes the database that the job makes, and differences are seen.

use rusqlite::Connection;

use crate::process::{Ended, run};

fn schema(arguments: &[&str]) -> Ended {
    run(&[&["schema"][..], arguments].concat(), &[])
}

fn names(connection: &Connection) -> Vec<(String, String)> {
    let mut statement = connection
        .prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name")
        .expect("SQL");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.expect("rows").map(|row| row.expect("a row")).collect()
}

#[test]
fn what_is_printed_is_what_is_applied() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("flows.db");
    let url = format!("sqlite://{}", file.display());
    let printed = schema(&["print", "--sink", &url]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(!file.exists(), "print has made the file");
    let fresh = schema(&["diff", "--sink", &url]);
    assert_eq!(fresh.code, 1, "{fresh:?}");
    let line = format!("file {}: not there yet, and made with", file.display());
    assert!(fresh.stdout.starts_with(&line), "{fresh:?}");
    assert_eq!(fresh.stdout.lines().count(), 1, "{fresh:?}");
    assert!(!file.exists(), "diff has made the file");

    let applied = schema(&["apply", "--sink", &url]);
    assert_eq!(applied.code, 0, "{applied:?}");
    let made = applied.stdout.lines().map(|line| line.ends_with(": made"));
    assert!(
        made.clone().count() > 3 && made.clone().all(|made| made),
        "{applied:?}"
    );
    let by_hand = Connection::open_in_memory().expect("memory");
    by_hand.execute_batch(&printed.stdout).expect("SQL");
    let ours = Connection::open(&file).expect("opens");
    assert_eq!(names(&by_hand), names(&ours));
    for command in ["diff", "apply"] {
        let nothing = schema(&[command, "--sink", &url]);
        assert_eq!(
            (nothing.code, nothing.stdout.as_str()),
            (0, ""),
            "{nothing:?}"
        );
    }

    ours.execute_batch("ALTER TABLE slots ADD COLUMN mine TEXT")
        .expect("SQL");
    let other = schema(&["diff", "--sink", &url]);
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.stdout.contains("mine"), "{other:?}");
    let refused = schema(&["apply", "--sink", &url]);
    assert_eq!(refused.code, 78, "{refused:?}");
}

#[test]
fn a_file_that_cannot_be_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/none/f.db", folder.path().display());
    let cause = format!(
        "its folder {}/none is not there; make it",
        folder.path().display()
    );
    for command in ["diff", "apply"] {
        let ended = schema(&[command, "--sink", &url]);
        assert_eq!(ended.code, 74, "{ended:?}");
        assert!(ended.stderr.contains(&cause), "{ended:?}");
    }
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, "").expect("written");
    let url = format!("sqlite://{}", empty.display());
    let ended = schema(&["diff", "--sink", &url]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stdout.starts_with("table rollup_5m is missing"),
        "{ended:?}"
    );
}

#[test]
fn stores_without_a_schema_say_so() {
    for (url, says) in [("stdout:", "no schema"), ("oracle://x", "unknown scheme")] {
        let ended = schema(&["diff", "--sink", url]);
        assert_eq!(ended.code, 78, "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
}

#[test]
fn the_messages_schema_is_printed_in_either_dialect() {
    for (dialect, field) in [
        ("goflow2", "uint32 src_as = 14;"),
        ("goflow", "uint32 SrcAS = 14;"),
    ] {
        let printed = schema(&["proto", "--dialect", dialect]);
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
        assert!(printed.stdout.contains(field), "{}", printed.stdout);
    }
}
