//! Looks into an SQLite file.
//!
//! Law: by a connection that can only read, and makes no file.

use std::io::ErrorKind;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

use super::{BUSY, explain, named, parse};
use crate::SinkError;
use crate::columns::SLOTS;
use crate::look::{Answer, Look, Words};

/// The file of a URL.
pub(crate) fn look(url: &str) -> Result<Look, SinkError> {
    let (path, _) = parse(url)?;
    let name = named(path);
    let why = match path.metadata() {
        Ok(found) => (!found.is_file()).then(|| "is no file".to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Some("no such file".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(why) = why {
        return Err(SinkError::refused(format!(
            "sink {name}: {why}; name the file that the job writes"
        )));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = in_looking(&name);
    let connection = Connection::open_with_flags(path, flags).map_err(&sql)?;
    connection.busy_timeout(BUSY).map_err(&sql)?;
    let ask = move |statement: &str| answer(&connection, statement).map_err(&sql);
    let has_slots = format!("SELECT count(*) FROM sqlite_schema WHERE name = '{SLOTS}'");
    Look::new(name, Words::plain(), Box::new(ask), &has_slots)
}

/// As for whoever writes, but for what means something else to whoever reads.
fn in_looking(name: &str) -> impl Fn(rusqlite::Error) -> SinkError + use<> {
    let (name, otherwise) = (name.to_owned(), explain(name, true));
    move |error| match (&error, error.sqlite_error_code()) {
        (rusqlite::Error::SqlInputError { msg, .. }, _) => SinkError::refused(format!(
            "sink {name}: {msg}; its tables are not as they should be: see flow-pipeline schema diff --sink {name}"
        )),
        (_, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) => SinkError::fatal(format!(
            "sink {name}: {error}; to be read it needs files beside it (-wal, -shm): give this user the right to write \
             in its folder, or name a copy elsewhere"
        )),
        _ => otherwise(error),
    }
}

fn answer(connection: &Connection, statement: &str) -> rusqlite::Result<Vec<Answer>> {
    let mut statement = connection.prepare(statement)?;
    let columns = statement.column_count();
    let values = |row: &Row<'_>| {
        let all = (0..columns).map(|at| Ok(text(row.get_ref(at)?)));
        all.collect::<rusqlite::Result<Answer>>()
    };
    statement.query_map([], values)?.collect()
}

pub(super) fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => None,
    }
}
