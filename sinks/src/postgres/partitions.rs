//! The daily partitions of raw flows: made a day ahead, dropped whole when they are too old.
//!
//! By `date_inserted`, since that is what dashboards filter by: a query of the last hour reads one day. Law 8: the table
//! is bounded by `raw_retention`. A partition is attached, not created in place, so that readers are not shut out; each
//! change is a transaction of its own, and a drop that meets a long query is put off, never waited for.

use jiff::Timestamp;

use super::connection::Connection;
use super::flows::{FLOWS, IMPLAUSIBLE};
use super::schema::LOCK;
use crate::{RawBlock, SinkError};

const DAY_SECS: u64 = 86_400;
const HOUR_SECS: u64 = 3_600;

/// What has been made and dropped so far.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// Days since 1970 up to which partitions are there.
    ready_through: Option<u64>,
    /// Where retention last stood, in days or hours.
    forgotten: Option<u64>,
}

impl Partitions {
    /// Makes those of today and tomorrow.
    pub(super) fn make(
        &mut self,
        connection: &Connection,
        parents: &[&str],
        now_secs: u64,
    ) -> Result<(), SinkError> {
        let today = now_secs / DAY_SECS;
        if self.ready_through >= Some(today + 1) || parents.is_empty() {
            return Ok(());
        }
        connection.begin()?;
        connection.query(LOCK, &[])?;
        for parent in parents {
            for day in [today, today + 1] {
                if !attached(connection, &partition(parent, day), parent)? {
                    connection.execute(&attach(parent, day))?;
                }
            }
        }
        connection.execute("COMMIT")?;
        self.ready_through = Some(today + 1);
        Ok(())
    }

    /// Drops the partitions that lie wholly before the retention, and deletes from a `flows` that has none.
    pub(super) fn forget(
        &mut self,
        connection: &Connection,
        partitioned: bool,
        block: &RawBlock<'_>,
        keep_secs: u64,
    ) -> Result<(), SinkError> {
        // A watermark ahead of the clock is somebody's wrong clock.
        let watermark = block.watermark_secs.map(|secs| secs.min(block.now_secs));
        let Some(line) = watermark.and_then(|now| now.checked_sub(keep_secs)) else {
            return Ok(());
        };
        let step = if partitioned { DAY_SECS } else { HOUR_SECS };
        if self.forgotten >= Some(line / step) {
            return Ok(());
        }
        let dropped = drop_before(connection, line)?;
        if !partitioned {
            connection.change(
                &format!("DELETE FROM {FLOWS} WHERE date_inserted < timezone('utc', to_timestamp($1::bigint))"),
                &[&i64::try_from(line).unwrap_or(0)],
            )?;
        }
        if dropped {
            self.forgotten = Some(line / step);
        }
        Ok(())
    }
}

/// False if some are still being read: they are dropped another time.
fn drop_before(connection: &Connection, line_secs: u64) -> Result<bool, SinkError> {
    let mut dropped = true;
    for parent in [FLOWS, IMPLAUSIBLE] {
        let first_kept = partition(parent, line_secs / DAY_SECS);
        let found = connection.query(
            "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = to_regclass($1::text) AND c.relname ~ ('^' || $1::text || '_[0-9]{8}$')
               AND c.relname::text COLLATE \"C\" < $2::text ORDER BY c.relname",
            &[&parent, &first_kept],
        )?;
        for row in found {
            let old: String = connection.get(&row, 0)?;
            dropped &= drop_one(connection, &old)?;
        }
    }
    Ok(dropped)
}

fn drop_one(connection: &Connection, old: &str) -> Result<bool, SinkError> {
    // A reader of the whole table holds the lock that a drop needs, and everybody would queue behind the drop.
    let drop = format!(
        "DO $$ BEGIN SET LOCAL lock_timeout = '500ms'; DROP TABLE IF EXISTS {old};
         EXCEPTION WHEN lock_not_available THEN RAISE NOTICE 'in use'; END $$"
    );
    connection.execute(&drop)?;
    if exists(connection, old)? {
        tracing::warn!(
            partition = old,
            "too old, but being read: dropped another time"
        );
        return Ok(false);
    }
    tracing::info!(partition = old, "dropped by raw_retention");
    Ok(true)
}

fn exists(connection: &Connection, table: &str) -> Result<bool, SinkError> {
    let found = connection.first("SELECT to_regclass($1::text) IS NOT NULL", &[&table])?;
    found.map_or(Ok(false), |row| connection.get(&row, 0))
}

/// Another table of that name is somebody else's, which the server says when the partition is made.
fn attached(connection: &Connection, table: &str, parent: &str) -> Result<bool, SinkError> {
    let found = connection.first(
        "SELECT EXISTS (SELECT FROM pg_inherits
                        WHERE inhrelid = to_regclass($1::text) AND inhparent = to_regclass($2::text))",
        &[&table, &parent],
    )?;
    found.map_or(Ok(false), |row| connection.get(&row, 0))
}

/// Days in names have eight digits, so that names sort as days do.
fn partition(parent: &str, day: u64) -> String {
    format!("{parent}_{}", date(day, "%Y%m%d"))
}

fn attach(parent: &str, day: u64) -> String {
    let name = partition(parent, day);
    format!(
        "CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS);
         ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{}') TO ('{}')",
        date(day, "%Y-%m-%d"),
        date(day + 1, "%Y-%m-%d")
    )
}

fn date(day: u64, form: &str) -> String {
    let secs = i64::try_from(day.saturating_mul(DAY_SECS)).unwrap_or(i64::MAX);
    let moment = Timestamp::from_second(secs).unwrap_or(Timestamp::MAX);
    moment.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_a_day_of_utc() {
        // 2026-02-28 is day 20512 (GNU date: 1772236800 s).
        assert_eq!(partition("flows", 20_512), "flows_20260228");
        let statements = attach("flows", 20_512);
        assert!(
            statements.ends_with("FOR VALUES FROM ('2026-02-28') TO ('2026-03-01')"),
            "{statements}"
        );
    }
}
