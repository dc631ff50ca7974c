//! What a store holds, read without the program: SQLite by its library, PostgreSQL by psql, ClickHouse over HTTP.
//!
//! Every store answers the same statement with the same text, so that one reader serves them all.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use rusqlite::{Connection, OpenFlags};

use crate::oracle::{Key, Slot, Sums};

/// A database of one job.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// A file.
    Sqlite(PathBuf),
    /// The sink's URL.
    Postgres(String),
    /// The sink's URL and its database.
    ClickHouse(String, String),
}

/// What was found in a store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// State and counts of the base rollup's slots.
    pub(crate) slots: BTreeMap<u64, (String, Slot)>,
    pub(crate) rows: BTreeMap<Key, Sums>,
}

impl Store {
    /// Its URL as a sink.
    pub(crate) fn url(&self) -> String {
        match self {
            Store::Sqlite(path) => format!("sqlite://{}", path.display()),
            Store::Postgres(url) | Store::ClickHouse(url, _) => url.clone(),
        }
    }

    /// Makes its tables, as the program does at a job's first start.
    pub(crate) fn apply_schema(&self) {
        let out = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"))
            .args(["schema", "apply", "--sink", &self.url()])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{said}");
    }

    /// Slots and rows.
    pub(crate) fn content(&self) -> Content {
        let slot = self.seconds("slot");
        let sql = format!(
            "select {slot}, state, flows, too_early, too_late, implausible from slots where rollup = 'rollup_5m'"
        );
        let slots = self.query(&sql).into_iter().map(|row| {
            let number = |at: usize| row[at].parse::<u64>().expect("a number");
            let counts = Slot {
                flows: number(2),
                too_early: number(3),
                too_late: number(4),
                implausible: number(5),
            };
            (number(0), (row[1].clone(), counts))
        });
        let slots = slots.collect();
        let mut rows = self.rows(0, "rollup_5m", ["src_as", "dst_as", "etype"]);
        let country = ["src_country", "dst_country", "etype"];
        rows.extend(self.rows(1, "rollup_5m_country", country));
        Content { slots, rows }
    }

    /// What the raw flows that count sum up to, by the base rollup's key.
    pub(crate) fn raw_sums(&self) -> BTreeMap<Key, Sums> {
        let (table, unknown) = match self {
            Store::Postgres(_) => ("flows", "unknown_rate::int"),
            _ => ("raw_flows", "unknown_rate"),
        };
        let slot = self.seconds("slot");
        let sql = format!(
            "select {slot}, src_as, dst_as, etype, sum(bytes), sum(packets), count(*), sum(bytes * sampling_rate), \
             sum(packets * sampling_rate), sum({unknown}) from {table} where counted group by slot, src_as, dst_as, \
             etype"
        );
        self.sums(0, &sql)
    }

    fn rows(&self, rollup: u16, table: &str, key: [&str; 3]) -> BTreeMap<Key, Sums> {
        let sql = format!(
            "select {}, {}, bytes, packets, flows, scaled_bytes, scaled_packets, unknown_rate_flows from {table}",
            self.seconds("slot"),
            key.join(", ")
        );
        self.sums(rollup, &sql)
    }

    fn sums(&self, rollup: u16, sql: &str) -> BTreeMap<Key, Sums> {
        let mut all = BTreeMap::new();
        for row in self.query(sql) {
            let key = [&row[1], &row[2], &row[3]].map(|text| key_part(text));
            let number = |at: usize| row[at].parse::<u64>().expect("a number");
            let sums = [4, 5, 6, 7, 8, 9].map(number);
            let doubled = all.insert((rollup, number(0), key), sums);
            assert!(
                doubled.is_none(),
                "two rows of {key:?} in {}: {sql}",
                row[0]
            );
        }
        all
    }

    /// A column of times as seconds since 1970.
    pub(crate) fn seconds(&self, column: &str) -> String {
        match self {
            Store::Sqlite(_) => column.to_owned(),
            Store::Postgres(_) => format!("extract(epoch from {column})::bigint"),
            Store::ClickHouse(..) => format!("toUnixTimestamp({column})"),
        }
    }

    /// The answer to a statement, as text.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<String>> {
        match self {
            Store::Sqlite(path) => sqlite(path, sql),
            Store::Postgres(url) => {
                let url = url.split('?').next().expect("a URL");
                tabbed(Command::new("psql").args(["-X", "-At", "-F", "\t", "-c", sql, url]))
            }
            Store::ClickHouse(url, database) => {
                let server = url.trim_start_matches("clickhouse://");
                let (user, server) = server.split_once('@').unwrap_or(("default", server));
                let host = server.split('/').next().expect("a host");
                let address = format!("http://{host}/?database={database}&user={user}");
                tabbed(Command::new("curl").args(["-sS", "--fail-with-body", &address, "-d", sql]))
            }
        }
    }
}

/// A key's number, or the two letters of a country as its number.
fn key_part(text: &str) -> u32 {
    match text.as_bytes() {
        [] => 0,
        [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] => u32::from(*a) * 256 + u32::from(*b),
        _ => text.parse().expect("32 bits"),
    }
}

fn sqlite(path: &std::path::Path, sql: &str) -> Vec<Vec<String>> {
    let looking = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, looking).expect("a database");
    let mut statement = database.prepare(sql).expect("sql");
    let columns = statement.column_count();
    let mut found = statement.query([]).expect("rows");
    let mut all = Vec::new();
    while let Some(row) = found.next().expect("a row") {
        let text = |at: usize| match row.get_ref(at).expect("a column") {
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => panic!("{other:?}"),
        };
        all.push((0..columns).map(text).collect());
    }
    all
}

fn tabbed(command: &mut Command) -> Vec<Vec<String>> {
    let out = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&out.stdout);
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {text}{errors}");
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}
