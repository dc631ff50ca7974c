//! The schema: printed, applied, compared; and the look at it when a sink is opened.
//!
//! Law: an empty schema is filled without asking; in one that holds anything else nothing is made or changed but by
//! `schema apply`, and nothing of other people's ever; what is in the way is looked for first. All of it is one
//! transaction, and one at a time.

use super::address::Address;
use super::catalog::Found;
use super::connection::Connection;
use super::flows::{self, FLOWS};
use super::rights::Lacking;
use super::tables::{self, VERSION, WantedTable};
use crate::schema::Difference;
use crate::{Schema, SinkError, Standing};

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
        self::wanted(&self.address)
    }
}

/// The tables that are to be there.
fn wanted(address: &Address) -> Vec<WantedTable> {
    tables::wanted(raw(address), address.options.rollups)
}

/// Whether raw flows are written: yes, unless the URL says no, since they are what is read in the project we replace.
pub(super) fn raw(address: &Address) -> bool {
    address.options.raw.unwrap_or(true)
}

impl Schema for PostgresSchema {
    fn name(&self) -> &str {
        &self.address.name
    }

    fn print(&self) -> Vec<String> {
        let schema = self.address.schema.as_deref().map(|name| {
            let name = quoted(name);
            [
                format!("CREATE SCHEMA IF NOT EXISTS {name}"),
                format!("SET search_path = {name}"),
            ]
        });
        let create = self.wanted().into_iter().flat_map(|table| table.create);
        let all = schema.into_iter().flatten().chain(create);
        all.chain([tables::note_version()]).collect()
    }

    fn apply(&mut self, extend: bool) -> Result<Vec<String>, SinkError> {
        let connection = Connection::open(&self.address)?;
        apply(&connection, &self.address, extend)
    }

    fn look(&mut self) -> Result<Standing, SinkError> {
        let connection = Connection::open(&self.address)?;
        let wanted = self.wanted();
        let lacking = Lacking::read(&connection, &self.address, &wanted)?;
        lacking.may_look()?;
        let found = Found::read(&connection, &wanted)?;
        let differences = found.differences(&wanted);
        let remark = found.flows_are_theirs() && raw(&self.address);
        Ok(Standing {
            made_at_start: found.is_empty() && Difference::foreign(&differences).is_none(),
            differences: Difference::lines(&differences),
            remarks: remark.then(flows::taken_over).into_iter().collect(),
            lacking: lacking.may_write().err(),
        })
    }
}

/// Looks at the database when a sink is opened, and fills an empty one.
pub(super) fn admit(connection: &Connection, address: &Address) -> Result<Found, SinkError> {
    let wanted = self::wanted(address);
    let name = &address.name;
    let lacking = Lacking::read(connection, address, &wanted)?;
    lacking.may_look()?;
    let mut found = Found::read(connection, &wanted)?;
    newer(&found, name)?;
    let mut differences = found.differences(&wanted);
    not_ours(&differences, name)?;
    lacking.may_write()?;
    if !differences.is_empty() && found.is_empty() {
        apply(connection, address, false)?;
        found = Found::read(connection, &wanted)?;
        differences = found.differences(&wanted);
    }
    if let Some(first) = differences.first() {
        let holds = found.other.as_ref().map_or(String::new(), |other| {
            format!(" (the schema holds {other}, so nothing was made unasked)")
        });
        return Err(SinkError::refused(format!(
            "sink {name}: {}{}{holds}; see `flow-pipeline schema diff`, then run `flow-pipeline schema apply --sink \
             {name}`, or name another schema by schema=NAME",
            first.line(),
            more(&differences)
        )));
    }
    Ok(found)
}

/// That nothing is in the way that is not ours to change.
fn not_ours(differences: &[Difference], name: &str) -> Result<(), SinkError> {
    match Difference::foreign(differences) {
        None => Ok(()),
        Some(line) => Err(SinkError::refused(format!(
            "sink {name}: {line}{}; this is not ours to change: see `flow-pipeline schema diff`, move it away, or name \
             another schema by schema=NAME",
            more(differences)
        ))),
    }
}

/// How many differences there are beside the one that is told.
fn more(differences: &[Difference]) -> String {
    match differences.len().saturating_sub(1) {
        0 => String::new(),
        n => format!(" and {n} more"),
    }
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
    let wanted = self::wanted(address);
    let name = &address.name;
    let mut done = Vec::new();
    let lacking = Lacking::read(connection, address, &wanted)?;
    lacking.may_look()?;
    let mut found = Found::read(connection, &wanted)?;
    newer(&found, name)?;
    not_ours(&found.differences(&wanted), name)?;
    lacking.may_make()?;
    if let (None, Some(schema)) = (&found.schema, &address.schema) {
        connection.execute(&format!("CREATE SCHEMA {}", quoted(schema)))?;
        done.push(format!("schema {schema}: made"));
        found = Found::read(connection, &wanted)?;
    }
    for table in &wanted {
        if !found.tables.contains_key(table.name) {
            connection.execute(&table.create.join(";\n"))?;
            done.push(format!("table {}: made", table.name));
        }
    }
    for (name, there) in &found.tables {
        let lacks = |column: &str| !there.has(column);
        let theirs = name == FLOWS && found.flows_are_theirs();
        if let Some(statement) = flows::add(name, lacks).filter(|_| !theirs) {
            connection.execute(&statement)?;
            done.push(format!(
                "table {name}: columns of customers and names added"
            ));
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
            "sink {name}: {} after all was made; is another one changing this schema?",
            first.line()
        ))),
    }
}

/// A name as it stands in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
