//! PostgreSQL, from version 12 on: rollups, slots and raw flows, for whoever has it already.
//!
//! Law 6: rows, slots and cursors move in one transaction, which goes on only if the stored cursors equal the ones it
//! started from. After any error the connection is given up, so that the server rolls back and nothing of the past comes
//! into the next try; when the answer to COMMIT is lost, the cursors tell what became of it.

mod address;
mod adopt;
mod binary;
mod catalog;
mod connection;
mod cursor;
mod explain;
mod flows;
pub(crate) mod look;
mod partitions;
mod password;
mod raw;
pub(crate) mod raw_look;
mod replaced;
mod rights;
mod rows;
mod schema;
mod slots;
mod stranger;
mod tables;
mod tls;

use std::collections::BTreeMap;
use std::fmt;

use flow_proto::Rollups;

use self::address::Address;
use self::connection::Connection;
use self::rows::RowWriter;
use crate::columns::CURSORS;
use crate::{
    Adoption, Applied, Cursors, Delta, Held, IsRecorded, RawSink, Schema, Shape, Sink, SinkError,
    Store,
};

/// The store of a `postgres://` URL, as far as its text and the files it names tell.
///
/// # Errors
/// `Refused` for a URL that cannot be.
pub fn shape(url: &str) -> Result<Shape, SinkError> {
    let address = Address::parse(url)?;
    Ok(Shape {
        rollups: true,
        raw: schema::raw(&address),
        name: address.name,
    })
}

/// Opens the store of a `postgres://…` URL; an empty schema is filled.
///
/// # Errors
/// `Refused` for a URL, a login or a schema that does not fit, `Retry` if the server cannot be reached now.
pub fn open(url: &str, rollups: Rollups) -> Result<Store, SinkError> {
    let mut address = Address::parse(url)?;
    address.options.rollups = rollups;
    let connection = Connection::open(&address)?;
    let found = schema::admit(&connection, &address)?;
    let raw = raw::open(&address, &found);
    let mut sink = Postgres {
        address,
        connection: None,
    };
    sink.prepared(connection)?;
    Ok(Store {
        rollups: Some(Box::new(sink)),
        raw: raw.map(|raw| Box::new(raw) as Box<dyn RawSink>),
    })
}

/// The postmaster, by the microsecond of its start (a copied data directory has the identifiers of its original),
/// with the database and the schema in it. Everybody may ask for these.
const IDENTITY: &str = "SELECT pg_postmaster_start_time()::text, current_database()::text, \
     coalesce(current_schema()::text, '')";

/// What tells the database and schema of a `postgres://…` URL from any other, as the server says it.
///
/// # Errors
/// `Refused` for a URL or a login that does not fit, `Retry` if the server cannot be reached now.
pub fn identity(url: &str) -> Result<String, SinkError> {
    let address = Address::parse(url)?;
    let connection = Connection::open(&address)?;
    let row = connection.first(IDENTITY, &[])?.ok_or_else(|| {
        SinkError::retry(format!("sink {}: does not say which it is", address.name))
    })?;
    let [started, database, first]: [String; 3] = [
        connection.get(&row, 0)?,
        connection.get(&row, 1)?,
        connection.get(&row, 2)?,
    ];
    // One that is not there yet is made under its name.
    let schema = address.schema.unwrap_or(first);
    Ok(format!("postgres {started} {database} {schema}"))
}

/// The schema of a `postgres://…` URL.
///
/// # Errors
/// `Refused` for a URL that cannot be.
pub fn schema(url: &str, rollups: Rollups) -> Result<Box<dyn Schema>, SinkError> {
    let mut address = Address::parse(url)?;
    address.options.rollups = rollups;
    Ok(Box::new(schema::PostgresSchema::new(address)))
}

/// Rollups and slots of a database that this process writes.
struct Postgres {
    address: Address,
    /// `None` after an error: made anew when it is needed.
    connection: Option<Connection>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("name", &self.address.name)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// The connection, for one use: who succeeds puts it back.
    fn take(&mut self) -> Result<Connection, SinkError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => {
                let connection = Connection::open(&self.address)?;
                self.prepared(connection)?;
                self.connection.take().ok_or_else(|| {
                    SinkError::retry(format!("sink {}: not connected", self.address.name))
                })
            }
        }
    }

    /// Makes a new session's staging tables and keeps it.
    fn prepared(&mut self, connection: Connection) -> Result<(), SinkError> {
        for rollup in self.address.options.rollups.iter() {
            connection.execute(&rows::staging(rollup))?;
        }
        connection.execute(&slots::staging())?;
        self.connection = Some(connection);
        Ok(())
    }

    fn write_rows(&self, connection: &Connection, delta: &Delta<'_>) -> Result<u64, SinkError> {
        let mut writer = RowWriter::new(connection, &self.address.name);
        delta.rows.for_each(&mut |row| writer.take(&row))?;
        writer.finish()
    }

    fn write(&self, connection: &Connection, delta: &Delta<'_>) -> Result<Applied, SinkError> {
        let name = &self.address.name;
        connection.begin()?;
        if !cursor::advance(connection, name, delta)? {
            connection.execute("ROLLBACK")?;
            return Ok(Applied::CursorMoved);
        }
        let rows = self.write_rows(connection, delta)?;
        // Slots travel with shard 0, and what follows from them; other processes would only wait for the same rows.
        if delta.shards.contains(&0) {
            slots::write(connection, &self.address, delta)?;
            let kept_from = self.address.options.kept_from(delta.watermark_secs);
            slots::forget(connection, &kept_from)?;
        }
        connection.execute("COMMIT")?;
        Ok(Applied::Done { rows })
    }
}

impl Sink for Postgres {
    fn name(&self) -> &str {
        &self.address.name
    }

    fn cursors(&mut self) -> Result<Cursors, SinkError> {
        let connection = self.take()?;
        let cursors = cursor::read(&connection, &self.address.name)?;
        self.connection = Some(connection);
        Ok(cursors)
    }

    fn apply(&mut self, delta: &Delta<'_>) -> Result<Applied, SinkError> {
        let connection = self.take()?;
        let applied = self.write(&connection, delta)?;
        self.connection = Some(connection);
        Ok(applied)
    }

    fn replace(&mut self, delta: &Delta<'_>, _: &IsRecorded<'_>) -> Result<u64, SinkError> {
        let connection = self.take()?;
        let name = &self.address.name;
        connection.begin()?;
        cursor::same_job(&connection, name, CURSORS, delta.job)?;
        slots::clear(&connection, delta.slots)?;
        let rows = self.write_rows(&connection, delta)?;
        slots::write(&connection, &self.address, delta)?;
        connection.execute("COMMIT")?;
        self.connection = Some(connection);
        Ok(rows)
    }

    fn slot_flows(&mut self, from_secs: u64) -> Result<Option<BTreeMap<u64, u64>>, SinkError> {
        let connection = self.take()?;
        let flows = slots::flows(&connection, self.address.options.rollups.base(), from_secs)?;
        self.connection = Some(connection);
        Ok(Some(flows))
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        let connection = self.take()?;
        let held = adopt::held(&connection)?;
        self.connection = Some(connection);
        Ok(held)
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        let connection = self.take()?;
        adopt::rows(&connection, adoption)?;
        self.connection = Some(connection);
        Ok(())
    }
}
