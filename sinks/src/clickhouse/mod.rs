//! ClickHouse: rollups as revisions that merge away, raw flows in deduplicated blocks, views that read both right.
//!
//! Law 6 without transactions: rows go first and the cursor after them; what is written twice after a crash is a row
//! with the same revision, or a block with the same token. What readers need not know is in the views.

mod address;
mod adopt;
mod catalog;
mod cursor;
mod ddl;
mod encode;
mod explain;
mod kafka_engine;
pub(crate) mod look;
mod raw;
pub(crate) mod raw_look;
mod replaced;
mod retention;
mod rollups;
mod schema;
mod server;
mod slots;
mod views;

use address::Address;
use flow_proto::Rollups;
use server::Server;

use crate::{Schema, Shape, SinkError, Store};

/// Opens the store of a `clickhouse://user@host:port/database?…` URL; raw flows are on unless it says `raw=off`.
///
/// # Errors
/// `Refused` for a URL, user, server or database that does not fit, `Retry` if the server cannot be reached now.
pub fn open(url: &str, rollups: Rollups) -> Result<Store, SinkError> {
    let mut address = parse(url)?;
    address.options.rollups = rollups;
    let (options, mut server) = (address.options, Server::new(&address)?);
    schema::ready(&server)?;
    server.opening = false;
    let rollups = rollups::RollupSink::new(server, options.retention_secs);
    let mut store = Store {
        rollups: Some(Box::new(rollups)),
        raw: None,
    };
    if writes_raw(&address) {
        let mut server = Server::new(&address)?;
        server.opening = false;
        store.raw = Some(Box::new(raw::Raw::new(server, options.raw_retention_secs)));
    }
    Ok(store)
}

/// What tells the database of a `clickhouse://` URL from any other, as the server says it.
///
/// # Errors
/// `Refused` for a URL or a user that does not fit, `Retry` if the server cannot be reached now.
pub fn identity(url: &str) -> Result<String, SinkError> {
    let address = parse(url)?;
    let server = Server::new(&address)?;
    server.version()?;
    let answer = server.ask("SELECT toString(serverUUID())")?;
    let server = answer.into_iter().flatten().flatten().next();
    let server = server.ok_or_else(|| {
        SinkError::retry(format!("sink {}: does not say which it is", address.name))
    })?;
    Ok(format!("clickhouse {server} {}", address.database))
}

/// The store of a `clickhouse://` URL; nothing is connected.
///
/// # Errors
/// `Refused` for a URL that cannot be.
pub fn shape(url: &str) -> Result<Shape, SinkError> {
    let address = parse(url)?;
    Ok(Shape {
        rollups: true,
        raw: writes_raw(&address),
        name: address.name,
    })
}

/// Raw flows are on unless the URL says otherwise.
fn writes_raw(address: &Address) -> bool {
    address.options.raw.unwrap_or(true)
}

/// The schema of a `clickhouse://` URL; with `kafka=host:port/topic` it prints the Kafka-engine object `flows`, too.
///
/// # Errors
/// `Refused` for a URL that cannot be.
pub fn schema(url: &str, rollups: Rollups) -> Result<Box<dyn Schema>, SinkError> {
    let mut address = parse(url)?;
    address.options.rollups = rollups;
    Ok(Box::new(schema::ClickhouseSchema::new(&address)?))
}

fn parse(url: &str) -> Result<Address, SinkError> {
    Address::parse(url, std::env::var("CLICKHOUSE_PASSWORD").ok())
}
