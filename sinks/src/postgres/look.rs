//! Looks at the rows of `slots` in PostgreSQL.
//!
//! Law: it asks one question and changes nothing, so that a user who may only read can ask it.

use super::address::Address;
use super::connection::Connection;
use crate::SinkError;
use crate::stored_slots::{self, SlotQuery, StoredSlot, Words};

/// The rows that are wanted.
pub(crate) fn slots(url: &str, query: &SlotQuery) -> Result<Vec<StoredSlot>, SinkError> {
    let address = Address::parse(url)?;
    let connection = Connection::open(&address)?;
    let words = Words {
        seconds: |column| format!("extract(epoch from {column})::bigint"),
        number: |column| format!("{column}::int"),
        text: |expression| format!("({expression})::text"),
        ..Words::plain()
    };
    let answer = connection.query(&stored_slots::statement(query, &words), &[])?;
    let row = |row| {
        let values = (0..9).map(|at| connection.get(row, at));
        stored_slots::row(&values.collect::<Result<Vec<_>, _>>()?, &address.name)
    };
    answer.iter().map(row).collect()
}
