//! Makes room for the raw flows of a slot that is replaced.
//!
//! Law 6: inside the transaction that writes the new ones. A follower goes on beside it, an adoption waits for its end or
//! is found by it. The new flows get the time of insertion of the old ones, by which dashboards look for them and which
//! says when they are too old.

use super::connection::Connection;
use super::cursor;
use super::flows::{FLOWS, IMPLAUSIBLE};
use crate::raw_columns::RAW_CURSORS;
use crate::{RawReplacement, SinkError};

/// Deletes what is there of the slot; when the first of it was inserted.
pub(super) fn clear(
    connection: &Connection,
    name: &str,
    replacement: &RawReplacement<'_>,
) -> Result<Option<u64>, SinkError> {
    // Followers move a cursor beside this lock; an adoption's does not go with it.
    connection.execute(&format!("LOCK TABLE {RAW_CURSORS} IN ROW EXCLUSIVE MODE"))?;
    cursor::same_job(connection, name, RAW_CURSORS, replacement.job)?;
    let old = replacement
        .range
        .condition(|secs| format!("to_timestamp({secs})"));
    let mut first = None;
    for table in [FLOWS, IMPLAUSIBLE] {
        let delete = format!(
            "WITH gone AS (DELETE FROM {table} WHERE {old} RETURNING date_inserted)
             SELECT floor(extract(epoch FROM min(date_inserted)))::bigint FROM gone"
        );
        for row in connection.read(&delete)? {
            let inserted: Option<i64> = connection.get(&row, 0)?;
            let inserted = inserted.and_then(|secs| u64::try_from(secs).ok());
            first = first.into_iter().chain(inserted).min();
        }
    }
    Ok(first)
}
