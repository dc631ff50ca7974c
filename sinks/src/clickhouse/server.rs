//! A ClickHouse server over HTTP: statements, answers of a few rows, and streamed inserts.
//!
//! An own current-thread runtime, since the follower is a plain thread. Each request has its own connection: requests
//! come seconds apart, and a connection that the server has closed meanwhile cannot be written a stream into. Law 8:
//! an insert holds one chunk; everything has a time limit.

use std::time::Duration;

use clickhouse::error::Error;
use clickhouse::insert_formatted::InsertFormatted;
use clickhouse::{Client, Compression};
use flow_proto::Rollups;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::address::Address;
use super::explain::{explain, too_slow};
use crate::SinkError;
use crate::look::Answer;
use crate::patience::{SLOW, patiently};

/// A statement or the end of an insert takes no longer.
const LIMIT: Duration = Duration::from_secs(120);
/// Changing what is stored takes no longer: it rewrites every part in which something changes.
const MUTATION: Duration = Duration::from_secs(3600);
/// Making a connection takes no longer, nor does the answer to the first question, which costs the server nothing.
const CONNECT: Duration = Duration::from_secs(10);
/// Sending a chunk takes no longer.
const SEND: Duration = Duration::from_secs(60);
/// Rows are sent when there are this many bytes of them.
const CHUNK_BYTES: usize = 256 << 10;
/// Settings of every request. `async_insert` is 1 by default and would answer before the rows are stored;
/// `wait_end_of_query` holds an answer back until nothing can fail any more, and `buffer_size` lets it do so in memory:
/// it would else be held in a file, and be empty, without an error, if the disk is full; a delta may span more days than
/// the 100 partitions that an insert is allowed by default; 64-bit numbers are read as numbers.
const SETTINGS: &[(&str, &str)] = &[
    ("async_insert", "0"),
    ("wait_end_of_query", "1"),
    ("buffer_size", "1048576"),
    ("max_partitions_per_insert_block", "0"),
    ("output_format_json_quote_64bit_integers", "0"),
];

/// A server, and who we are there.
pub(super) struct Server {
    runtime: Runtime,
    client: Client,
    pub(super) name: String,
    pub(super) database: String,
    /// What its tables and views are made for.
    pub(super) rollups: Rollups,
    /// Nothing has been written yet: more errors end the program.
    pub(super) opening: bool,
}

impl Server {
    /// Nothing is connected yet.
    pub(super) fn new(address: &Address) -> Result<Server, SinkError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| SinkError::fatal(format!("sink {}: {error}", address.name)))?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT));
        http.set_nodelay(true);
        let connector = hyper_tls::HttpsConnector::from((http, address.tls.clone().into()));
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        let mut client = Client::with_http_client(http)
            .with_url(&address.server)
            .with_user(&address.user)
            .with_password(&address.password)
            .with_compression(Compression::Lz4);
        for (setting, value) in SETTINGS {
            client = client.with_setting(*setting, *value);
        }
        Ok(Server {
            runtime,
            client,
            name: address.name.clone(),
            database: address.database.clone(),
            rollups: address.options.rollups,
            opening: true,
        })
    }

    /// Runs a statement to its end.
    pub(super) fn execute(&self, sql: &str) -> Result<(), SinkError> {
        let work = self.client.query_raw(sql).execute();
        self.within(LIMIT, work)
    }

    /// Changes what is stored, and waits until that is done.
    pub(super) fn mutate(&self, sql: &str) -> Result<(), SinkError> {
        let waited = format!("{sql} SETTINGS mutations_sync = 2");
        let work = self.client.query_raw(&waited).execute();
        self.within(MUTATION, work)
    }

    /// The server's version. To be asked first: it tells soon whether what answers there is a ClickHouse.
    pub(super) fn version(&self) -> Result<String, SinkError> {
        let rows = self.ask_within(CONNECT, "SELECT version()")?;
        let first = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next());
        Ok(first.flatten().unwrap_or_default())
    }

    /// The rows of a question whose answer is small, and comes soon.
    pub(super) fn ask(&self, sql: &str) -> Result<Vec<Answer>, SinkError> {
        self.ask_within(SLOW, sql)
    }

    /// The rows of a question whose answer may be long.
    pub(super) fn read(&self, sql: &str) -> Result<Vec<Answer>, SinkError> {
        self.ask_within(LIMIT, sql)
    }

    /// The format is one that has an end: an answer of which a part is missing must not pass for one of fewer rows.
    fn ask_within(&self, limit: Duration, sql: &str) -> Result<Vec<Answer>, SinkError> {
        let bytes = self.within(limit, async {
            let mut cursor = self.client.query_raw(sql).fetch_bytes("JSONCompact")?;
            cursor.collect().await
        })?;
        self.rows(&bytes)
    }

    /// Hands over the rows of an answer of any length as they come. Whether it is whole has to be found out otherwise.
    pub(super) fn each(
        &self,
        sql: &str,
        take: &mut dyn FnMut(Answer) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let query = self.client.query_raw(sql);
        let query = query.with_setting("wait_end_of_query", "0");
        let mut cursor = self.within(LIMIT, async { query.fetch_bytes("JSONCompactEachRow") })?;
        let mut rest = Vec::new();
        while let Some(chunk) = self.within(LIMIT, cursor.next())? {
            rest.extend_from_slice(&chunk);
            let whole = rest
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            let lines = rest.get(..whole).unwrap_or_default();
            for line in lines.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
                take(self.row(line)?)?;
            }
            rest.drain(..whole);
        }
        match rest.is_empty() {
            true => Ok(()),
            false => take(self.row(&rest)?),
        }
    }

    fn row(&self, line: &[u8]) -> Result<Answer, SinkError> {
        let row: Vec<Value> = serde_json::from_slice(line).map_err(|e| self.unread(&e))?;
        Ok(row.into_iter().map(text).collect())
    }

    /// A database's table, as SQL names it.
    pub(super) fn table(&self, name: &str) -> String {
        qualified(&self.database, name)
    }

    /// Begins an insert; nothing is sent before there are rows. With a token, a block that comes twice is stored once.
    pub(super) fn insert(&self, table: &str, columns: &str, token: Option<&str>) -> Insert<'_> {
        let sql = format!(
            "INSERT INTO {} ({columns}) FORMAT RowBinary",
            self.table(table)
        );
        let mut insert = self
            .client
            .insert_formatted_with(sql)
            .with_timeouts(Some(SEND), Some(LIMIT));
        if let Some(token) = token {
            insert = insert
                .with_setting("insert_deduplicate", "1")
                .with_setting("insert_deduplication_token", token);
        }
        Insert {
            server: self,
            insert,
            chunk: Vec::with_capacity(CHUNK_BYTES + 1024),
            rows: 0,
        }
    }

    fn rows(&self, document: &[u8]) -> Result<Vec<Answer>, SinkError> {
        #[derive(Deserialize)]
        struct Document {
            data: Vec<Vec<Value>>,
        }
        let document: Document =
            serde_json::from_slice(document).map_err(|error| self.unread(&error))?;
        let rows = document.data.into_iter();
        Ok(rows
            .map(|row| row.into_iter().map(text).collect())
            .collect())
    }

    fn unread(&self, error: &serde_json::Error) -> SinkError {
        SinkError::retry(format!(
            "sink {}: an answer cannot be read: {error}; is it a ClickHouse, and has its disk room?",
            self.name
        ))
    }

    fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, SinkError> {
        self.runtime
            .block_on(patiently(&self.name, (SLOW, limit), work))
            .ok_or_else(|| too_slow(&self.name, limit.as_secs()))?
            .map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &Error) -> SinkError {
        explain(&self.name, self.opening, error)
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// Rows on their way into one table. Dropped before `finish`, the server throws them away.
pub(super) struct Insert<'a> {
    server: &'a Server,
    insert: InsertFormatted,
    chunk: Vec<u8>,
    pub(super) rows: u64,
}

impl Insert<'_> {
    /// One row: `encode` appends its bytes.
    pub(super) fn row(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), SinkError> {
        encode(&mut self.chunk);
        self.rows += 1;
        if self.chunk.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(())
    }

    /// Sends the rest and waits until the server has stored all; how many rows there were.
    pub(super) fn finish(mut self) -> Result<u64, SinkError> {
        if self.rows == 0 {
            return Ok(0);
        }
        self.send()?;
        let Insert {
            server,
            insert,
            rows,
            ..
        } = self;
        server.within(LIMIT, insert.end())?;
        Ok(rows)
    }

    fn send(&mut self) -> Result<(), SinkError> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let next = Vec::with_capacity(self.chunk.capacity());
        let chunk = std::mem::replace(&mut self.chunk, next);
        self.server.within(LIMIT, self.insert.send(chunk.into()))
    }
}

/// `database`.`table`.
pub(super) fn qualified(database: &str, table: &str) -> String {
    format!("`{database}`.`{table}`")
}

/// A text in SQL.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
