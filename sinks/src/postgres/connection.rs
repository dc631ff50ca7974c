//! One connection to a server, with its own small runtime, used from a plain thread.
//!
//! The followers are plain threads that do one thing after the other; so is this. Law 8: every wait ends, by the server's
//! own limits first, by ours if the server or the way to it has died. A session that stands still inside a
//! transaction is ended by the server, since it would hold up the writer that takes over.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, CopyInSink, Error, NoTls, Row, SimpleQueryMessage};

use super::address::Address;
use super::explain::{explain, too_slow, unknown};
use super::stranger::stranger;
use super::tls::Tls;
use crate::SinkError;
use crate::patience::{SLOW, patiently};

/// The oldest server that is supported: partitions can be attached without shutting out readers from 12 on.
const MIN_VERSION: u32 = 120_000;
/// How long to wait for another session's lock. The follower tries again.
const LOCK_SECS: u64 = 10;
/// How long our session may stand still inside a transaction before the server ends it.
const IDLE_SECS: u64 = 60;
/// How much longer than the server's limit we wait for its answer.
const GRACE: Duration = Duration::from_secs(15);
/// Size of a message of a COPY. Bytes.
const COPY_BYTES: usize = 64 << 10;

/// A session.
pub(super) struct Connection {
    runtime: Runtime,
    client: Client,
    name: String,
    limit: Duration,
}

impl Connection {
    /// Connects, checks the server's version and sets the session up.
    pub(super) fn open(address: &Address) -> Result<Connection, SinkError> {
        let name = address.name.clone();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| SinkError::fatal(format!("sink {name}: {error}")))?;
        let limit = address.config.get_connect_timeout().copied();
        let limit = limit.unwrap_or_default();
        // The limit is for each of a host's addresses.
        let all = limit + GRACE;
        let client = runtime.block_on(async {
            tokio::select! {
                connected = tokio::time::timeout(all, connect(address)) => match connected {
                    Ok(client) => client.map_err(|error| explain(&name, &error)),
                    Err(_) => Err(too_slow(&name, all.as_secs())),
                },
                what = stranger(&address.config, limit) => Err(unknown(&name, &what)),
            }
        })?;
        let connection = Connection {
            runtime,
            client,
            limit: address.statement_limit + GRACE,
            name,
        };
        connection.check_version()?;
        connection.set_up(address)?;
        Ok(connection)
    }

    /// Runs statements without parameters and answers.
    pub(super) fn execute(&self, statements: &str) -> Result<(), SinkError> {
        self.wait(self.client.batch_execute(statements))
    }

    /// Begins a transaction: the first word of every delta, by which a server that stands still is found out soon.
    pub(super) fn begin(&self) -> Result<(), SinkError> {
        self.quick(self.client.batch_execute("BEGIN"))
    }

    /// Runs one statement that writes; returns the rows touched.
    pub(super) fn change(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, SinkError> {
        self.wait(self.client.execute(statement, parameters))
    }

    /// Asks; returns the answer.
    pub(super) fn query(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, SinkError> {
        self.quick(self.client.query(statement, parameters))
    }

    /// Asks for an answer that may be long.
    pub(super) fn read(&self, statement: &str) -> Result<Vec<Row>, SinkError> {
        self.wait(self.client.query(statement, &[]))
    }

    /// Asks; returns the first row of the answer.
    pub(super) fn first(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, SinkError> {
        Ok(self.query(statement, parameters)?.into_iter().next())
    }

    /// Begins a `COPY … FROM STDIN (FORMAT binary)`. Nothing else may be run until it is finished.
    pub(super) fn copy(&self, statement: &str) -> Result<Copy<'_>, SinkError> {
        let sink = self.wait(self.client.copy_in::<_, Bytes>(statement))?;
        let mut buffer = BytesMut::with_capacity(2 * COPY_BYTES);
        // Signature, flags, length of the header's extension (COPY's manual page, "Binary Format").
        buffer.put_slice(b"PGCOPY\n\xff\r\n\0");
        buffer.put_i64(0);
        Ok(Copy {
            connection: self,
            sink: Box::pin(sink),
            buffer,
        })
    }

    /// A value of a row of ours.
    pub(super) fn get<'a, T>(&self, row: &'a Row, column: usize) -> Result<T, SinkError>
    where
        T: tokio_postgres::types::FromSql<'a>,
    {
        row.try_get(column)
            .map_err(|error| explain(&self.name, &error))
    }

    /// For what writes.
    fn wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, SinkError> {
        self.within(self.limit, work)
    }

    /// For what only asks.
    fn quick<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, SinkError> {
        self.within(self.limit.min(SLOW), work)
    }

    fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, SinkError> {
        let answered = self
            .runtime
            .block_on(patiently(&self.name, (SLOW, limit), work));
        match answered {
            Some(result) => result.map_err(|error| explain(&self.name, &error)),
            None => Err(too_slow(&self.name, limit.as_secs())),
        }
    }

    fn check_version(&self) -> Result<(), SinkError> {
        let answer = self.quick(self.client.simple_query("SHOW server_version_num"))?;
        let number = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        supported(&self.name, number)
    }

    fn set_up(&self, address: &Address) -> Result<(), SinkError> {
        let statement_ms = address.statement_limit.as_millis();
        self.execute(&format!(
            "SET statement_timeout = {statement_ms}; SET lock_timeout = '{LOCK_SECS}s';
             SET idle_in_transaction_session_timeout = '{IDLE_SECS}s'; SET TimeZone = 'UTC';
             SET client_min_messages = warning"
        ))?;
        // What was acknowledged lets go of state files, so a commit that a power cut takes back would be lost for ever.
        self.query(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            &[],
        )?;
        if let Some(schema) = &address.schema {
            self.query(
                "SELECT set_config('search_path', quote_ident($1::text), false)",
                &[schema],
            )?;
        }
        Ok(())
    }
}

/// A COPY under way.
pub(super) struct Copy<'a> {
    connection: &'a Connection,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    buffer: BytesMut,
}

impl Copy<'_> {
    /// Where the next row is written to; `sent` is called after each.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Sends what is there if it is worth a message.
    pub(super) fn sent(&mut self) -> Result<(), SinkError> {
        if self.buffer.len() < COPY_BYTES {
            return Ok(());
        }
        let message = self.buffer.split().freeze();
        self.buffer.reserve(2 * COPY_BYTES);
        self.connection.wait(self.sink.send(message))
    }

    /// Ends it; returns the rows that the server has taken.
    pub(super) fn finish(mut self) -> Result<u64, SinkError> {
        self.buffer.put_i16(-1);
        let message = self.buffer.split().freeze();
        self.connection.wait(async {
            self.sink.send(message).await?;
            self.sink.as_mut().finish().await
        })
    }
}

async fn connect(address: &Address) -> Result<Client, Error> {
    // What ends the driver ends the client's next call, too, which says so.
    match &address.tls {
        Tls::None => {
            let (client, driver) = address.config.connect(NoTls).await?;
            tokio::spawn(async { drop(driver.await) });
            Ok(client)
        }
        Tls::IfOffered(connector) | Tls::Always(connector) => {
            let (client, driver) = address.config.connect(connector.clone()).await?;
            tokio::spawn(async { drop(driver.await) });
            Ok(client)
        }
    }
}

fn supported(name: &str, version: Option<u32>) -> Result<(), SinkError> {
    match version {
        Some(MIN_VERSION..) => Ok(()),
        other => Err(SinkError::refused(format!(
            "sink {name}: the server has version {}, the oldest supported one is {}; upgrade it",
            other.map_or("unknown".to_owned(), |v| (v / 10_000).to_string()),
            MIN_VERSION / 10_000
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused() {
        assert!(supported("x", Some(150_018)).is_ok());
        assert!(supported("x", Some(120_000)).is_ok());
        for version in [Some(110_022), Some(90_624), None] {
            let error = supported("x", version).unwrap_err();
            assert!(!error.is_retry());
            assert!(error.to_string().contains("supported one is 12"), "{error}");
        }
    }
}
