//! The real servers that tests use, and databases of their own on them.
//!
//! Addresses come from the environment, as `scripts/services` prints them. Law: a test leaves nothing that another one
//! meets: every topic and database has a name that nobody else has.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::process::Command;

use crate::store::Store;

/// Addresses of a broker and two databases.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    kafka: String,
    postgres: String,
    clickhouse: String,
}

impl Servers {
    /// Those of the environment; `None`, and said so, if one is missing.
    pub(crate) fn shared() -> Option<Servers> {
        Servers::of(|name| std::env::var(name).ok(), true)
    }

    /// From `scripts/services up`'s output; whether a broker is among them.
    pub(crate) fn printed(text: &str, broker: bool) -> Option<Servers> {
        let value = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("export {name}=")))?;
            Some(line.trim_matches(['\'', '"']).to_owned())
        };
        Servers::of(value, broker)
    }

    fn of(value: impl Fn(&str) -> Option<String>, broker: bool) -> Option<Servers> {
        let get = |name: &str| {
            let found = value(&format!("FLOW_PIPELINE_TEST_{name}"));
            if found.is_none() {
                eprintln!("SKIPPED: FLOW_PIPELINE_TEST_{name} is not set: no server to test with");
            }
            found
        };
        Some(Servers {
            kafka: if broker { get("KAFKA")? } else { String::new() },
            postgres: get("POSTGRES")?,
            clickhouse: get("CLICKHOUSE")?,
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
fn unique() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
