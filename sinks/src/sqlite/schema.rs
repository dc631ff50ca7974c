//! Applies the schema of SQLite, and compares a database with it.
//!
//! Law: an empty database gets the schema; one of an older release is brought up by numbered migrations, and only when
//! asked to, in one transaction; one that differs otherwise is refused and left alone.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::ddl::{self, VERSION, declared};
use super::explain;
use crate::columns::Table;
use crate::{Schema, SinkError};

/// Applies the schema to an empty database, and checks that of any other.
pub(super) fn apply(connection: &mut Connection, name: &str) -> Result<(), SinkError> {
    let sql = explain(name, true);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(&sql)?;
    let version = version(&transaction, name)?;
    if (1..VERSION).contains(&version) {
        return Err(SinkError::refused(format!(
            "sink {name}: its schema has version {version}, this program writes {VERSION}; bring it up: flow-pipeline \
             schema apply --sink {name}"
        )));
    }
    if let Some(newer) = newer(version) {
        return Err(SinkError::refused(format!("sink {name}: {newer}")));
    }
    if is_empty(&transaction).map_err(&sql)? {
        execute(&transaction, &ddl::statements()).map_err(&sql)?;
        return transaction.commit().map_err(&sql);
    }
    check(&transaction, name)
}

/// Brings a database of an older release up; returns what was done.
fn migrate(connection: &mut Connection, name: &str) -> Result<Vec<String>, SinkError> {
    let sql = explain(name, true);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(&sql)?;
    let found = version(&transaction, name)?;
    let mut done = Vec::new();
    for migration in ddl::migrations()
        .iter()
        .filter(|m| found > 0 && m.to > found)
    {
        execute(&transaction, &migration.statements).map_err(&sql)?;
        done.push(format!("version {}: {}", migration.to, migration.what));
    }
    if !done.is_empty() {
        check(&transaction, name)?;
    }
    transaction.commit().map_err(&sql)?;
    Ok(done)
}

fn execute(connection: &Connection, statements: &[String]) -> rusqlite::Result<()> {
    connection.execute_batch(&statements.join(";\n"))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
}

/// That every table is as it should be.
fn check(connection: &Connection, name: &str) -> Result<(), SinkError> {
    for table in ddl::tables() {
        let found = found_columns(connection, &table).map_err(explain(name, true))?;
        if let Some(difference) = difference(&table, &found) {
            return Err(SinkError::refused(format!(
                "sink {name}: {difference}; name a new file, or move this one away"
            )));
        }
    }
    Ok(())
}

/// Version of a database's schema; 0: none of ours.
fn version(connection: &Connection, name: &str) -> Result<u32, SinkError> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(explain(name, true))
}

/// That a later release has made it.
fn newer(version: u32) -> Option<String> {
    (version > VERSION).then(|| {
        format!(
            "its schema has version {version}, this program knows {VERSION}; use the release that made it"
        )
    })
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
        is_empty(&self.look()?).map_err(explain(&self.name, true))
    }

    fn print(&self) -> Vec<String> {
        ddl::statements()
    }

    fn apply(&mut self, _extend: bool) -> Result<Vec<String>, SinkError> {
        let before = self.diff()?;
        let mut connection = Connection::open(&self.path).map_err(explain(&self.name, true))?;
        let migrated = migrate(&mut connection, &self.name)?;
        apply(&mut connection, &self.name)?;
        Ok(if migrated.is_empty() {
            before
        } else {
            migrated
        })
    }

    fn diff(&mut self) -> Result<Vec<String>, SinkError> {
        let sql = explain(&self.name, true);
        let connection = self.look()?;
        let mut differences = Vec::new();
        differences.extend(newer(version(&connection, &self.name)?));
        for table in ddl::tables() {
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
