//! What a file holds, and in what it differs from what it should hold.
//!
//! Law: a difference is told by table and column, with what is there and what should be; nothing is changed here.

use std::collections::BTreeMap;

use flow_proto::Rollups;
use rusqlite::Connection;

use super::ddl::{self, VERSION, declared};
use super::migrations::{Migration, migrations};
use crate::columns::{self, Table};
use crate::schema::Difference;

/// What there is.
pub(super) struct Catalog {
    /// Version of the schema; 0: none of ours.
    pub(super) version: u32,
    rollups: Rollups,
    /// Names in lower case, since SQLite takes no notice of case, and what they are: `table`, `view`, `index`, `trigger`.
    objects: BTreeMap<String, String>,
    /// Of our tables, as far as they are there.
    columns: BTreeMap<&'static str, Vec<Column>>,
}

/// A column as SQLite reports it.
#[derive(Debug, PartialEq, Eq)]
struct Column {
    name: String,
    /// Declared type and `NOT NULL`.
    declared: String,
    /// Place in the primary key from 1 on; 0: not in it.
    key: u32,
}

impl Catalog {
    /// Looks.
    pub(super) fn read(connection: &Connection, rollups: Rollups) -> rusqlite::Result<Catalog> {
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let mut statement = connection.prepare("SELECT lower(name), type FROM sqlite_schema")?;
        let objects = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let objects = objects.collect::<rusqlite::Result<_>>()?;
        let mut columns = BTreeMap::new();
        for table in ddl::tables(rollups) {
            columns.insert(table.name, of_table(connection, table.name)?);
        }
        Ok(Catalog {
            version,
            rollups,
            objects,
            columns,
        })
    }

    /// Whether there is nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The version, if a later release has made it.
    pub(super) fn newer(&self) -> Option<u32> {
        Some(self.version).filter(|version| *version > VERSION)
    }

    /// What brings an older schema up.
    pub(super) fn migrations(&self) -> Vec<Migration> {
        let ours = self.version > 0 && !self.is_empty();
        let later = |migration: &Migration| ours && migration.to > self.version;
        migrations().into_iter().filter(later).collect()
    }

    /// What differs. What a migration makes must not be there before it.
    pub(super) fn differences(&self) -> Vec<Difference> {
        let migrations = self.migrations();
        let made: Vec<&String> = migrations.iter().flat_map(|m| &m.makes).collect();
        let added: Vec<_> = migrations.iter().flat_map(|m| &m.adds).collect();
        let taken = made.iter().filter_map(|name| {
            let kind = self.objects.get(*name)?;
            Some(Difference::Foreign(format!(
                "{kind} {name}: is there, though the schema's version is {}",
                self.version
            )))
        });
        let tables = ddl::tables(self.rollups);
        let others = tables.iter().filter_map(|table| {
            let name = table.name;
            let to_be_made = made.iter().any(|made| *made == name);
            let to_be_added = |column: &str| added.contains(&&(name, column));
            match self.objects.get(name).map(String::as_str) {
                None if to_be_made || self.is_empty() => {
                    Some(Difference::Mendable(format!("table {name} is missing")))
                }
                None => Some(Difference::Foreign(format!(
                    "not empty, and table {name} is missing"
                ))),
                Some(_) if to_be_made => None,
                Some("table") => self.of_columns(table, &to_be_added),
                Some(kind) => Some(Difference::Foreign(format!(
                    "table {name}: is of kind {kind}, should be a table"
                ))),
            }
        });
        let mut all: Vec<Difference> = taken.chain(others).collect();
        // What is there tells more than what is not.
        all.sort_by_key(|one| one.line().ends_with("is missing"));
        all
    }

    /// The first thing in which a table is not as it should be.
    fn of_columns(&self, table: &Table, to_be_added: &dyn Fn(&str) -> bool) -> Option<Difference> {
        let name = table.name;
        let found = self.columns.get(name)?;
        let foreign = |line: String| Some(Difference::Foreign(line));
        let is_there = |column: &&columns::Column| !to_be_added(column.name);
        let (mut key, mut due) = (0, 0);
        for (n, column) in table.columns.iter().filter(is_there).enumerate() {
            due += 1;
            key += u32::from(column.key);
            let expected = Column {
                name: column.name.into(),
                declared: declared(column),
                key: if column.key { key } else { 0 },
            };
            match found.get(n) {
                Some(column) if *column == expected => (),
                Some(other) => {
                    return foreign(format!(
                        "table {name}: column {} `{}` should be `{}`",
                        n + 1,
                        other.shown(),
                        expected.shown()
                    ));
                }
                None => {
                    return foreign(format!("table {name}: column {} is missing", column.name));
                }
            }
        }
        if let Some(more) = found.get(due) {
            return foreign(format!("table {name}: column {} is unknown", more.name));
        }
        let mut added = table
            .columns
            .iter()
            .filter(|column| to_be_added(column.name));
        let first = added.next()?;
        Some(Difference::Mendable(format!(
            "table {name}: column {} is missing",
            first.name
        )))
    }
}

impl Column {
    fn shown(&self) -> String {
        let key = if self.key == 0 {
            String::new()
        } else {
            format!(" KEY {}", self.key)
        };
        let text = format!("{} {}{key}", self.name, self.declared);
        text.trim_end().to_owned()
    }
}

fn of_table(connection: &Connection, name: &str) -> rusqlite::Result<Vec<Column>> {
    let mut statement =
        connection.prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1)")?;
    let rows = statement.query_map([name], |row| {
        let (kind, not_null): (String, bool) = (row.get(1)?, row.get(2)?);
        let declared = if not_null {
            format!("{kind} NOT NULL")
        } else {
            kind
        };
        Ok(Column {
            name: row.get(0)?,
            declared,
            key: row.get(3)?,
        })
    })?;
    rows.collect()
}
