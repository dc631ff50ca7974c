//! The schema in ClickHouse: made, brought up by numbered migrations, compared.
//!
//! ClickHouse has no transactions for DDL: every statement may be repeated, and a migration's number is written after
//! its last one. Law: an empty database gets the newest schema; one with the tables of cloudflare/flow-pipeline, with
//! something else under a name of ours, or with a newer schema, is left alone, to its last table.

use super::address::Address;
use super::catalog::Catalog;
use super::ddl::{self, VERSIONS};
use super::kafka_engine::kafka_engine;
use super::server::Server;
use super::views;
use crate::schema::Difference;
use crate::{Schema, SinkError, Standing};

/// Version of this schema.
const VERSION: u32 = 2;
/// Oldest server with `ReplacingMergeTree(version, is_deleted)`.
const OLDEST: (u32, u32) = (23, 2);
/// Room that the disk of a server must have before tables are made: each part that is written reserves a mebibyte.
const ROOM_BYTES: u64 = 16 << 20;

/// The statements of a new database.
fn statements(server: &Server) -> Vec<String> {
    let database = &server.database;
    let tables = ddl::tables(server.rollups);
    let tables = tables.iter().map(|table| table.create(database));
    let views = views::views(server);
    tables
        .chain(views.iter().map(|view| view.create(database)))
        .collect()
}

/// Makes sure that the job can write: an empty database gets the schema, a difference is refused.
pub(super) fn ready(server: &Server) -> Result<(), SinkError> {
    let found = look(server)?;
    if found.is_empty() {
        return migrate(server, &found).map(drop);
    }
    let differences = admitted(server, &found)?;
    if found.version.is_none() {
        return Err(SinkError::refused(format!(
            "sink {0}: not empty, and its tables are not there; name another database, or put them beside with: \
             flow-pipeline schema apply --sink {0}",
            server.name
        )));
    }
    match differences.first() {
        None => may_write(server),
        Some(difference) => Err(SinkError::refused(format!(
            "sink {0}: {1}; bring it up with: flow-pipeline schema apply --sink {0}",
            server.name,
            difference.line()
        ))),
    }
}

/// An insert of no rows into each table: what it asks of the user is what the job needs.
fn may_write(server: &Server) -> Result<(), SinkError> {
    for stored in ddl::tables(server.rollups) {
        let table = server.table(&stored.name);
        server.execute(&format!(
            "INSERT INTO {table} SELECT * FROM {table} WHERE 0"
        ))?;
    }
    Ok(())
}

fn look(server: &Server) -> Result<Catalog, SinkError> {
    check_version(server)?;
    Catalog::read(server)
}

fn check_version(server: &Server) -> Result<(), SinkError> {
    let version = server.version()?;
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

/// What differs, if `apply` may mend all of it.
fn admitted(server: &Server, found: &Catalog) -> Result<Vec<Difference>, SinkError> {
    let name = &server.name;
    if let Some(version) = newer(found) {
        return Err(SinkError::refused(format!(
            "sink {name}: its schema has version {version}, this program knows {VERSION}; use the release that made it"
        )));
    }
    if let Some(theirs) = found.theirs() {
        return Err(SinkError::refused(format!(
            "sink {name}: holds {theirs} of another flow pipeline, which stays as it is; name another database, as {}_exact",
            server.database
        )));
    }
    let differences = found.differences(server);
    match Difference::foreign(&differences) {
        None => Ok(differences),
        Some(line) => Err(SinkError::refused(format!(
            "sink {name}: {line}; this cannot be mended in place: name another database, or rename that table"
        ))),
    }
}

fn newer(found: &Catalog) -> Option<u32> {
    found.version.filter(|version| *version > VERSION)
}

/// That there is room: a full disk would take every table with a definition that is empty and cannot be read again, and
/// tell nobody.
fn has_room(server: &Server) -> Result<(), SinkError> {
    let rows = server.ask("SELECT filesystemAvailable()")?;
    let text = rows.first().and_then(|row| row.first()?.as_deref());
    match text.and_then(|text| text.parse::<u64>().ok()) {
        Some(left) if left < ROOM_BYTES => Err(SinkError::retry(format!(
            "sink {}: no tables are made while the server's disk is full ({left} bytes are left); make room on its disk",
            server.name
        ))),
        _ => Ok(()),
    }
}

/// Makes what is missing, and replaces views that are ours and older; one line if the version is a new one.
fn migrate(server: &Server, found: &Catalog) -> Result<Vec<String>, SinkError> {
    has_room(server)?;
    let (name, database) = (&server.database, format!("`{}`", server.database));
    if !found.exists {
        server.execute(&format!("CREATE DATABASE IF NOT EXISTS {database}"))?;
    }
    for table in ddl::tables(server.rollups) {
        server.execute(&table.create(name))?;
        for statement in table.add(name) {
            server.execute(&statement)?;
        }
    }
    for view in views::views(server) {
        let replaced = found.has(view.name);
        server.execute(&if replaced {
            view.replace(name)
        } else {
            view.create(name)
        })?;
    }
    if found.version == Some(VERSION) {
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

    fn print(&self) -> Vec<String> {
        let database = &self.server.database;
        let mut all = vec![format!("CREATE DATABASE IF NOT EXISTS `{database}`")];
        all.extend(statements(&self.server));
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
        let found = look(server)?;
        let before = admitted(server, &found)?;
        if found.version == Some(VERSION) && before.is_empty() {
            return Ok(Vec::new());
        }
        let mut done = migrate(server, &found)?;
        if done.is_empty() {
            let mended = |line| format!("mended: {line}");
            done.extend(Difference::lines(&before).into_iter().map(mended));
        }
        match Catalog::read(server)?.differences(server).first() {
            None => Ok(done),
            Some(left) => Err(SinkError::refused(format!(
                "sink {}: {} after all was made; is another one changing this database?",
                server.name,
                left.line()
            ))),
        }
    }

    fn look(&mut self) -> Result<Standing, SinkError> {
        let found = look(&self.server)?;
        let database = &self.server.database;
        let differences = if let Some(version) = newer(&found) {
            vec![format!(
                "schema version {version} is newer than this program's {VERSION}"
            )]
        } else if found.exists {
            Difference::lines(&found.differences(&self.server))
        } else {
            vec![format!("database {database} is missing")]
        };
        Ok(Standing {
            made_at_start: found.is_empty(),
            differences,
            ..Standing::default()
        })
    }
}
