//! Every query of the traffic dashboards on a real PostgreSQL and a real ClickHouse, filled by our own binary.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::process::Command;

use crate::commands::run;
use crate::dashboards::Dashboard;
use crate::files::path;
use crate::macros::{self, Range};
use crate::theirs;

/// A real store with an hour of flows in a database of its own.
pub(crate) enum Store {
    /// URL of the database.
    Postgres(String),
    /// URL of the server over HTTP, and the database.
    ClickHouse(String, String),
}

impl Store {
    /// An empty PostgreSQL database; `None`, and said so, without a server.
    pub(crate) fn postgres() -> Option<Store> {
        let server = address("POSTGRES")?;
        let database = unique();
        let sql = format!("create database {database}");
        answer(Command::new("psql").args(["-X", "-q", "-c", &sql, &server]));
        let (server, _) = server.rsplit_once('/').expect("a database in the URL");
        Some(Store::Postgres(format!("{server}/{database}")))
    }

    /// An empty ClickHouse database; `None`, and said so, without a server.
    fn clickhouse() -> Option<Store> {
        let server = address("CLICKHOUSE")?;
        Some(Store::ClickHouse(server, unique()))
    }

    /// Its URL as a sink.
    pub(crate) fn sink(&self) -> String {
        match self {
            Store::Postgres(url) => url.clone(),
            Store::ClickHouse(server, database) => format!("{server}/{database}"),
        }
    }

    /// Rows of tab-separated text; an SQL error fails the test.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let text = match self {
            Store::Postgres(url) => {
                answer(Command::new("psql").args(["-X", "-At", "-F", "\t", "-c", sql, url]))
            }
            Store::ClickHouse(server, database) => {
                let server = server.trim_start_matches("clickhouse://");
                let (user, host) = server.split_once('@').unwrap_or(("default", server));
                let url = format!("http://{host}/?database={database}&user={user}");
                answer(Command::new("curl").args([
                    "-sS",
                    "--fail-with-body",
                    &url,
                    "--data-binary",
                    sql,
                ]))
            }
        };
        let lines = text.lines().filter(|line| !line.is_empty());
        lines
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect()
    }

    /// An hour of synthetic flows, the last minutes of them in slots that are still open.
    fn fill(&self) {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = |name: &str| folder.path().join(name).display().to_string();
        let topic = format!("dir://{}", inside("flows"));
        let demo = |name: &str| {
            path(&format!("tables/demo/{name}.csv"))
                .display()
                .to_string()
        };
        let (sink, state) = (self.sink(), inside("state"));
        let (asn, country) = (demo("asn"), demo("country"));
        let lines = [
            format!("mock --topic {topic} --from -1h --flows-per-second 60"),
            format!(
                "--log warn run --topic {topic} --state {state} --sink {sink} --table asn={asn} --table country={country} \
                 --until-end"
            ),
        ];
        for line in lines {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let (code, said) = run(&words);
            assert_eq!(code, 0, "{line}: {said}");
        }
    }
}

/// Of a server of the tests.
pub(crate) fn address(name: &str) -> Option<String> {
    let name = format!("FLOW_PIPELINE_TEST_{name}");
    let found = std::env::var(&name).ok();
    if found.is_none() {
        eprintln!("SKIPPED: {name} is not set: no server to test with");
    }
    found
}

/// A name that nobody else has: the standard library seeds its hasher from the system.
pub(crate) fn unique() -> String {
    format!(
        "compose_{:016x}",
        RandomState::new().build_hasher().finish()
    )
}

fn answer(command: &mut Command) -> String {
    let out = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {text}{errors}");
    text
}

/// Rows with a number in each; a sum over nothing would be one row without a value.
fn shows_something(place: &str, rows: &[Vec<String>]) {
    assert!(!rows.is_empty(), "{place}: no rows");
    for row in rows {
        let number = |value: &String| value.parse().is_ok_and(f64::is_finite);
        assert!(row.iter().any(number), "{place}: no number in {row:?}");
    }
}

/// Fills the store and runs every query of a dashboard on it; the range they were asked for.
fn every_panel_shows_something(
    store: &Store,
    dashboard: &'static str,
    replaced: fn(&str, Range) -> String,
) -> Range {
    store.fill();
    let range = Range::hours(3);
    let queries = Dashboard::load(dashboard).queries();
    for query in &queries {
        let rows = store.query(&replaced(&query.text, range));
        println!(
            "{}: {} rows, first {:?}",
            query.panel,
            rows.len(),
            rows.first()
        );
        shows_something(&query.panel, &rows);
    }
    assert!(queries.len() >= 10);
    range
}

#[test]
fn every_panel_of_the_postgresql_dashboard_shows_something() {
    if let Some(store) = Store::postgres() {
        let range = every_panel_shows_something(&store, "traffic-postgres", macros::postgres);
        theirs::on_postgresql(&store, range);
    }
}

#[test]
fn every_panel_of_the_clickhouse_dashboard_shows_something() {
    if let Some(store) = Store::clickhouse() {
        let range = every_panel_shows_something(&store, "traffic-clickhouse", macros::clickhouse);
        theirs::on_clickhouse(&store, range);
    }
}

#[test]
fn a_panel_without_data_is_found() {
    let row = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
    shows_something("some", &[row(&["a", "1"])]);
    let bad = [
        vec![],
        vec![row(&["\\N"])],
        vec![row(&["nan"])],
        vec![row(&["a", ""])],
    ];
    for rows in bad {
        assert!(std::panic::catch_unwind(|| shows_something("none", &rows)).is_err());
    }
}
