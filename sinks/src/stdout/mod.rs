//! JSON lines: the rows of slots as they complete, and each correction as it comes.
//!
//! It keeps no cursor. So a restart prints again what complete slots not yet retired hold; a reader that wants each
//! row once keeps, for each key, the line with the highest `revision`. Law 6: nothing that is not in a
//! checkpoint is printed, and totals are absolute.

use std::fmt;
use std::io::{self, BufWriter, Write};

use flow_proto::{Rollup, Rollups};
use serde::Serializer;
use serde_json::Value as Json;

use crate::columns::{self, Kind, Table, Value, address_text};
use crate::{Applied, Cursors, Delta, Row, Sink, SinkError, utc};

/// Lines are gathered to blocks of this size. Bytes.
const BUFFER_BYTES: usize = 1 << 16;

/// Prints rows.
pub struct Stdout {
    out: BufWriter<Box<dyn Write + Send>>,
    tables: Vec<(Rollup, Table)>,
    printed: Cursors,
}

impl Stdout {
    /// Prints rows of these rollups to `out`.
    pub fn new(out: Box<dyn Write + Send>, rollups: Rollups) -> Stdout {
        Stdout {
            out: BufWriter::with_capacity(BUFFER_BYTES, out),
            tables: rollups
                .iter()
                .map(|rollup| (rollup, columns::rollup(rollup)))
                .collect(),
            printed: Cursors::default(),
        }
    }
}

impl fmt::Debug for Stdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdout")
            .field("printed", &self.printed)
            .finish_non_exhaustive()
    }
}

impl Sink for Stdout {
    fn name(&self) -> &str {
        "stdout:"
    }

    fn cursors(&mut self) -> Result<Cursors, SinkError> {
        Ok(self.printed.clone())
    }

    fn apply(&mut self, delta: &Delta<'_>) -> Result<Applied, SinkError> {
        let (out, tables) = (&mut self.out, &self.tables);
        let mut rows = 0;
        delta.rows.for_each(&mut |row| {
            let Some((_, table)) = tables.iter().find(|(r, _)| *r == row.rollup) else {
                return Ok(());
            };
            print(&mut *out, table, &row).map_err(|e| broken(e.into()))?;
            out.write_all(b"\n").map_err(broken)?;
            rows += 1;
            Ok(())
        })?;
        out.flush().map_err(broken)?;
        self.printed.job = Some(delta.job.to_owned());
        self.printed
            .by_shard
            .extend(delta.shards.iter().map(|shard| (*shard, delta.to)));
        Ok(Applied::Done { rows })
    }
}

fn broken(error: io::Error) -> SinkError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return SinkError::reader_gone("sink stdout: its reader has gone; the job ends with it");
    }
    SinkError::fatal(format!(
        "sink stdout: cannot be written: {error}; make room where it goes"
    ))
}

/// `{"rollup":…,"slot":"2026-11-24T00:00:00Z",…}`, names in the order of the columns.
fn print(out: impl Write, table: &Table, row: &Row<'_>) -> Result<(), serde_json::Error> {
    let columns = table
        .columns
        .iter()
        .zip(columns::rollup_values(row))
        .map(|(column, value)| {
            let value = match (column.kind, value) {
                (Kind::Seconds, Value::Number(secs)) => rfc3339(secs),
                (_, Value::Number(number)) => number.into(),
                (_, Value::Text(text)) => text.into(),
                (_, Value::Address(address)) => address_text(address).into(),
                (_, Value::Boolean(yes)) => yes.into(),
                (_, Value::Null) => Json::Null,
            };
            (column.name, value)
        });
    let rollup = ("rollup", Json::from(table.name));
    serde_json::Serializer::new(out).collect_map([rollup].into_iter().chain(columns))
}

/// The time as text; as a number if no calendar has it.
fn rfc3339(secs: u64) -> Json {
    utc::time(secs).map_or_else(|| secs.into(), Json::from)
}
