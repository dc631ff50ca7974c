//! An older copy of a store, as an operator puts one back: with the cursors in it, or without.

use std::path::PathBuf;

use crate::store::Store;
use crate::verified::spoil;

/// What rows come from.
const ROWS: [&str; 3] = ["rollup_5m", "rollup_5m_country", "slots"];
/// How far the store has come.
pub(crate) const CURSORS: &str = "flow_pipeline_cursors";

/// A copy of a store's tables.
pub(crate) enum Backup {
    /// Of the whole file.
    File(PathBuf),
    /// In a schema or database of this name.
    Tables(String),
}

impl Backup {
    /// Of a store that nobody writes.
    pub(crate) fn of(store: &Store) -> Backup {
        let place = match store {
            Store::Sqlite(path) => {
                let copy = path.with_extension("backup");
                std::fs::copy(path, &copy).expect("a copy");
                return Backup::File(copy);
            }
            Store::Postgres(_) => {
                spoil(store, "CREATE SCHEMA backup");
                "backup".to_owned()
            }
            Store::ClickHouse(_, database) => {
                spoil(store, &format!("CREATE DATABASE {database}_backup"));
                format!("{database}_backup")
            }
        };
        for table in tables(store, true) {
            let engine = match store {
                Store::ClickHouse(..) => "ENGINE = MergeTree ORDER BY tuple() ",
                _ => "",
            };
            let copy = format!("CREATE TABLE {place}.{table} {engine}AS SELECT * FROM {table}");
            spoil(store, &copy);
        }
        Backup::Tables(place)
    }

    /// In the place of what the store has now.
    pub(crate) fn put_back(&self, store: &Store, cursors: bool) {
        let tables = tables(store, cursors);
        match (self, store) {
            (Backup::File(copy), Store::Sqlite(path)) if cursors => {
                std::fs::copy(copy, path).expect("a copy");
                // What was written since would be read on top of it.
                for beside in ["-wal", "-shm"] {
                    let mut name = path.clone().into_os_string();
                    name.push(beside);
                    drop(std::fs::remove_file(name));
                }
            }
            (Backup::File(copy), Store::Sqlite(path)) => {
                let database = rusqlite::Connection::open(path).expect("a database");
                let mut sql = format!("ATTACH '{}' AS backup; BEGIN;", copy.display());
                for table in tables {
                    sql += &format!(
                        "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM backup.{table};"
                    );
                }
                database.execute_batch(&(sql + "COMMIT")).expect("sql");
            }
            (Backup::Tables(place), Store::ClickHouse(..)) => {
                for table in tables {
                    spoil(store, &format!("TRUNCATE TABLE {table}"));
                    let insert = format!("INSERT INTO {table} SELECT * FROM {place}.{table}");
                    spoil(store, &format!("{insert} SETTINGS insert_deduplicate = 0"));
                }
            }
            (Backup::Tables(place), _) => {
                let each = tables.iter().map(|table| {
                    format!("TRUNCATE {table}; INSERT INTO {table} SELECT * FROM {place}.{table};")
                });
                spoil(store, &each.collect::<String>());
            }
            (Backup::File(_), _) => unreachable!("a file is SQLite's"),
        }
    }
}

/// What they are called where they are stored.
fn tables(store: &Store, cursors: bool) -> Vec<String> {
    let stored = |name: &str| match store {
        Store::ClickHouse(..) => format!("{name}_rows"),
        _ => name.to_owned(),
    };
    let mut tables: Vec<String> = ROWS.iter().map(|name| stored(name)).collect();
    tables.extend(cursors.then(|| CURSORS.to_owned()));
    tables
}
