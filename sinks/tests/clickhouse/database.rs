//! A database of its own for each test, and plain HTTP to look into it: not through the code under test.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::reader::{Content, Rows};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database that is dropped at the end.
pub(crate) struct Database {
    /// host:port.
    pub(crate) server: String,
    pub(crate) name: String,
    /// Of the store, without options.
    pub(crate) url: String,
}

impl Database {
    /// A name that nobody has; the store makes the database. `None`, said loudly, without a server.
    pub(crate) fn new() -> Option<Database> {
        let Ok(url) = std::env::var("FLOW_PIPELINE_TEST_CLICKHOUSE") else {
            eprintln!("SKIPPED: no ClickHouse: FLOW_PIPELINE_TEST_CLICKHOUSE is not set");
            return None;
        };
        let server = url.rsplit_once('@').unwrap().1.to_owned();
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{n}", std::process::id());
        let database = Database {
            url: format!("{url}/{name}"),
            server,
            name,
        };
        database.sql(&format!("DROP DATABASE IF EXISTS {}", database.name));
        Some(database)
    }

    /// The answer to a statement, `{db}` being the database.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.post("", &sql.replace("{db}", &self.name), &[])
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The answer to a statement with settings (as they stand in a URL) and data after it.
    pub(crate) fn post(&self, settings: &str, sql: &str, data: &[u8]) -> Result<String, String> {
        let mut stream = TcpStream::connect(&self.server).unwrap();
        let (length, mut query) = (sql.len() + 1 + data.len(), sql.as_bytes().to_vec());
        query.push(b'\n');
        let head = format!(
            "POST /?wait_end_of_query=1&{settings} HTTP/1.0\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&query).unwrap();
        stream.write_all(data).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        if head.lines().next().unwrap().contains(" 200 ") {
            Ok(body.trim_end().to_owned())
        } else {
            Err(body.to_owned())
        }
    }

    /// Lines and their columns.
    pub(crate) fn table(&self, sql: &str) -> Vec<Vec<String>> {
        let text = self.sql(sql);
        let cell = |text: &str| text.replace("\\N", "null");
        text.lines()
            .map(|line| line.split('\t').map(cell).collect())
            .collect()
    }

    /// What readers of the views see, in the form in which SQLite is read.
    pub(crate) fn content(&self) -> Content {
        let mut content = Content::default();
        for rollup in ["rollup_5m", "rollup_5m_country"] {
            let found = self.table(&format!(
                "SELECT '{rollup}', * REPLACE (toUnixTimestamp(slot) AS slot) FROM {{db}}.{rollup}"
            ));
            keyed(found, 5, &mut content.rows);
        }
        let found = self.table(
            "SELECT * REPLACE (toUnixTimestamp(slot) AS slot, toUInt8(partial) AS partial, \
             toUnixTimestamp(first_written) AS first_written, toUnixTimestamp(last_written) AS last_written, \
             toUnixTimestamp(complete_through) AS complete_through) FROM {db}.slots",
        );
        keyed(found, 2, &mut content.slots);
        content
    }

    /// As if the job had died between the rows and the cursor: the cursor is taken back to before `checkpoint`.
    pub(crate) fn forget_cursor(&self, table: &str, checkpoint: u64) {
        self.sql(&format!(
            "ALTER TABLE {{db}}.{table} DELETE WHERE checkpoint >= {checkpoint} SETTINGS mutations_sync = 2"
        ));
    }

    /// Stops merges, or does all of them at once.
    pub(crate) fn stop_merges(&self) {
        self.sql("SYSTEM STOP MERGES {db}.rollup_5m_rows");
        self.sql("SYSTEM STOP MERGES {db}.rollup_5m_country_rows");
        self.sql("SYSTEM STOP MERGES {db}.slots_rows");
    }

    pub(crate) fn merge(&self) {
        for table in ["rollup_5m_rows", "rollup_5m_country_rows", "slots_rows"] {
            self.sql(&format!("SYSTEM START MERGES {{db}}.{table}"));
            self.sql(&format!("OPTIMIZE TABLE {{db}}.{table} FINAL"));
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        _ = self.post("", &format!("DROP DATABASE IF EXISTS {}", self.name), &[]);
    }
}

fn keyed(found: Vec<Vec<String>>, key: usize, rows: &mut Rows) {
    let mut seen = BTreeMap::new();
    for mut row in found {
        let rest = row.split_off(key);
        let before = seen.insert(row.clone(), rest.clone());
        assert_eq!(before, None, "two rows of {row:?}");
        rows.insert(row, rest);
    }
}
