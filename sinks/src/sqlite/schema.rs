//! Applies the schema of SQLite, and compares a database with it.
//!
//! Law: an empty database gets the schema; one of an older release is brought up by numbered migrations, and only when
//! asked to, in one transaction; one that differs otherwise is refused and left alone.

use std::io;
use std::path::{Path, PathBuf};

use flow_proto::Rollups;
use rusqlite::{Connection, OpenFlags};

use super::catalog::Catalog;
use super::ddl::{self, VERSION};
use super::explain;
use crate::schema::Difference;
use crate::{Schema, SinkError, Standing};

/// Applies the schema to an empty database, and checks that of any other.
pub(super) fn apply(
    connection: &mut Connection,
    name: &str,
    rollups: Rollups,
) -> Result<(), SinkError> {
    let sql = explain(name, true);
    let transaction = super::begin(connection).map_err(&sql)?;
    if admit(&transaction, name, rollups)?.is_empty() {
        make(&transaction, rollups).map_err(&sql)?;
    }
    transaction.commit().map_err(&sql)
}

/// That a job may write this database: it is empty, or its schema is the newest one.
pub(super) fn admit(
    connection: &Connection,
    name: &str,
    rollups: Rollups,
) -> Result<Catalog, SinkError> {
    let found = Catalog::read(connection, rollups).map_err(explain(name, true))?;
    usable(&found, name)?;
    if !found.migrations().is_empty() {
        return Err(SinkError::refused(format!(
            "sink {name}: its schema has version {}, this program writes {VERSION}; bring it up: flow-pipeline schema \
             apply --sink {name}",
            found.version
        )));
    }
    Ok(found)
}

/// That there is nothing that is not ours to change.
fn usable(found: &Catalog, name: &str) -> Result<(), SinkError> {
    if let Some(version) = found.newer() {
        return Err(SinkError::refused(format!(
            "sink {name}: {}",
            newer(version)
        )));
    }
    match Difference::foreign(&found.differences()) {
        None => Ok(()),
        Some(line) => Err(SinkError::refused(format!(
            "sink {name}: {line}; name a new file, or move this one away"
        ))),
    }
}

/// That a later release has made it.
fn newer(version: u32) -> String {
    format!(
        "its schema has version {version}, this program knows {VERSION}; use the release that made it"
    )
}

/// Makes the schema, or brings it up; returns what was done.
fn migrate(
    connection: &mut Connection,
    name: &str,
    rollups: Rollups,
) -> Result<Vec<String>, SinkError> {
    let sql = explain(name, true);
    let transaction = super::begin(connection).map_err(&sql)?;
    let found = Catalog::read(&transaction, rollups).map_err(&sql)?;
    usable(&found, name)?;
    let mut done = Vec::new();
    if found.is_empty() {
        make(&transaction, rollups).map_err(&sql)?;
        let line = |table: &crate::columns::Table| format!("table {}: made", table.name);
        done.extend(ddl::tables(rollups).iter().map(line));
    }
    for migration in found.migrations() {
        execute(&transaction, &migration.statements).map_err(&sql)?;
        done.push(format!("version {}: {}", migration.to, migration.what));
    }
    admit(&transaction, name, rollups)?;
    transaction.commit().map_err(&sql)?;
    Ok(done)
}

fn make(connection: &Connection, rollups: Rollups) -> rusqlite::Result<()> {
    execute(connection, &ddl::statements(rollups))
}

fn execute(connection: &Connection, statements: &[String]) -> rusqlite::Result<()> {
    connection.execute_batch(&statements.join(";\n"))
}

/// Whether there is a file; if there is none, that its folder takes one. SQLite itself says of all of this only that it
/// is "unable to open database file".
pub(super) fn is_there(path: &Path, name: &str) -> Result<bool, SinkError> {
    let no = |why: String| Err(SinkError::fatal(format!("sink {name}: {why}")));
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() => return Ok(true),
        Ok(_) => return no("is not a regular file; name another one".into()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) => {}
        Err(error) => return no(format!("{error}; name another file")),
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let shown = folder.display();
    match std::fs::metadata(folder) {
        Ok(found) if !found.is_dir() => no(format!("{shown} is no folder; name another file")),
        Ok(found) if found.permissions().readonly() => no(format!(
            "its folder {shown} is read-only; name another file"
        )),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => no(format!(
            "its folder {shown} is not there; make it, or name another file"
        )),
        Err(error) => no(format!("its folder {shown}: {error}; name another file")),
    }
}

/// The schema, for people. A file that is not there is like an empty one, and only `apply` makes it.
pub(super) struct SqliteSchema {
    path: PathBuf,
    name: String,
    rollups: Rollups,
}

impl SqliteSchema {
    /// Of the file at `path`.
    pub(super) fn new(path: &Path, rollups: Rollups) -> SqliteSchema {
        SqliteSchema {
            path: path.to_owned(),
            name: super::named(path),
            rollups,
        }
    }
}

impl Schema for SqliteSchema {
    fn name(&self) -> &str {
        &self.name
    }

    fn print(&self) -> Vec<String> {
        ddl::statements(self.rollups)
    }

    fn apply(&mut self, _extend: bool) -> Result<Vec<String>, SinkError> {
        is_there(&self.path, &self.name)?;
        let mut connection = Connection::open(&self.path).map_err(explain(&self.name, true))?;
        migrate(&mut connection, &self.name, self.rollups)
    }

    fn look(&mut self) -> Result<Standing, SinkError> {
        if !is_there(&self.path, &self.name)? {
            return Ok(Standing {
                made_at_start: true,
                differences: vec![format!(
                    "file {}: not there yet, and made with all tables by `schema apply` or the first start",
                    self.path.display()
                )],
                ..Standing::default()
            });
        }
        let found = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .and_then(|connection| Catalog::read(&connection, self.rollups))
            .map_err(explain(&self.name, true))?;
        let differences = match found.newer() {
            Some(version) => vec![newer(version)],
            None => Difference::lines(&found.differences()),
        };
        Ok(Standing {
            made_at_start: found.is_empty() && found.newer().is_none(),
            differences,
            ..Standing::default()
        })
    }
}
