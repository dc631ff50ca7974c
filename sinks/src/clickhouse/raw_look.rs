//! Looks at the raw flows of a ClickHouse database.
//!
//! Law: an answer of any length is read as it comes, and counted afterwards: one that breaks off must not pass for one of
//! fewer rows.

use super::server::{Server, qualified};
use super::{parse, writes_raw};
use crate::SinkError;
use crate::columns::Kind;
use crate::raw_columns::{RAW_CURSORS, RAW_FLOWS};
use crate::raw_look::{RawLook, RawWords, Take, columns, none};
use crate::raw_texts::Held;

/// The database of a URL.
pub(crate) fn raw_look(url: &str) -> Result<RawLook, SinkError> {
    let address = parse(url)?;
    if !writes_raw(&address) {
        return Err(none(&address.name, "its URL says raw=off"));
    }
    let server = Server::new(&address)?;
    server.version()?;
    let words = RawWords {
        from: qualified(&server.database, RAW_FLOWS),
        cursors: qualified(&server.database, RAW_CURSORS),
        columns: columns(text, held),
        time: |secs| format!("fromUnixTimestamp({secs})"),
        text: str::to_owned,
    };
    let each = move |statement: &str, take: &mut Take<'_>| each(&server, statement, take);
    let about = (address.name, address.options.raw_retention_secs);
    Ok(RawLook::new(about, words, Box::new(each)))
}

fn text(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Seconds => format!("toUnixTimestamp(f.{name})"),
        Kind::Nanoseconds => format!("toUnixTimestamp64Nano(f.{name})"),
        Kind::Boolean => format!("toUInt8(f.{name})"),
        _ => format!("f.{name}"),
    }
}

/// As `encode` writes it.
fn held(kind: Kind) -> Held {
    match kind {
        Kind::Seconds | Kind::U32 => Held::up_to(u32::MAX.into()),
        Kind::Nanoseconds => Held::up_to(i64::MAX.unsigned_abs()),
        _ => Held::ALL,
    }
}

fn each(server: &Server, statement: &str, take: &mut Take<'_>) -> Result<(), SinkError> {
    let mut rows: u64 = 0;
    server.each(statement, &mut |row| {
        rows += 1;
        take(row)
    })?;
    let counted = server.read(&format!("SELECT count() FROM ({statement})"))?;
    let counted = counted.into_iter().flatten().flatten().next();
    match counted.as_deref().and_then(|text| text.parse::<u64>().ok()) {
        Some(all) if rows == all => Ok(()),
        _ => Err(SinkError::retry(format!(
            "sink {}: an answer of {rows} rows is not whole, or rows have come meanwhile",
            server.name
        ))),
    }
}
