//! Looks at the rows of `slots` in an SQLite file.
//!
//! Law: by a connection that can only read, and makes no file.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::{BUSY, explain, named, parse};
use crate::SinkError;
use crate::stored_slots::{self, SlotQuery, StoredSlot, Words};

/// The rows that are wanted.
pub(crate) fn slots(url: &str, query: &SlotQuery) -> Result<Vec<StoredSlot>, SinkError> {
    let (path, _) = parse(url)?;
    let name = named(path);
    if !path.exists() {
        return Err(SinkError::refused(format!("sink {name}: no such file")));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = explain(&name, true);
    let connection = Connection::open_with_flags(path, flags).map_err(&sql)?;
    connection.busy_timeout(BUSY).map_err(&sql)?;
    let statement = stored_slots::statement(query, &Words::plain());
    let mut statement = connection.prepare(&statement).map_err(&sql)?;
    let columns = statement.column_count();
    let values = |row: &Row<'_>| {
        let all = (0..columns).map(|at| Ok(text(row.get_ref(at)?)));
        all.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = statement.query_map([], values).map_err(&sql)?;
    rows.map(|row| stored_slots::row(&row.map_err(&sql)?, &name))
        .collect()
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => None,
    }
}
