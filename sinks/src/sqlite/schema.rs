//! The tables and views in SQLite, generated from the one column definition.
//!
//! Times are whole seconds since 1970 (small, exact, sorted as numbers); for people there is a view `…_readable` of
//! each table with times as text in UTC. Law: an empty database gets the schema, one that differs is refused
//! and left alone.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::explain;
use crate::columns::{self, Column, Kind, Table};
use crate::{Schema, SinkError};

/// Version of this schema (`PRAGMA user_version`).
const VERSION: u32 = 1;

/// The statements that make the schema.
fn statements() -> Vec<String> {
    let mut statements: Vec<String> = columns::tables().iter().map(create).collect();
    // Retirement looks for slots by their state; the table itself grows with time.
    statements.push(format!(
        "CREATE INDEX slots_by_state ON {} (state, slot)",
        columns::SLOTS
    ));
    let readable = columns::tables();
    statements.extend(
        readable
            .iter()
            .filter(|t| t.name != columns::CURSORS)
            .map(view),
    );
    statements.push(format!("PRAGMA user_version = {VERSION}"));
    statements
}

/// Applies the schema to an empty database, and checks that of any other.
pub(super) fn apply(connection: &mut Connection, name: &str) -> Result<(), SinkError> {
    let sql = explain(name, true);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(&sql)?;
    let things: u32 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(&sql)?;
    if let Some(newer) = newer(&transaction, name)? {
        return Err(SinkError::refused(format!("sink {name}: {newer}")));
    }
    if things == 0 {
        transaction
            .execute_batch(&statements().join(";\n"))
            .map_err(&sql)?;
        return transaction.commit().map_err(&sql);
    }
    for table in columns::tables() {
        let found = found_columns(&transaction, &table).map_err(&sql)?;
        if let Some(difference) = difference(&table, &found) {
            return Err(SinkError::refused(format!(
                "sink {name}: {difference}; name a new file, or move this one away"
            )));
        }
    }
    Ok(())
}

/// That a later release has made it.
fn newer(connection: &Connection, name: &str) -> Result<Option<String>, SinkError> {
    let version: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(explain(name, true))?;
    Ok((version > VERSION).then(|| {
        format!(
            "its schema has version {version}, this program knows {VERSION}; use the release that made it"
        )
    }))
}

/// The schema, for people. A file that is not there is like an empty one, and only `apply` makes it.
pub(super) struct SqliteSchema {
    path: PathBuf,
    name: String,
}

impl SqliteSchema {
    /// Of the file at `path`.
    pub(super) fn new(path: &Path) -> SqliteSchema {
        SqliteSchema {
            path: path.to_owned(),
            name: format!("sqlite://{}", path.display()),
        }
    }

    /// For looking at it.
    fn look(&self) -> Result<Connection, SinkError> {
        if self.path.exists() && !self.path.is_file() {
            return Err(SinkError::fatal(format!(
                "sink {}: not a regular file; name another one",
                self.name
            )));
        }
        let opened = if self.path.exists() {
            Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        } else {
            let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
            let folder = std::fs::metadata(folder.unwrap_or(Path::new(".")));
            if !folder.is_ok_and(|f| f.is_dir() && !f.permissions().readonly()) {
                return Err(SinkError::fatal(format!(
                    "sink {}: check that its folder exists and is writable",
                    self.name
                )));
            }
            Connection::open_in_memory()
        };
        opened.map_err(explain(&self.name, true))
    }
}

impl Schema for SqliteSchema {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_empty(&mut self) -> Result<bool, SinkError> {
        self.look()?
            .query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
                row.get(0)
            })
            .map_err(explain(&self.name, true))
    }

    fn print(&self) -> Vec<String> {
        statements()
    }

    fn apply(&mut self, _extend: bool) -> Result<Vec<String>, SinkError> {
        let before = self.diff()?;
        let mut connection = Connection::open(&self.path).map_err(explain(&self.name, true))?;
        apply(&mut connection, &self.name)?;
        Ok(before)
    }

    fn diff(&mut self) -> Result<Vec<String>, SinkError> {
        let sql = explain(&self.name, true);
        let connection = self.look()?;
        let mut differences = Vec::new();
        differences.extend(newer(&connection, &self.name)?);
        for table in columns::tables() {
            let found = found_columns(&connection, &table).map_err(&sql)?;
            differences.extend(difference(&table, &found));
        }
        Ok(differences)
    }
}

/// A column as SQLite reports it.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    name: String,
    /// Declared type and `NOT NULL`.
    declared: String,
    /// Place in the primary key from 1 on; 0: not in it.
    key: u32,
}

fn found_columns(connection: &Connection, table: &Table) -> rusqlite::Result<Vec<Found>> {
    let mut statement =
        connection.prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1)")?;
    let rows = statement.query_map([table.name], |row| {
        let (kind, not_null): (String, bool) = (row.get(1)?, row.get(2)?);
        let declared = if not_null {
            format!("{kind} NOT NULL")
        } else {
            kind
        };
        Ok(Found {
            name: row.get(0)?,
            declared,
            key: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// The first thing in which a table is not as it should be.
fn difference(table: &Table, found: &[Found]) -> Option<String> {
    if found.is_empty() {
        return Some(format!("not empty, and table {} is missing", table.name));
    }
    let mut key = 0;
    for (n, column) in table.columns.iter().enumerate() {
        key += u32::from(column.key);
        let expected = Found {
            name: column.name.into(),
            declared: declared(column),
            key: if column.key { key } else { 0 },
        };
        match found.get(n) {
            Some(column) if *column == expected => (),
            Some(other) => {
                return Some(format!(
                    "table {}: column {} `{} {}` should be `{} {}`",
                    table.name,
                    n + 1,
                    other.name,
                    other.declared,
                    expected.name,
                    expected.declared
                ));
            }
            None => {
                return Some(format!(
                    "table {}: column {} is missing",
                    table.name, column.name
                ));
            }
        }
    }
    let more = found.get(table.columns.len())?;
    Some(format!(
        "table {}: column {} is unknown",
        table.name, more.name
    ))
}

fn declared(column: &Column) -> String {
    let kind = match column.kind {
        Kind::Seconds
        | Kind::Nanoseconds
        | Kind::U32
        | Kind::U64
        | Kind::Counter
        | Kind::Boolean => "INTEGER",
        Kind::Country | Kind::Text | Kind::NumberList | Kind::Address => "TEXT",
    };
    if column.nullable {
        kind.into()
    } else {
        format!("{kind} NOT NULL")
    }
}

fn create(table: &Table) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|c| format!("  {} {}", c.name, declared(c)))
        .collect();
    let key: Vec<&str> = table.key().map(|c| c.name).collect();
    format!(
        "CREATE TABLE {} (\n{},\n  PRIMARY KEY ({})\n) WITHOUT ROWID",
        table.name,
        columns.join(",\n"),
        key.join(", ")
    )
}

fn view(table: &Table) -> String {
    let shown: Vec<String> = table
        .columns
        .iter()
        .map(|c| match c.kind {
            Kind::Seconds => format!("datetime({0}, 'unixepoch') AS {0}", c.name),
            _ => c.name.into(),
        })
        .collect();
    format!(
        "CREATE VIEW {0}_readable AS SELECT {1} FROM {0}",
        table.name,
        shown.join(", ")
    )
}
