//! SQLite: the embedded default store, one file, nothing to install.
//!
//! Law 6: rows, slots and cursors move in one transaction, which goes on only if the stored cursors equal the ones
//! it started from. `synchronous=FULL`, since what was acknowledged lets go of state files: a commit that a power
//! cut takes back would be lost for ever.

mod adopt;
mod catalog;
mod cursor;
mod ddl;
pub(crate) mod look;
mod migrations;
mod raw;
pub(crate) mod raw_look;
mod schema;
mod turns;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flow_proto::Rollups;
use flow_topic::shown;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::columns::SLOTS;
use crate::options::{self, StoreOptions};
use crate::{
    Adoption, Applied, Cursors, Delta, Held, IsRecorded, RawSink, Schema, Shape, Sink, SinkError,
    SinkErrorKind, Store,
};
use raw::SqliteRaw;
use turns::Turns;

/// How long a write waits for another process's lock before the follower is told to try again.
const BUSY: Duration = Duration::from_secs(1);
/// The write-ahead log is cut back to this size after a large delta. Bytes.
const WAL_LIMIT_BYTES: i64 = 64 << 20;

/// Opens the store of a `sqlite:///FILE?…` URL.
///
/// # Errors
/// As `Sqlite::open`; `Refused` for a URL that cannot be.
pub fn open(url: &str, rollups: Rollups) -> Result<Store, SinkError> {
    let (path, options) = parse(url)?;
    let options = StoreOptions { rollups, ..options };
    let rollups = Sqlite::open(path, options)?;
    let raw = writes_raw(&options);
    Ok(Store {
        raw: raw.then(|| rollups.raw(path)).transpose()?,
        rollups: Some(Box::new(rollups)),
    })
}

/// The store of a `sqlite:///FILE?…` URL; the file is not touched.
///
/// # Errors
/// `Refused` for a URL that cannot be.
pub fn shape(url: &str) -> Result<Shape, SinkError> {
    let (path, options) = parse(url)?;
    Ok(Shape {
        name: named(path),
        rollups: true,
        raw: writes_raw(&options),
    })
}

/// Raw flows are off unless the URL says otherwise.
fn writes_raw(options: &StoreOptions) -> bool {
    options.raw == Some(true)
}

fn named(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// The schema of a `sqlite:///FILE` URL.
///
/// # Errors
/// As `Sqlite::open`.
pub fn schema(url: &str, rollups: Rollups) -> Result<Box<dyn Schema>, SinkError> {
    let (path, _) = parse(url)?;
    Ok(Box::new(schema::SqliteSchema::new(path, rollups)))
}

/// The file and the options of a URL.
fn parse(url: &str) -> Result<(&Path, StoreOptions), SinkError> {
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() {
        return Err(SinkError::refused(format!(
            "sink {}: no file named; write sqlite:///path/to/file",
            shown(url)
        )));
    }
    let name = shown(url);
    let (taken, rest) = options::take(query, &name)?;
    options::nothing_left(&rest, &name, &[])?;
    Ok((Path::new(path), taken))
}

/// A database file that this process writes. Others may read it at any time (write-ahead log).
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    name: String,
    options: StoreOptions,
    /// Shared with what writes raw flows into the same file.
    turns: Arc<Turns>,
}

impl Sqlite {
    /// Opens or creates a database and applies the schema to an empty one.
    ///
    /// # Errors
    /// `Refused` if it is no database or has another schema, `Retry` if it is locked, `Fatal` if it cannot be opened
    /// or written.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Sqlite, SinkError> {
        let name = named(path);
        if schema::is_there(path, &name)? {
            // Before the mode of its log is changed, which stays with a file.
            schema::admit(&opened(path, &name)?, &name, options.rollups)?;
        }
        let mut sink = Sqlite {
            connection: connect(path, &name)?,
            name,
            options,
            turns: Arc::default(),
        };
        schema::apply(&mut sink.connection, &sink.name, options.rollups)?;
        Ok(sink)
    }

    /// What writes raw flows into the same file.
    fn raw(&self, path: &Path) -> Result<Box<dyn RawSink>, SinkError> {
        Ok(Box::new(SqliteRaw {
            connection: connect(path, &self.name)?,
            name: self.name.clone(),
            retention_secs: self.options.raw_retention_secs,
            turns: Arc::clone(&self.turns),
        }))
    }
}

/// Opens a file, or makes an empty one, and changes nothing in it.
fn opened(path: &Path, name: &str) -> Result<Connection, SinkError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .and_then(|connection| {
            connection.busy_timeout(BUSY)?;
            Ok(connection)
        })
        .map_err(explain(name, true))
}

/// A transaction that writes. Left without a commit it is rolled back.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn connect(path: &Path, name: &str) -> Result<Connection, SinkError> {
    let connection = opened(path, name)?;
    let set = || {
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "journal_size_limit", WAL_LIMIT_BYTES)
    };
    set().map_err(explain(name, true))?;
    Ok(connection)
}

impl Sink for Sqlite {
    fn name(&self) -> &str {
        &self.name
    }

    fn cursors(&mut self) -> Result<Cursors, SinkError> {
        cursor::read(&self.connection, &self.name)
    }

    fn apply(&mut self, delta: &Delta<'_>) -> Result<Applied, SinkError> {
        let sql = explain(&self.name, false);
        let _turn = self.turns.take();
        let transaction = begin(&mut self.connection).map_err(&sql)?;
        // Leaving without a commit rolls back.
        if !cursor::stands_at(&cursor::read(&transaction, &self.name)?, delta, &self.name)? {
            return Ok(Applied::CursorMoved);
        }
        let writer = writer::Writer {
            transaction: &transaction,
            name: &self.name,
            rollups: self.options.rollups,
        };
        let rows = writer.rows(delta)?;
        writer.slots(delta)?;
        writer.forget(&self.options.kept_from(delta.watermark_secs))?;
        cursor::store(&transaction, delta).map_err(&sql)?;
        transaction.commit().map_err(&sql)?;
        Ok(Applied::Done { rows })
    }

    fn replace(&mut self, delta: &Delta<'_>, _: &IsRecorded<'_>) -> Result<u64, SinkError> {
        let sql = explain(&self.name, false);
        let _turn = self.turns.take();
        let transaction = begin(&mut self.connection).map_err(&sql)?;
        let cursors = cursor::read(&transaction, &self.name)?;
        cursor::same_job(cursors.job.as_deref(), delta.job, &self.name)?;
        let writer = writer::Writer {
            transaction: &transaction,
            name: &self.name,
            rollups: self.options.rollups,
        };
        writer.clear(delta.slots)?;
        let rows = writer.rows(delta)?;
        writer.slots(delta)?;
        transaction.commit().map_err(&sql)?;
        Ok(rows)
    }

    fn slot_flows(&mut self, from_secs: u64) -> Result<Option<BTreeMap<u64, u64>>, SinkError> {
        let ask = || {
            let mut statement = self.connection.prepare_cached(&format!(
                "SELECT slot, flows FROM {SLOTS} WHERE rollup = ?1 AND slot >= ?2"
            ))?;
            let base = self.options.rollups.base().table();
            let rows =
                statement.query_map((base, from_secs), |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        ask().map(Some).map_err(explain(&self.name, false))
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        adopt::held(&self.connection).map_err(explain(&self.name, false))
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        let _turn = self.turns.take();
        adopt::adopt(&mut self.connection, adoption, adopt::rows)
            .map_err(explain(&self.name, false))
    }
}

/// From SQLite's error to ours. At the start (`opening`) a file that cannot be opened, or a disk that is full, ends the
/// program; later it is tried again, since the disk may come back.
fn explain(name: &str, opening: bool) -> impl Fn(rusqlite::Error) -> SinkError + use<> {
    let name = name.to_owned();
    move |error| {
        let code = error.sqlite_error_code();
        let later = if opening {
            SinkErrorKind::Fatal
        } else {
            SinkErrorKind::Retry
        };
        let (kind, advice) = match code {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
                SinkErrorKind::Retry,
                "another process holds its lock: let it finish",
            ),
            Some(ErrorCode::NotADatabase) => (
                SinkErrorKind::Refused,
                "this file is something else: name another one",
            ),
            Some(ErrorCode::DatabaseCorrupt) => (
                SinkErrorKind::Fatal,
                "restore it from a copy, or name a new file",
            ),
            Some(ErrorCode::DiskFull) => (later, "make room on its disk"),
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure,
            ) => (later, "check that its folder exists and is writable"),
            _ => (
                SinkErrorKind::Fatal,
                "this is a bug or a foreign change of the database",
            ),
        };
        let line = format!("sink {name}: {error}; {advice}").replace('\n', " ");
        match kind {
            SinkErrorKind::Retry => SinkError::retry(line),
            SinkErrorKind::Refused => SinkError::refused(line),
            SinkErrorKind::Fatal => SinkError::fatal(line),
        }
    }
}
