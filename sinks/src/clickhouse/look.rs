//! Looks at the rows of `slots` in ClickHouse.
//!
//! Law: by the view that shows each slot once, with one question that changes nothing.

use super::parse;
use super::server::Server;
use crate::SinkError;
use crate::columns::SLOTS;
use crate::stored_slots::{self, SlotQuery, StoredSlot, Words};

/// The rows that are wanted.
pub(crate) fn slots(url: &str, query: &SlotQuery) -> Result<Vec<StoredSlot>, SinkError> {
    let address = parse(url)?;
    let server = Server::new(&address)?;
    server.version()?;
    let words = Words {
        table: server.table(SLOTS),
        seconds: |column| format!("toUnixTimestamp({column})"),
        number: |column| format!("toUInt8({column})"),
        ..Words::plain()
    };
    let answer = server.ask(&stored_slots::statement(query, &words))?;
    let row = |values: &Vec<Option<String>>| stored_slots::row(values, &address.name);
    answer.iter().map(row).collect()
}
