//! A database of one test, and what any reader sees in it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use flow_sinks::Store;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::reader::Content;

/// A session beside the sink's.
pub(crate) struct Session {
    runtime: Runtime,
    client: Client,
}

impl Session {
    pub(crate) fn open(url: &str) -> Session {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, driver) = tokio_postgres::connect(url, NoTls).await.unwrap();
            tokio::spawn(async { drop(driver.await) });
            client
        });
        Session { runtime, client }
    }

    /// Runs statements; returns every row as text, `null` for nothing.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_query(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) fn try_query(&self, sql: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        let messages = self.runtime.block_on(self.client.simple_query(sql))?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let text = |value: Option<&str>| value.unwrap_or("null").to_owned();
        Ok(rows
            .map(|row| (0..row.len()).map(|n| text(row.get(n))).collect())
            .collect())
    }

    /// The one value of an answer.
    pub(crate) fn value(&self, sql: &str) -> String {
        let rows = self.query(sql);
        assert_eq!((rows.len(), rows[0].len()), (1, 1), "{sql}: {rows:?}");
        rows[0][0].clone()
    }
}

/// A database that lives as long as the test.
pub(crate) struct Database {
    /// `postgres://user@host:port`, without a database.
    pub(crate) server: String,
    pub(crate) name: String,
    /// A session in it.
    pub(crate) session: Session,
    admin: Session,
}

impl Database {
    /// `None`, and said so, if there is no server.
    pub(crate) fn new() -> Option<Database> {
        let Ok(url) = std::env::var("FLOW_PIPELINE_TEST_POSTGRES") else {
            eprintln!("SKIPPED: FLOW_PIPELINE_TEST_POSTGRES is not set: no server to test with");
            return None;
        };
        let server = url.rsplit_once('/').unwrap().0.to_owned();
        let name = format!("t{:016x}", RandomState::new().hash_one(std::process::id()));
        let admin = Session::open(&url);
        admin.query(&format!("CREATE DATABASE {name}"));
        let session = Session::open(&format!("{server}/{name}"));
        Some(Database {
            server,
            name,
            session,
            admin,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/{}?sslmode=disable", self.server, self.name)
    }

    /// As `url`, through another address.
    pub(crate) fn url_at(&self, port: u16) -> String {
        let user = self
            .server
            .split("://")
            .nth(1)
            .unwrap()
            .split('@')
            .next()
            .unwrap();
        format!(
            "postgres://{user}@127.0.0.1:{port}/{}?sslmode=disable",
            self.name
        )
    }

    pub(crate) fn open(&self, options: &str) -> Store {
        let url = format!("{}{options}", self.url());
        flow_sinks::open(&url).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Ends every session of the sink from the server's side; returns how many there were.
    pub(crate) fn kill_sink_sessions(&self) -> usize {
        let sql = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
             WHERE datname = '{}' AND application_name = 'flow-pipeline'",
            self.name
        );
        self.admin.query(&sql).len()
    }

    /// What a reader sees, in the form of `support::reader`.
    pub(crate) fn content(&self) -> Content {
        let table = |sql: &str, key: usize| -> BTreeMap<Vec<String>, Vec<String>> {
            let split = |mut row: Vec<String>| {
                let rest = row.split_off(key);
                (row, rest)
            };
            self.session.query(sql).into_iter().map(split).collect()
        };
        let epoch = |name: &str| format!("extract(epoch FROM {name})::bigint");
        let sums = "bytes, packets, flows, scaled_bytes, scaled_packets, unknown_rate_flows, table_version, revision";
        let mut content = Content::default();
        for (name, key) in [
            ("rollup_5m", "src_as, dst_as, etype"),
            ("rollup_5m_country", "src_country, dst_country, etype"),
        ] {
            let slot = epoch("slot");
            let sql = format!("SELECT '{name}', {slot}, {key}, {sums} FROM {name}");
            content.rows.extend(table(&sql, 5));
        }
        content.slots = table(
            &format!(
                "SELECT rollup, {}, state, partial::int, generation, {}, {}, flows, too_early, too_late, implausible,
                        missing_partitions, {} FROM slots",
                epoch("slot"),
                epoch("first_written"),
                epoch("last_written"),
                epoch("complete_through")
            ),
            2,
        );
        content
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        if let Err(error) = self.admin.try_query(&sql) {
            eprintln!("{}: {error}", self.name);
        }
    }
}
