//! The schema in ClickHouse: made, brought up by numbered migrations, compared.
//!
//! ClickHouse has no transactions for DDL: every statement may be repeated, and a migration's number is written after
//! its last one. Law: an empty database gets the newest schema; one with the tables of cloudflare/flow-pipeline, or a
//! newer schema, is left alone.

use super::address::Address;
use super::ddl::{self, VERSIONS};
use super::kafka_engine::kafka_engine;
use super::server::{Server, quoted};
use super::views;
use crate::{Schema, SinkError};

/// Version of this schema.
const VERSION: u32 = 1;
/// Oldest server with `ReplacingMergeTree(version, is_deleted)`.
const OLDEST: (u32, u32) = (23, 2);
/// Objects of cloudflare/flow-pipeline.
const THEIRS: [&str; 5] = [
    "flows",
    "flows_raw",
    "flows_5m",
    "flows_raw_view",
    "flows_5m_view",
];

/// What a database holds.
enum Found {
    /// There is none.
    NoDatabase,
    /// Nothing at all.
    Empty,
    /// None of our migrations; the names of what there is.
    Other(Vec<String>),
    /// Our migrations up to this one.
    Ours(u32),
}

/// The statements of a new database.
fn statements(database: &str) -> Vec<String> {
    let tables = ddl::tables();
    let tables = tables.iter().map(|table| table.create(database));
    let views = views::views(database);
    tables
        .chain(views.iter().map(|view| view.create(database)))
        .collect()
}

/// Makes sure that the job can write: an empty database gets the schema, a difference is refused.
pub(super) fn ready(server: &Server) -> Result<(), SinkError> {
    match look(server)? {
        Found::NoDatabase | Found::Empty => return migrate(server, 0).map(drop),
        Found::Other(names) => return Err(not_ours(server, &names)),
        Found::Ours(version) => refuse_newer(server, version)?,
    }
    match differences(server)?.first() {
        None => may_write(server),
        Some(difference) => Err(SinkError::refused(format!(
            "sink {0}: {difference}; bring it up with: flow-pipeline schema apply --sink {0}",
            server.name
        ))),
    }
}

/// An insert of no rows into each table: what it asks of the user is what the job needs.
fn may_write(server: &Server) -> Result<(), SinkError> {
    for stored in ddl::tables() {
        let table = server.table(&stored.name);
        server.execute(&format!(
            "INSERT INTO {table} SELECT * FROM {table} WHERE 0"
        ))?;
    }
    Ok(())
}

fn look(server: &Server) -> Result<Found, SinkError> {
    check_version(server)?;
    let database = quoted(&server.database);
    let known = server.ask(&format!(
        "SELECT name FROM system.databases WHERE name = {database}"
    ))?;
    if known.is_empty() {
        return Ok(Found::NoDatabase);
    }
    let names: Vec<String> = server
        .ask(&format!(
            "SELECT name FROM system.tables WHERE database = {database} ORDER BY name"
        ))?
        .into_iter()
        .filter_map(|row| row.into_iter().next().flatten())
        .collect();
    if names.is_empty() {
        return Ok(Found::Empty);
    }
    if !names.iter().any(|name| name == VERSIONS) {
        return Ok(Found::Other(names));
    }
    let newest = server.ask(&format!(
        "SELECT max(version) FROM {}",
        server.table(VERSIONS)
    ))?;
    Ok(Found::Ours(number(newest.first(), 0)))
}

fn number(row: Option<&super::server::Answer>, column: usize) -> u32 {
    let text = row.and_then(|row| row.get(column)?.as_deref());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn check_version(server: &Server) -> Result<(), SinkError> {
    let answer = server.ask("SELECT version()")?;
    let version = answer
        .first()
        .and_then(|row| row.first().cloned().flatten());
    let version = version.unwrap_or_default();
    let mut numbers = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        return Err(SinkError::refused(format!(
            "sink {}: the server is ClickHouse {version}; {}.{} or newer is needed",
            server.name, OLDEST.0, OLDEST.1
        )));
    }
    Ok(())
}

fn refuse_newer(server: &Server, version: u32) -> Result<(), SinkError> {
    if version > VERSION {
        return Err(SinkError::refused(format!(
            "sink {}: its schema has version {version}, this program knows {VERSION}; use the release that made it",
            server.name
        )));
    }
    Ok(())
}

fn not_ours(server: &Server, names: &[String]) -> SinkError {
    match theirs(names) {
        Some(name) => SinkError::refused(format!(
            "sink {}: holds {name} of another flow pipeline, which stays as it is; name another database, as {}_exact",
            server.name, server.database
        )),
        None => SinkError::refused(format!(
            "sink {0}: not empty, and its tables are not there; name another database, or put them beside with: \
             flow-pipeline schema apply --sink {0}",
            server.name
        )),
    }
}

fn theirs(names: &[String]) -> Option<&String> {
    names.iter().find(|name| THEIRS.contains(&name.as_str()))
}

/// Applies the migrations above `from`; one line for each.
fn migrate(server: &Server, from: u32) -> Result<Vec<String>, SinkError> {
    let database = format!("`{}`", server.database);
    server.execute(&format!("CREATE DATABASE IF NOT EXISTS {database}"))?;
    for statement in statements(&server.database) {
        server.execute(&statement)?;
    }
    if from == VERSION {
        return Ok(Vec::new());
    }
    server.execute(&format!(
        "INSERT INTO {} (version) VALUES ({VERSION})",
        server.table(VERSIONS)
    ))?;
    Ok(vec![format!(
        "schema {VERSION} of {database}: tables and views made"
    )])
}

/// What differs, one line each.
fn differences(server: &Server) -> Result<Vec<String>, SinkError> {
    let database = quoted(&server.database);
    let columns = server.ask(&format!(
        "SELECT table, name, type FROM system.columns WHERE database = {database} ORDER BY table, position"
    ))?;
    let columns_of = |table: &str| -> Vec<(String, String)> {
        let of_table = columns.iter().filter(|row| text(row, 0) == table);
        of_table.map(|row| (text(row, 1), text(row, 2))).collect()
    };
    let engines = server.ask(&format!(
        "SELECT name, engine, partition_key, sorting_key, engine_full FROM system.tables WHERE database = {database}"
    ))?;
    let engine_of = |table: &str| engines.iter().find(|row| text(row, 0) == table);
    let mut lines = Vec::new();
    for table in ddl::tables() {
        let expected = table.columns.iter().map(|(n, t, _)| (n.clone(), t.clone()));
        lines.extend(column_difference(
            &table.name,
            &expected.collect::<Vec<_>>(),
            &columns_of(&table.name),
        ));
        lines.extend(engine_of(&table.name).and_then(|row| engine_difference(&table, row)));
    }
    for view in views::views(&server.database) {
        let engine = engine_of(view.name).map(|row| text(row, 1));
        if engine.as_ref().is_some_and(|engine| engine != "View") {
            lines.push(format!("{} is a table, it should be a view", view.name));
            continue;
        }
        lines.extend(column_difference(
            view.name,
            &view.columns,
            &columns_of(view.name),
        ));
    }
    Ok(lines)
}

fn text(row: &super::server::Answer, column: usize) -> String {
    row.get(column).cloned().flatten().unwrap_or_default()
}

/// The first column in which a table or view is not as it should be.
fn column_difference(
    table: &str,
    expected: &[(String, String)],
    found: &[(String, String)],
) -> Option<String> {
    if found.is_empty() {
        return Some(format!("{table} is missing"));
    }
    for (n, (name, kind)) in expected.iter().enumerate() {
        match found.get(n) {
            Some((other, its)) if other == name && its == kind => (),
            Some((other, its)) => {
                return Some(format!(
                    "{table}: column {} `{other} {its}` should be `{name} {kind}`",
                    n + 1
                ));
            }
            None => return Some(format!("{table}: column {name} is missing")),
        }
    }
    let (more, _) = found.get(expected.len())?;
    Some(format!("{table}: column {more} is unknown"))
}

/// A cluster's engines are those with a word before (`Replicated`, `Shared`).
fn engine_difference(table: &ddl::Stored, row: &super::server::Answer) -> Option<String> {
    let (engine, partition, order) = (text(row, 1), text(row, 2), text(row, 3));
    let replicated = engine.starts_with("Replicated") || engine.starts_with("Shared");
    if !engine.ends_with(table.engine) || partition != table.partition || order != table.order {
        return Some(format!(
            "{}: is {engine} partitioned by `{partition}` ordered by `{order}`, should be {} by `{}` and `{}`",
            table.name, table.engine, table.partition, table.order
        ));
    }
    let settings = table.settings();
    (!replicated && !text(row, 4).contains(settings))
        .then(|| format!("{}: lacks the setting {settings}", table.name))
}

/// The schema, for people.
pub(super) struct ClickhouseSchema {
    server: Server,
    kafka: Option<(String, String)>,
}

impl ClickhouseSchema {
    /// Nothing is connected yet.
    pub(super) fn new(address: &Address) -> Result<ClickhouseSchema, SinkError> {
        Ok(ClickhouseSchema {
            server: Server::new(address)?,
            kafka: address.kafka.clone(),
        })
    }
}

impl Schema for ClickhouseSchema {
    fn name(&self) -> &str {
        &self.server.name
    }

    fn is_empty(&mut self) -> Result<bool, SinkError> {
        let found = look(&self.server)?;
        Ok(matches!(found, Found::NoDatabase | Found::Empty))
    }

    fn print(&self) -> Vec<String> {
        let database = &self.server.database;
        let mut all = vec![format!("CREATE DATABASE IF NOT EXISTS `{database}`")];
        all.extend(statements(database));
        all.push(format!(
            "INSERT INTO {} (version) VALUES ({VERSION})",
            self.server.table(VERSIONS)
        ));
        if let Some((brokers, topic)) = &self.kafka {
            all.push(kafka_engine(database, brokers, topic));
        }
        all
    }

    fn apply(&mut self, _extend: bool) -> Result<Vec<String>, SinkError> {
        let server = &self.server;
        let from = match look(server)? {
            Found::NoDatabase | Found::Empty => 0,
            Found::Other(names) if theirs(&names).is_some() => {
                return Err(not_ours(server, &names));
            }
            Found::Other(_) => 0,
            Found::Ours(version) => version,
        };
        refuse_newer(server, from)?;
        let before = if from == 0 {
            Vec::new()
        } else {
            differences(server)?
        };
        let mut done = migrate(server, from)?;
        let left = differences(server)?;
        if let Some(difference) = left.first() {
            return Err(SinkError::refused(format!(
                "sink {}: {difference}; this cannot be mended in place: name another database, or rename that table",
                server.name
            )));
        }
        done.extend(before.into_iter().map(|line| format!("mended: {line}")));
        Ok(done)
    }

    fn diff(&mut self) -> Result<Vec<String>, SinkError> {
        match look(&self.server)? {
            Found::NoDatabase => Ok(vec![format!(
                "database {} is missing",
                self.server.database
            )]),
            Found::Ours(version) if version > VERSION => Ok(vec![format!(
                "schema version {version} is newer than this program's {VERSION}"
            )]),
            _ => differences(&self.server),
        }
    }
}
