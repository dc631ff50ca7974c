//! Old days go as a whole: partitions that end before the retention's line.
//!
//! The line is measured from the watermark, not from a clock: years-old flows that are replayed are not eaten while
//! they are written. Law 8: a store with a retention is bounded, to the day.

use super::server::{Server, quoted};
use crate::SinkError;

const DAY_SECS: u64 = 86_400;

/// What has been dropped up to now, so that a day is looked for once.
#[derive(Default)]
pub(super) struct Retention {
    keep_secs: Option<u64>,
    /// Days since 1970 before which nothing is left.
    done: u64,
}

impl Retention {
    pub(super) fn new(keep_secs: Option<u64>) -> Retention {
        Retention { keep_secs, done: 0 }
    }

    /// Drops from these tables the days that are older than the retention.
    pub(super) fn apply(
        &mut self,
        server: &Server,
        tables: &[String],
        watermark_secs: Option<u64>,
    ) -> Result<(), SinkError> {
        let line = self.keep_secs.zip(watermark_secs);
        let Some(line) = line.and_then(|(keep, now)| now.checked_sub(keep)) else {
            return Ok(());
        };
        let day = line / DAY_SECS;
        if day <= self.done {
            return Ok(());
        }
        let names: Vec<String> = tables.iter().map(|table| quoted(table)).collect();
        // 19700101 holds the row of `slots` for what belongs to no slot.
        let old = server.ask(&format!(
            "SELECT DISTINCT table, partition_id FROM system.parts WHERE active AND database = {} AND table IN ({}) \
             AND toUInt32OrZero(partition_id) < toYYYYMMDD(toDateTime({}, 'UTC'), 'UTC') \
             AND partition_id != '19700101' ORDER BY table, partition_id",
            quoted(&server.database),
            names.join(", "),
            day * DAY_SECS,
        ))?;
        for row in old {
            if let [Some(table), Some(partition)] = row.as_slice() {
                server.execute(&format!(
                    "ALTER TABLE {} DROP PARTITION ID {}",
                    server.table(table),
                    quoted(partition)
                ))?;
            }
        }
        self.done = day;
        Ok(())
    }
}
