//! SQLite: what is refused and how, what retention and floor do, what the `sqlite3` shell sees.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flow_sinks::options::StoreOptions;
use flow_sinks::sqlite::Sqlite;
use flow_sinks::{Applied, Delta, Follower, Sink, SinkError, SinkErrorKind, Step};
use flow_state::Acks;
use rusqlite::Connection;
use support::Chance;
use support::given::{Given, delta, row};
use support::job::{FIRST_SLOT, Job, WINDOW};
use support::reader;

fn open(path: &Path) -> Result<Sqlite, SinkError> {
    Sqlite::open(path, StoreOptions::default())
}

fn refused(path: &Path, kind: SinkErrorKind, words: &str) {
    let Err(error) = open(path) else {
        panic!("{} was taken", path.display())
    };
    let line = error.to_string();
    assert_eq!(error.kind, kind, "{line}");
    assert!(
        line.contains(words) && line.contains(&path.display().to_string()),
        "{line}"
    );
    assert!(!line.contains('\n'), "{line}");
}

#[test]
fn what_cannot_be_used_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sql = |name: &str, sql: &str| {
        Connection::open(path(name))
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        path(name)
    };
    std::fs::write(
        path("letter"),
        "Dear Sir or Madam, this is a letter and no database".repeat(40),
    )
    .unwrap();
    refused(&path("letter"), SinkErrorKind::Refused, "something else");
    let missing = format!(
        "its folder {} is not there; make it",
        path("missing").display()
    );
    refused(&path("missing/f.db"), SinkErrorKind::Fatal, &missing);
    refused(
        &path("letter/f.db"),
        SinkErrorKind::Fatal,
        "letter is no folder",
    );
    refused(folder.path(), SinkErrorKind::Fatal, "not a regular file");
    refused(
        &sql("other", "CREATE TABLE mails (id)"),
        SinkErrorKind::Refused,
        "not empty, and table rollup_5m",
    );

    let good = path("good");
    drop(open(&good).unwrap());
    drop(open(&good).unwrap());
    sql(
        "good",
        "CREATE TABLE notes (mine TEXT); CREATE INDEX by_as ON rollup_5m (src_as)",
    );
    drop(open(&good).expect("what an operator adds beside our tables is theirs"));
    refused(
        &sql("good", "ALTER TABLE slots ADD COLUMN mine TEXT"),
        SinkErrorKind::Refused,
        "column mine is unknown",
    );
    let renamed = path("renamed");
    drop(open(&renamed).unwrap());
    sql(
        "renamed",
        "DROP VIEW rollup_5m_readable; ALTER TABLE rollup_5m RENAME COLUMN flows TO count",
    );
    refused(
        &renamed,
        SinkErrorKind::Refused,
        "column 7 `count INTEGER NOT NULL` should be `flows INTEGER NOT NULL`",
    );
    refused(
        &sql("newer", "PRAGMA user_version = 99"),
        SinkErrorKind::Refused,
        "version 99",
    );

    let locked = path("locked");
    drop(open(&locked).unwrap());
    let holder = Connection::open(&locked).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    refused(&locked, SinkErrorKind::Retry, "lock");
}

#[test]
fn what_is_not_ours_under_a_name_of_ours_is_told_and_no_byte_of_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("ours");
    drop(open(&made).unwrap());
    let version_1 =
        "DROP VIEW raw_flows_readable; DROP TABLE raw_flows; DROP TABLE flow_pipeline_raw_cursors;
                     PRAGMA user_version = 1;";
    for (n, (ours, sql, words)) in [
        (
            false,
            "CREATE TABLE slots (mine)".to_owned(),
            "table slots: column 1 `mine` should be `rollup TEXT NOT NULL KEY 1`",
        ),
        (
            false,
            "CREATE TABLE SLOTS (mine TEXT PRIMARY KEY)".to_owned(),
            "table slots: column 1 `mine TEXT KEY 1` should be",
        ),
        (
            false,
            "CREATE VIEW slots AS SELECT 1 AS mine".to_owned(),
            "table slots: is of kind view, should be a table",
        ),
        (
            true,
            format!("{version_1} CREATE TABLE raw_flows (mine)"),
            "table raw_flows: is there, though the schema's version is 1",
        ),
        (
            true,
            format!("{version_1} CREATE TABLE raw_flows_readable (mine)"),
            "table raw_flows_readable: is there, though",
        ),
        (
            true,
            format!("{version_1} DROP TABLE slots"),
            "not empty, and table slots is missing",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(n.to_string());
        if ours {
            std::fs::copy(&made, &path).unwrap();
        }
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(&sql).unwrap();
        drop(connection);
        let before = std::fs::read(&path).unwrap();
        refused(&path, SinkErrorKind::Refused, words);
        let mut schema = flow_sinks::schema(&format!("sqlite://{}", path.display())).unwrap();
        let error = schema.apply(true).unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let found = schema.look().unwrap();
        assert!(
            !found.made_at_start && found.differences[0].contains(words),
            "{found:?}"
        );
        assert!(std::fs::read(&path).unwrap() == before, "{sql}");
    }
}

#[test]
fn a_delta_is_written_once_and_only_from_where_the_store_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let mut sink = open(&path).unwrap();
    let first = Given::new(vec![row(300, 1, 10), row(300, 2, 20)], 3);
    assert_eq!(
        sink.apply(&delta(0, 3, &first)).unwrap(),
        Applied::Done { rows: 2 }
    );
    assert_eq!(
        sink.apply(&delta(0, 3, &first)).unwrap(),
        Applied::CursorMoved
    );
    assert_eq!(sink.cursors().unwrap().of(0), 3);
    let later = Given::new(vec![row(300, 1, 11)], 5);
    let other = Delta {
        job: "b",
        ..delta(3, 5, &later)
    };
    assert_eq!(sink.apply(&other).unwrap_err().kind, SinkErrorKind::Refused);
    assert_eq!(
        sink.apply(&delta(3, 5, &later)).unwrap(),
        Applied::Done { rows: 1 }
    );
    // A lower revision never replaces a higher one, even where the cursor would let it.
    assert_eq!(
        sink.apply(&delta(5, 6, &first)).unwrap(),
        Applied::Done { rows: 2 }
    );
    let bytes: Vec<String> = reader::read(&path)
        .rows
        .values()
        .map(|v| v[0].clone())
        .collect();
    assert_eq!(bytes, ["11", "20"]);
}

#[test]
fn a_number_too_large_names_its_row_and_leaves_the_store_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let mut sink = open(&path).unwrap();
    let rows = Given::new(vec![row(300, 1, 10), row(300, 7, 1 << 63)], 1);
    let error = sink.apply(&delta(0, 1, &rows)).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Fatal);
    assert!(
        error
            .to_string()
            .contains("rollup_5m slot 300 key [7, 0, 2048]"),
        "{error}"
    );
    assert_eq!(
        (reader::read(&path), sink.cursors().unwrap().job),
        (Default::default(), None)
    );
}

#[test]
fn the_generation_of_a_slot_is_a_floor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let mut sink = open(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "INSERT INTO slots VALUES ('rollup_5m', 600, 'retired', 0, 1, 9, 9, 5, 0, 0, 0, '[]', 9)",
        )
        .unwrap();
    let rows = Given::new(vec![row(300, 1, 10), row(600, 1, 10)], 1);
    assert_eq!(
        sink.apply(&delta(0, 1, &rows)).unwrap(),
        Applied::Done { rows: 1 }
    );
    let rows = Given::new(vec![row(600, 1, 12)], 1 << 48 | 2);
    assert_eq!(
        sink.apply(&delta(1, 2, &rows)).unwrap(),
        Applied::Done { rows: 1 }
    );
    let content = reader::read(&path);
    let bytes: Vec<&str> = content.rows.values().map(|v| v[0].as_str()).collect();
    assert_eq!(bytes, ["10", "12"]);
}

#[test]
fn retention_is_measured_from_the_watermark() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let mut sink = Sqlite::open(
        &path,
        StoreOptions {
            retention_secs: Some(1000),
            ..StoreOptions::default()
        },
    )
    .unwrap();
    let rows = Given::new(vec![row(8700, 1, 1), row(9000, 2, 2), row(9300, 3, 3)], 1);
    sink.apply(&delta(0, 1, &rows)).unwrap();
    let rows = Given::new(vec![], 2);
    sink.apply(&Delta {
        watermark_secs: Some(10_000),
        ..delta(1, 2, &rows)
    })
    .unwrap();
    let kept: Vec<String> = reader::read(&path)
        .rows
        .keys()
        .map(|k| k[1].clone())
        .collect();
    assert_eq!(kept, ["9000", "9300"]);
}

#[test]
fn the_sqlite3_shell_reads_what_was_written() {
    if Command::new("sqlite3").arg("-version").output().is_err() {
        eprintln!("SKIPPED: sqlite3 is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    let mut job = Job::new(&folder.path().join("state"), 1);
    let config = job.config();
    let mut chance = Chance(5);
    for _ in 0..40 {
        (0..5).for_each(|_| job.flow(&mut chance));
        job.checkpoint(&mut chance);
    }
    let (published, acks) = (Arc::clone(&job.published), Acks::new(1));
    let sink = Box::new(open(&path).unwrap());
    let mut follower = Follower::new(sink, job.state.clone(), published, (acks, 0), config);
    while follower.step().unwrap() != Step::CaughtUp {}
    let shell = |sql: &str| {
        let output = Command::new("sqlite3")
            .arg("-readonly")
            .arg(&path)
            .arg(sql)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let mut expected = [0u64; 3];
    for (_, totals) in job
        .totals
        .iter()
        .filter(|(g, _)| g.rollup == 0 && job.ever_complete.contains(g))
    {
        for sums in totals.values() {
            let of_row = [1, sums.bytes, sums.flows];
            expected
                .iter_mut()
                .zip(of_row)
                .for_each(|(sum, n)| *sum += n);
        }
    }
    assert!(expected[0] > 20, "{expected:?}");
    let line = expected.map(|n| n.to_string()).join("|");
    assert_eq!(
        shell("SELECT count(*), sum(bytes), sum(flows) FROM rollup_5m").trim(),
        line
    );
    // The text of the time: 1700000100 is 2023-11-14 22:15:00 UTC.
    assert_eq!((FIRST_SLOT, WINDOW), (1_700_000_100, 300));
    let times = shell("SELECT DISTINCT slot FROM rollup_5m_readable ORDER BY 1");
    assert!(times.lines().any(|t| t == "2023-11-14 22:15:00"), "{times}");
    assert_eq!(shell("PRAGMA integrity_check").trim(), "ok");
    let kinds = shell(
        "SELECT DISTINCT typeof(slot) || typeof(etype) || typeof(src_country) FROM rollup_5m_country",
    );
    assert_eq!(kinds.trim(), "integerintegertext");
    // A fresh database has the plain names that the documentation promises.
    let columns = shell("SELECT group_concat(name) FROM pragma_table_info('rollup_5m')");
    assert_eq!(
        columns.trim(),
        "slot,src_as,dst_as,etype,bytes,packets,flows,scaled_bytes,scaled_packets,unknown_rate_flows,table_version,revision"
    );
}

/// Tables, indexes and views as they stand in a file.
fn made(path: &Path) -> Vec<(String, String)> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_file_of_version_1_is_brought_up_when_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    drop(open(&new).unwrap());
    let mut sink = open(&old).unwrap();
    let rows = Given::new(vec![row(300, 1, 10)], 3);
    sink.apply(&delta(0, 3, &rows)).unwrap();
    drop(sink);
    // What release 0.1 made: everything but the raw flows.
    Connection::open(&old)
        .unwrap()
        .execute_batch(
            "DROP VIEW raw_flows_readable; DROP TABLE raw_flows; DROP TABLE flow_pipeline_raw_cursors;
             PRAGMA user_version = 1",
        )
        .unwrap();
    let done = [
        "version 2: tables for raw flows and their cursors",
        "version 3: customers and names of raw flows",
    ];
    brought_up(&old, &new, &done);
    assert_eq!(
        open(&old).unwrap().cursors().unwrap().of(0),
        3,
        "the rows stay"
    );
}

#[test]
fn a_file_of_version_2_gets_the_columns_of_customers() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    drop((open(&new).unwrap(), open(&old).unwrap()));
    Connection::open(&old)
        .unwrap()
        .execute_batch(
            "DROP VIEW raw_flows_readable; ALTER TABLE raw_flows DROP COLUMN src_customer;
             ALTER TABLE raw_flows DROP COLUMN dst_customer;
             ALTER TABLE raw_flows DROP COLUMN exporter_name; ALTER TABLE raw_flows DROP COLUMN in_if_name;
             ALTER TABLE raw_flows DROP COLUMN out_if_name;
             CREATE VIEW raw_flows_readable AS SELECT slot FROM raw_flows; PRAGMA user_version = 2",
        )
        .unwrap();
    let url = format!("sqlite://{}", old.display());
    assert_eq!(
        flow_sinks::schema(&url).unwrap().diff().unwrap(),
        ["table raw_flows: column src_customer is missing"]
    );
    brought_up(&old, &new, &["version 3: customers and names of raw flows"]);
}

/// An older file is refused, brought up when asked to, and then like a new one.
fn brought_up(old: &Path, new: &Path, done: &[&str]) {
    let url = format!("sqlite://{}", old.display());
    let words = format!("flow-pipeline schema apply --sink {url}");
    refused(old, SinkErrorKind::Refused, &words);
    let mut schema = flow_sinks::schema(&url).unwrap();
    assert!(!schema.diff().unwrap().is_empty());
    assert_eq!(schema.apply(false).unwrap(), done);
    assert_eq!(schema.diff().unwrap(), [""; 0]);
    assert_eq!(
        schema.apply(false).unwrap(),
        [""; 0],
        "nothing is left to do"
    );
    // A column that was added has a default, of which the text of its table tells.
    let without = |path: &Path| {
        let mut all = made(path);
        all.retain(|(name, _)| name != "raw_flows");
        all
    };
    assert_eq!(without(old), without(new));
    let columns = |path: &Path| -> String {
        let asked = "SELECT group_concat(name || ' ' || type || \"notnull\" || pk) FROM pragma_table_info('raw_flows')";
        let connection = Connection::open(path).unwrap();
        connection.query_row(asked, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(columns(old), columns(new));
}

#[test]
fn raw_flows_are_read_back_as_they_were_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.db");
    support::raw_read_back::read_back(&format!("sqlite://{}?raw=on", path.display()));
}
