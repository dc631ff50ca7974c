//! Looks at the raw flows of a PostgreSQL schema: both tables of them as one.
//!
//! Law: it asks and changes nothing. A flow that stands in the other table than its verdict says is told by its verdict.

use super::address::Address;
use super::catalog::{Found, FoundTable};
use super::connection::Connection;
use super::flows::{FLOWS, IMPLAUSIBLE, stored_name};
use super::{schema, tables};
use crate::SinkError;
use crate::columns::{Column, Kind};
use crate::look::Answer;
use crate::raw_columns::{RAW_CURSORS, raw_flows};
use crate::raw_look::{RawLook, RawWords, Take, none};
use crate::raw_texts::Held;

/// Rows that are fetched at once.
const FETCHED: u32 = 4_000;

/// The schema of a URL.
pub(crate) fn raw_look(url: &str) -> Result<RawLook, SinkError> {
    let address = Address::parse(url)?;
    let name = address.name.clone();
    if !schema::raw(&address) {
        return Err(none(&name, "its URL says raw=off"));
    }
    let connection = Connection::open(&address)?;
    let found = Found::read(&connection, &tables::wanted(true, address.options.rollups))?;
    let columns = [FLOWS, IMPLAUSIBLE].map(|table| columns(&name, table, &found));
    let [flows, implausible] = columns;
    let (flows, implausible) = (flows?, implausible?);
    let held = flows.iter().map(|(_, held)| *held);
    let names = raw_flows().columns.into_iter().map(outer);
    let words = RawWords {
        from: format!(
            "(SELECT {} FROM {FLOWS} UNION ALL SELECT {} FROM {IMPLAUSIBLE})",
            list(&flows, "= 'implausible'"),
            list(&implausible, "<> 'implausible'")
        ),
        cursors: RAW_CURSORS.to_owned(),
        columns: names.zip(held).collect(),
        time: |secs| format!("to_timestamp({secs})"),
        text: |expression| format!("({expression})::text"),
    };
    let about = (name, address.options.raw_retention_secs);
    let each = move |statement: &str, take: &mut Take<'_>| each(&connection, statement, take);
    Ok(RawLook::new(about, words, Box::new(each)))
}

/// What conditions and orders are about stays as it is inside, and becomes text outside.
const PLAIN: [&str; 5] = [
    "topic_partition",
    "topic_offset",
    "flow_index",
    "slot",
    "counted",
];

fn outer(column: Column) -> String {
    match column.name {
        "slot" => "extract(epoch FROM f.slot)::bigint::text".to_owned(),
        "counted" => "f.counted::int::text".to_owned(),
        name => format!("f.{name}::text"),
    }
}

/// The columns of `raw_flows` as a table has them.
fn columns(name: &str, table: &str, found: &Found) -> Result<Vec<(&'static str, Held)>, SinkError> {
    let there = found.tables.get(table).map(FoundTable::columns);
    let there = there.ok_or_else(|| none(name, &format!("there is no table {table}")))?;
    let held = |column: Column| {
        let stored = there.iter().find(|(n, _)| n == stored_name(column.name));
        let (_, kind) = stored.ok_or_else(|| {
            let lacks = format!(
                "table {table} is that of cloudflare/flow-pipeline and lacks {}; `flow-pipeline schema apply --extend` adds it",
                column.name
            );
            none(name, &lacks)
        })?;
        let held = match column.kind {
            Kind::Nanoseconds => Held {
                largest: u64::MAX,
                unit: 1_000,
            },
            _ if kind == "integer" => Held::up_to(i32::MAX.unsigned_abs().into()),
            Kind::Counter => Held::up_to(i64::MAX.unsigned_abs()),
            _ => Held::ALL,
        };
        Ok((column.name, held))
    };
    raw_flows().columns.into_iter().map(held).collect()
}

/// The columns of one table under our names. `misplaced`: what a verdict may not be there.
fn list(columns: &[(&'static str, Held)], misplaced: &str) -> String {
    let kinds = raw_flows().columns.into_iter().map(|column| column.kind);
    let one = |((name, _), kind): (&(&str, Held), Kind)| {
        let stored = stored_name(name);
        match (*name, kind) {
            (plain, _) if PLAIN.contains(&plain) => plain.to_owned(),
            ("refused", _) => format!(
                "CASE WHEN refused {misplaced} THEN refused || ' (in the other table)' ELSE refused END AS refused"
            ),
            (_, Kind::Nanoseconds) => {
                format!("(extract(epoch FROM {stored}) * 1000000)::bigint::text AS {name}")
            }
            (_, Kind::Boolean) => format!("{stored}::int::text AS {name}"),
            _ => format!("{stored}::text AS {name}"),
        }
    };
    let all: Vec<String> = columns.iter().zip(kinds).map(one).collect();
    all.join(", ")
}

/// By a cursor of the server: neither side holds the answer as a whole.
fn each(connection: &Connection, statement: &str, take: &mut Take<'_>) -> Result<(), SinkError> {
    connection.execute("BEGIN READ ONLY")?;
    let read = fetched(connection, statement, take);
    connection.execute(if read.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    read
}

fn fetched(connection: &Connection, statement: &str, take: &mut Take<'_>) -> Result<(), SinkError> {
    connection.execute(&format!("DECLARE looked NO SCROLL CURSOR FOR {statement}"))?;
    loop {
        let rows = connection.read(&format!("FETCH {FETCHED} FROM looked"))?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            let values = (0..row.len()).map(|at| connection.get(row, at));
            take(values.collect::<Result<Answer, _>>()?)?;
        }
    }
}
