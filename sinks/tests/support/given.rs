//! Deltas given by hand.

use flow_proto::{Record, Rollups, RowRecord, Sums};
use flow_sinks::{Delta, Row, Rows, SinkError};

/// Called before row number n is handed over.
pub(crate) type Hook = Box<dyn Fn(usize)>;

/// Rows, and what happens between them.
pub(crate) struct Given {
    /// (row, revision), in order.
    pub(crate) rows: Vec<(RowRecord, u64)>,
    pub(crate) before: Option<Hook>,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.rows.fmt(f)
    }
}

impl Given {
    /// Rows of one revision.
    pub(crate) fn new(rows: Vec<RowRecord>, revision: u64) -> Given {
        Given {
            rows: rows.into_iter().map(|row| (row, revision)).collect(),
            before: None,
        }
    }
}

impl Rows for Given {
    fn for_each(
        &self,
        take: &mut dyn FnMut(Row<'_>) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        for (n, (record, revision)) in self.rows.iter().enumerate() {
            if let Some(before) = &self.before {
                before(n);
            }
            take(Row {
                rollup: Rollups::STANDARD.get(record.rollup).unwrap(),
                record: record.view(),
                table_version: 1,
                revision: *revision,
            })?;
        }
        Ok(())
    }
}

/// A row of one flow.
pub(crate) fn row(slot_secs: u64, src_as: u32, bytes: u64) -> RowRecord {
    let sums = Sums {
        bytes,
        flows: 1,
        ..Sums::default()
    };
    RowRecord {
        slot_secs,
        rollup: 0,
        shard: 0,
        key: [src_as, 0, 0x0800],
        sums,
    }
}

/// A delta of shard 0 that brings them.
pub(crate) fn delta<'a>(from: u64, to: u64, rows: &'a Given) -> Delta<'a> {
    Delta {
        job: "a",
        from,
        to,
        shards: &[0],
        rows,
        slots: &[],
        retired_through: &[],
        watermark_secs: None,
    }
}
