//! Looks into PostgreSQL.
//!
//! Law: it asks and changes nothing, so that a user who may only read can do it.

use super::address::Address;
use super::connection::Connection;
use crate::SinkError;
use crate::columns::SLOTS;
use crate::look::{Answer, Look, Words};

/// The schema of a URL.
pub(crate) fn look(url: &str) -> Result<Look, SinkError> {
    let address = Address::parse(url)?;
    let connection = Connection::open(&address)?;
    let words = Words {
        seconds: |column| format!("extract(epoch from {column})::bigint"),
        time: |secs| format!("to_timestamp({secs})"),
        number: |column| format!("{column}::int"),
        text: |expression| format!("({expression})::text"),
        ..Words::plain()
    };
    let ask = move |statement: &str| {
        let rows = connection.read(statement)?;
        let values = rows.iter().map(|row| {
            let all = (0..row.len()).map(|at| connection.get(row, at));
            all.collect::<Result<Answer, _>>()
        });
        values.collect()
    };
    let has_slots = format!("SELECT count(to_regclass('{SLOTS}'))::text");
    Look::new(address.name, words, Box::new(ask), &has_slots)
}
