//! Looks into ClickHouse.
//!
//! Law: by the views that show each slot and row once, with questions that change nothing.

use super::parse;
use super::server::{Server, qualified};
use crate::SinkError;
use crate::columns::SLOTS;
use crate::look::{Look, Words};

/// The database of a URL.
pub(crate) fn look(url: &str) -> Result<Look, SinkError> {
    let address = parse(url)?;
    let server = Server::new(&address)?;
    server.version()?;
    let database = server.database.clone();
    let words = Words {
        table: Box::new(move |name| qualified(&database, name)),
        seconds: |column| format!("toUnixTimestamp({column})"),
        time: |secs| format!("fromUnixTimestamp({secs})"),
        number: |column| format!("toUInt8({column})"),
        ..Words::plain()
    };
    let has_slots = format!("EXISTS {}", server.table(SLOTS));
    let ask = move |statement: &str| server.read(statement);
    Look::new(address.name, words, Box::new(ask), &has_slots)
}
