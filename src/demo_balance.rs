//! The demo's balance: what was sent, received, decoded and written, from counters and from the database.
//!
//! Law 7: datagrams sent = received + lost, the loss being measured; flows decoded = in rows + in open slots + refused
//! by reason, the latter three read back from SQLite.

use std::path::Path;
use std::time::Duration;

use flow_ingest::metrics::Totals;
use rusqlite::{Connection, OpenFlags};

use crate::failure::{Exit, Failure};

/// What the database says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pub(crate) rows: u64,
    pub(crate) flows_in_rows: u64,
    pub(crate) open: u64,
    pub(crate) too_early: u64,
    pub(crate) too_late: u64,
    pub(crate) implausible: u64,
}

impl Book {
    /// Reads it from the database's tables; nothing is there yet: all zero.
    pub(crate) fn read(database: &Path) -> Result<Book, Failure> {
        let failed = |error: rusqlite::Error| {
            Failure::new(Exit::Io, format!("{}: {error}", database.display()))
        };
        if !database.exists() {
            return Ok(Book::default());
        }
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(failed)?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(failed)?;
        let rows = "select count(*), coalesce(sum(flows), 0), 0, 0 from rollup_5m";
        let slots = "select coalesce(sum(case when state = 'open' then flows else 0 end), 0), \
                     coalesce(sum(too_early), 0), coalesce(sum(too_late), 0), coalesce(sum(implausible), 0) \
                     from slots where rollup = 'rollup_5m'";
        // One transaction: a checkpoint that lands between the two would not balance.
        let transaction = connection.unchecked_transaction().map_err(failed)?;
        let four = |sql: &str| -> rusqlite::Result<[u64; 4]> {
            transaction.query_row(sql, [], |row| {
                Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
            })
        };
        let [rows, flows_in_rows, ..] = four(rows).map_err(failed)?;
        let [open, too_early, too_late, implausible] = four(slots).map_err(failed)?;
        Ok(Book {
            rows,
            flows_in_rows,
            open,
            too_early,
            too_late,
            implausible,
        })
    }

    /// Itself, if it has any rows.
    pub(crate) fn filter_rows(self) -> Option<Book> {
        (self.rows > 0).then_some(self)
    }

    fn refused(&self) -> u64 {
        self.too_early + self.too_late + self.implausible
    }

    /// Flows that it knows of.
    pub(crate) fn all(&self) -> u64 {
        self.flows_in_rows + self.open + self.refused()
    }
}

/// Both sides of every stage.
#[derive(Debug)]
pub(crate) struct Balance {
    pub(crate) datagrams_sent: u64,
    pub(crate) flows_sent: u64,
    pub(crate) collected: Totals,
    /// Flows that the job found in the topic when it started: the back-fill, and what an earlier demo left unread.
    pub(crate) in_topic: u64,
    pub(crate) decoded: u64,
    /// Flows decoded by earlier demos in this directory.
    pub(crate) before: u64,
    pub(crate) after: Book,
}

impl Balance {
    fn lost(&self) -> u64 {
        self.collected.kernel_drops + self.collected.receive_errors
    }

    /// Prints it.
    pub(crate) fn tell(&self, took: Duration) {
        let c = &self.collected;
        tracing::info!(
            "datagrams: {} sent = {} received + {} lost (kernel drops); missing by sequence {}",
            self.datagrams_sent,
            c.datagrams_received,
            self.lost(),
            c.sequence_missing
        );
        tracing::info!(
            "live flows: {} sent, {} decoded by the collector, {} written to the topic",
            self.flows_sent,
            c.flows_decoded,
            c.flows_written
        );
        let (before, after) = (self.before, &self.after);
        let earlier = if before == 0 {
            String::new()
        } else {
            format!(" (and {before} by earlier demos here)")
        };
        tracing::info!(
            "flows of the job: {} decoded{earlier} = {} in {} rows + {} in open slots + {} too early + {} too late + {} implausible",
            self.decoded,
            after.flows_in_rows,
            after.rows,
            after.open,
            after.too_early,
            after.too_late,
            after.implausible
        );
        tracing::info!("ended after {:.1} s", took.as_secs_f64());
    }

    /// Fails if any of it does not balance.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let c = &self.collected;
        let equal = [
            (
                "datagrams",
                self.datagrams_sent,
                c.datagrams_received + self.lost(),
            ),
            (
                "flows collected",
                c.flows_decoded,
                c.flows_written + c.topic_drops,
            ),
            (
                "flows written to the topic",
                self.in_topic + c.flows_written,
                self.decoded,
            ),
            (
                "flows of the job",
                self.before + self.decoded,
                self.after.all(),
            ),
        ];
        match equal.iter().find(|(_, left, right)| left != right) {
            None => Ok(()),
            Some((what, left, right)) => Err(Failure::new(
                Exit::Bug,
                format!("{what} do not balance: {left} on one side, {right} on the other"),
            )),
        }
    }
}
