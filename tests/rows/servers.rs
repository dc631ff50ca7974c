//! The real servers that tests use, and databases of their own on them.
//!
//! Addresses come from the environment, as `scripts/services` prints them. Law: a test leaves nothing that another one
//! meets: every topic and database has a name that nobody else has.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::process::Command;

use crate::store::Store;

/// All of them.
const ALL: [&str; 3] = ["kafka", "postgres", "clickhouse"];

/// Addresses of a broker and two databases; of those that a test has not asked for, an empty one.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    kafka: String,
    postgres: String,
    clickhouse: String,
}

impl Servers {
    /// Those of the environment; `None`, and said so, if one is missing.
    pub(crate) fn shared() -> Option<Servers> {
        Servers::of(|name| std::env::var(name).ok(), &ALL)
    }

    /// From the output of `scripts/services up` for these.
    pub(crate) fn printed(text: &str, names: &[&str]) -> Option<Servers> {
        let value = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("export {name}=")))?;
            Some(line.trim_matches(['\'', '"']).to_owned())
        };
        Servers::of(value, names)
    }

    fn of(value: impl Fn(&str) -> Option<String>, names: &[&str]) -> Option<Servers> {
        let get = |name: &str| {
            if !names.contains(&name) {
                return Some(String::new());
            }
            let variable = format!("FLOW_PIPELINE_TEST_{}", name.to_uppercase());
            let found = value(&variable);
            if found.is_none() {
                eprintln!("SKIPPED: {variable} is not set: no server to test with");
            }
            found
        };
        let [kafka, postgres, clickhouse] = ALL.map(get);
        Some(Servers {
            kafka: kafka?,
            postgres: postgres?,
            clickhouse: clickhouse?,
        })
    }

    /// URL of a topic of that name.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("kafka://{}/{name}-{}", self.kafka, unique())
    }

    /// The broker's address.
    pub(crate) fn broker(&self) -> &str {
        &self.kafka
    }

    /// A new database.
    pub(crate) fn postgres(&self, options: &str) -> Store {
        let database = format!("rows_{}", unique());
        let create = format!("create database {database}");
        let out = Command::new("psql")
            .args(["-X", "-q", "-c", &create, &self.postgres])
            .output()
            .expect("psql runs");
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let server = self.postgres.split('?').next().expect("a URL");
        let (server, _) = server.rsplit_once('/').expect("a database in the URL");
        Store::Postgres(format!("{server}/{database}{options}"))
    }

    /// A new database.
    pub(crate) fn clickhouse(&self, options: &str) -> Store {
        let database = format!("rows_{}", unique());
        let server = self.clickhouse.trim_end_matches('/');
        Store::ClickHouse(format!("{server}/{database}{options}"), database)
    }
}

/// A name that nobody else has: the standard library seeds its hasher from the system.
pub(crate) fn unique() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
