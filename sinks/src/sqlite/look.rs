//! Looks into an SQLite file.
//!
//! Law: by a connection that can only read, and makes no file.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::{BUSY, explain, named, parse};
use crate::SinkError;
use crate::look::{Answer, Look, Words};

/// The file of a URL.
pub(crate) fn look(url: &str) -> Result<Look, SinkError> {
    let (path, _) = parse(url)?;
    let name = named(path);
    if !path.exists() {
        return Err(SinkError::refused(format!("sink {name}: no such file")));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = explain(&name, true);
    let connection = Connection::open_with_flags(path, flags).map_err(&sql)?;
    connection.busy_timeout(BUSY).map_err(&sql)?;
    let ask = move |statement: &str| answer(&connection, statement).map_err(&sql);
    Ok(Look::new(name, Words::plain(), Box::new(ask)))
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

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => None,
    }
}
