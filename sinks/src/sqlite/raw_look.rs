//! Looks at the raw flows of an SQLite file.
//!
//! Law: by a connection that can only read, and makes no file.

use rusqlite::{Connection, OpenFlags};

use super::look::text;
use super::{BUSY, explain, named, parse, writes_raw};
use crate::SinkError;
use crate::columns::Kind;
use crate::raw_columns::{RAW_CURSORS, RAW_FLOWS};
use crate::raw_look::{RawLook, RawWords, Take, columns, none};
use crate::raw_texts::Held;

/// The file of a URL.
pub(crate) fn raw_look(url: &str) -> Result<RawLook, SinkError> {
    let (path, options) = parse(url)?;
    let name = named(path);
    if !writes_raw(&options) {
        return Err(none(&name, "its URL lacks raw=on"));
    }
    let sql = explain(&name, true);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&sql)?;
    connection.busy_timeout(BUSY).map_err(&sql)?;
    if !connection.table_exists(None, RAW_FLOWS).map_err(&sql)? {
        return Err(none(&name, "there is no table of them"));
    }
    let words = RawWords {
        from: RAW_FLOWS.to_owned(),
        cursors: RAW_CURSORS.to_owned(),
        columns: columns(|name, _| name.to_owned(), held),
        time: |secs| secs.to_string(),
        text: str::to_owned,
    };
    let each = move |statement: &str, take: &mut Take<'_>| each(&connection, statement, take, &sql);
    let about = (name, options.raw_retention_secs);
    Ok(RawLook::new(about, words, Box::new(each)))
}

/// As `raw` writes it.
fn held(kind: Kind) -> Held {
    match kind {
        Kind::Counter | Kind::Nanoseconds => Held::up_to(i64::MAX.unsigned_abs()),
        _ => Held::ALL,
    }
}

fn each(
    connection: &Connection,
    statement: &str,
    take: &mut Take<'_>,
    sql: &dyn Fn(rusqlite::Error) -> SinkError,
) -> Result<(), SinkError> {
    let mut statement = connection.prepare(statement).map_err(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([]).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        let values = (0..columns).map(|at| row.get_ref(at).map(text));
        let values: rusqlite::Result<Vec<_>> = values.collect();
        take(values.map_err(sql)?)?;
    }
    Ok(())
}
