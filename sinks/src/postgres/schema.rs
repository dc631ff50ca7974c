//! The schema: printed, applied, compared; and the look at it when a sink is opened.
//!
//! Law: an empty schema is filled without asking; in one that holds anything else nothing is made or changed but by
//! `schema apply`, and nothing of other people's ever. All of it is one transaction, and one at a time.

use super::address::Address;
use super::catalog::{self, Found};
use super::connection::Connection;
use super::flows::{self, FLOWS};
use super::tables::{self, VERSION, WantedTable};
use crate::{Schema, SinkError};

/// Keeps changes of the schema one after the other: a lock that ends with the transaction.
pub(super) const LOCK: &str =
    "SELECT pg_advisory_xact_lock(hashtext('flow-pipeline ' || coalesce(current_schema(), '')))";

/// The schema of one database.
pub(super) struct PostgresSchema {
    address: Address,
}

impl PostgresSchema {
    /// Of the database at an address.
    pub(super) fn new(address: Address) -> PostgresSchema {
        PostgresSchema { address }
    }

    fn wanted(&self) -> Vec<WantedTable> {
        tables::wanted(raw(&self.address))
    }
}

/// Whether raw flows are written: yes, unless the URL says no, since they are what is read in the project we replace.
pub(super) fn raw(address: &Address) -> bool {
    address.options.raw.unwrap_or(true)
}

impl Schema for PostgresSchema {
    fn name(&self) -> &str {
        &self.address.name
    }

    fn is_empty(&mut self) -> Result<bool, SinkError> {
        let connection = Connection::open(&self.address)?;
        Ok(Found::read(&connection, &self.wanted())?.is_empty())
    }

    fn print(&self) -> Vec<String> {
        let create = self.wanted().into_iter().flat_map(|table| table.create);
        create.chain([tables::note_version()]).collect()
    }

    fn apply(&mut self, extend: bool) -> Result<Vec<String>, SinkError> {
        let connection = Connection::open(&self.address)?;
        apply(&connection, &self.address, extend)
    }

    fn diff(&mut self) -> Result<Vec<String>, SinkError> {
        let connection = Connection::open(&self.address)?;
        let wanted = self.wanted();
        let found = Found::read(&connection, &wanted)?;
        let mut lines = found.differences(&wanted);
        if raw(&self.address) && found.flows_are_theirs() {
            lines.push(format!(
                "table {FLOWS}: has the columns of cloudflare/flow-pipeline only; `schema apply --extend` adds ours"
            ));
        }
        Ok(lines)
    }
}

/// Looks at the database when a sink is opened, and fills an empty one.
pub(super) fn admit(connection: &Connection, address: &Address) -> Result<Found, SinkError> {
    let wanted = tables::wanted(raw(address));
    let name = &address.name;
    let mut found = Found::read(connection, &wanted)?;
    newer(&found, name)?;
    let mut differences = found.differences(&wanted);
    if !differences.is_empty() && found.is_empty() {
        apply(connection, address, false)?;
        found = Found::read(connection, &wanted)?;
        differences = found.differences(&wanted);
    }
    if let Some(first) = differences.first() {
        let more = match differences.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let holds = found.other.as_ref().map_or(String::new(), |other| {
            format!(" (the schema holds {other}, so nothing was made unasked)")
        });
        return Err(SinkError::refused(format!(
            "sink {name}: {first}{more}{holds}; see `flow-pipeline schema diff`, then run `flow-pipeline schema apply --sink \
             {name}`, or name another schema by schema=NAME"
        )));
    }
    if let Some(what) = catalog::forbidden(connection, &wanted)? {
        return Err(SinkError::refused(format!("sink {name}: {what}")));
    }
    Ok(found)
}

fn newer(found: &Found, name: &str) -> Result<(), SinkError> {
    if found.version > VERSION {
        return Err(SinkError::refused(format!(
            "sink {name}: its schema has version {}, this program knows {VERSION}; use the release that made it",
            found.version
        )));
    }
    Ok(())
}

fn apply(
    connection: &Connection,
    address: &Address,
    extend: bool,
) -> Result<Vec<String>, SinkError> {
    connection.begin()?;
    connection.query(LOCK, &[])?;
    let done = migrate(connection, address, extend)?;
    connection.execute("COMMIT")?;
    Ok(done)
}

/// Leaving with an error ends the connection, and with it the transaction.
fn migrate(
    connection: &Connection,
    address: &Address,
    extend: bool,
) -> Result<Vec<String>, SinkError> {
    let wanted = tables::wanted(raw(address));
    let name = &address.name;
    let mut done = Vec::new();
    let mut found = Found::read(connection, &wanted)?;
    newer(&found, name)?;
    if found.schema.is_none() {
        done.push(create_schema(connection, address)?);
        found = Found::read(connection, &wanted)?;
    }
    for table in &wanted {
        if !found.tables.contains_key(table.name) {
            connection.execute(&table.create.join(";\n"))?;
            done.push(format!("table {}: made", table.name));
        }
    }
    if extend && found.flows_are_theirs() {
        connection.execute(&flows::extend())?;
        done.push(format!("table {FLOWS}: our columns added behind theirs"));
    }
    if found.version < VERSION {
        connection.execute(&tables::note_version())?;
        done.push(format!("schema version {VERSION}: noted"));
    }
    let left = Found::read(connection, &wanted)?.differences(&wanted);
    match left.first() {
        None => Ok(done),
        Some(first) => Err(SinkError::refused(format!(
            "sink {name}: {first}; this is not ours to change: move the table away, or name another schema by schema=NAME"
        ))),
    }
}

fn create_schema(connection: &Connection, address: &Address) -> Result<String, SinkError> {
    let Some(schema) = &address.schema else {
        return Err(SinkError::refused(format!(
            "sink {}: no schema of the search path exists; name one by schema=NAME",
            address.name
        )));
    };
    connection.execute(&format!("CREATE SCHEMA {}", quoted(schema)))?;
    Ok(format!("schema {schema}: made"))
}

/// A name as it stands in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
