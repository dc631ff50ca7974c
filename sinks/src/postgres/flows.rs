//! The tables of raw flows: `flows` as cloudflare/flow-pipeline has it, our columns after theirs.
//!
//! Their dashboards go on unchanged: names, order and meaning of their columns stand. Law: what is in one of their
//! columns is not stored again under our name. Theirs that are `integer` stay so where the field is at most 16 bits
//! wide; `sampling_rate` is `bigint` here (their queries read both), and in a table of theirs a rate above 2^31 - 1
//! stands at 2^31 - 1.

use flow_proto::EnrichedFlow;

use super::binary::{self, Unfit, Wire};
use super::tables::{WantedColumn, WantedTable};
use crate::columns::{Kind, Value};
use crate::raw_columns::{self, ADDED, raw_flows};
use bytes::BytesMut;

/// The table that dashboards read.
pub(super) const FLOWS: &str = "flows";
/// The flows that are left out of it: one of them overflows every `sum(bytes*sampling_rate*8)`.
pub(super) const IMPLAUSIBLE: &str = "flows_implausible";

/// Name of the column that the server numbers.
const ID: &str = "id";
/// Name of the column that holds the time of writing.
const DATE_INSERTED: &str = "date_inserted";
/// A timestamp without time zone, which theirs are: UTC.
const TIMESTAMP: &str = "timestamp without time zone";

/// A column of theirs: name, types that serve (that of a new table first), and our name of what it holds.
type Theirs = (&'static str, &'static [&'static str], &'static str);

/// Theirs (compose/postgres/create.sh), in their order.
const THEIRS: &[Theirs] = &[
    (ID, &["bigint"], ""),
    (DATE_INSERTED, &[TIMESTAMP], ""),
    ("time_flow", &[TIMESTAMP], "time_received"),
    ("type", &["integer", "bigint"], "type"),
    ("sampling_rate", &["bigint", "integer"], "sampling_rate"),
    ("src_as", &["bigint"], "src_as"),
    ("dst_as", &["bigint"], "dst_as"),
    ("src_ip", &["inet"], "src_addr"),
    ("dst_ip", &["inet"], "dst_addr"),
    ("bytes", &["bigint"], "bytes"),
    ("packets", &["bigint"], "packets"),
    ("etype", &["integer", "bigint"], "etype"),
    ("proto", &["integer", "bigint"], "proto"),
    ("src_port", &["integer", "bigint"], "src_port"),
    ("dst_port", &["integer", "bigint"], "dst_port"),
];

/// The column that holds one of `raw_flows`.
pub(super) fn stored_name(held: &str) -> &str {
    let theirs = THEIRS.iter().find(|(_, _, ours)| *ours == held);
    theirs.map_or(held, |(name, _, _)| name)
}

/// Columns of ours: those of `raw_flows` that theirs do not hold.
fn ours() -> impl Iterator<Item = (&'static str, Kind)> {
    let columns = raw_flows().columns.into_iter();
    columns
        .filter(|column| !THEIRS.iter().any(|(_, _, held)| *held == column.name))
        .map(|column| (column.name, column.kind))
}

/// The table as it should be. Every column may be empty, as in theirs: what stood in a table before it was extended has
/// nothing in ours.
pub(super) fn table(name: &'static str) -> WantedTable {
    let theirs = THEIRS.iter().map(|(name, types, _)| WantedColumn {
        name,
        types: types.to_vec(),
        nullable: *name != ID,
    });
    let ours = ours().map(|(name, kind)| WantedColumn {
        name,
        types: vec![Wire::of(kind).name()],
        nullable: true,
    });
    let columns: Vec<WantedColumn> = theirs.chain(ours).collect();
    let lines: Vec<String> = columns.iter().map(line).collect();
    let index = format!("{name}_by_{DATE_INSERTED}");
    let create = vec![
        format!(
            "CREATE TABLE {name} (\n{}\n) PARTITION BY RANGE ({DATE_INSERTED})",
            lines.join(",\n")
        ),
        // Rows come in the order of this column, which is what a BRIN index is for: a few kilobytes a day.
        format!("CREATE INDEX {index} ON {name} USING brin ({DATE_INSERTED})"),
    ];
    WantedTable {
        name,
        columns,
        key: Vec::new(),
        index: Some(index),
        create,
    }
}

fn line(column: &WantedColumn) -> String {
    let kind = column.types.first().copied().unwrap_or_default();
    match column.name {
        ID => format!("  {ID} bigserial"),
        DATE_INSERTED => format!("  {DATE_INSERTED} {kind} DEFAULT timezone('utc', now())"),
        name => format!("  {name} {kind}"),
    }
}

/// Number of theirs: a table with these alone is one that their project made.
pub(super) fn theirs() -> impl Iterator<Item = &'static str> {
    THEIRS.iter().map(|(name, _, _)| *name)
}

/// What is so with a table of theirs.
pub(super) fn taken_over() -> String {
    format!(
        "table {FLOWS} is that of cloudflare/flow-pipeline: its columns are written, ours are not; `flow-pipeline schema \
         apply --extend` adds them"
    )
}

/// What makes a table of theirs one of ours: our columns behind theirs.
pub(super) fn extend() -> String {
    let added: Vec<String> = ours()
        .map(|(name, kind)| format!("ADD COLUMN {name} {}", Wire::of(kind).name()))
        .collect();
    format!("ALTER TABLE {FLOWS} {}", added.join(", "))
}

/// Whether tables of earlier releases lack this column.
pub(super) fn is_added(table: &str, column: &str) -> bool {
    [FLOWS, IMPLAUSIBLE].contains(&table) && ADDED.contains(&column)
}

/// What adds the columns that a table of an earlier release lacks; the flows in it have nothing there.
pub(super) fn add(table: &str, lacks: impl Fn(&str) -> bool) -> Option<String> {
    let added: Vec<String> = ours()
        .filter(|(name, _)| is_added(table, name) && lacks(name))
        .map(|(name, kind)| {
            let kind = Wire::of(kind).name();
            format!("ADD COLUMN {name} {kind} DEFAULT ''")
        })
        .collect();
    (!added.is_empty()).then(|| format!("ALTER TABLE {table} {}", added.join(", ")))
}

/// One value of a row to be written.
struct Place {
    /// Where it stands among `raw_values`; `None`: the time of writing.
    from: Option<usize>,
    kind: Kind,
    wire: Wire,
}

/// How a flow becomes a row of the columns that a table has.
pub(super) struct Layout {
    names: Vec<&'static str>,
    places: Vec<Place>,
    values: Vec<Value>,
}

impl Layout {
    /// For a table with these columns (name, type).
    pub(super) fn of(found: &[(String, String)]) -> Layout {
        let raw = raw_flows().columns;
        let mut layout = Layout {
            names: Vec::new(),
            places: Vec::new(),
            values: Vec::new(),
        };
        for column in table(FLOWS)
            .columns
            .iter()
            .filter(|column| column.name != ID)
        {
            let Some((_, stored)) = found.iter().find(|(name, _)| name == column.name) else {
                continue;
            };
            let theirs = THEIRS.iter().find(|(name, _, _)| *name == column.name);
            let held = theirs.map_or(column.name, |(_, _, held)| held);
            let from = raw.iter().position(|raw| raw.name == held);
            let kind = from
                .and_then(|n| raw.get(n))
                .map_or(Kind::Seconds, |raw| raw.kind);
            let wire = if stored == Wire::Int4.name() {
                Wire::Int4
            } else {
                Wire::of(kind)
            };
            layout.names.push(column.name);
            layout.places.push(Place { from, kind, wire });
        }
        layout
    }

    /// Whether a row says which flow of the topic it is.
    pub(super) fn knows_places(&self) -> bool {
        let has = |name: &str| self.names.contains(&name);
        has("topic_partition") && has("topic_offset")
    }

    /// The statement that takes rows.
    pub(super) fn copy(&self, table: &str) -> String {
        format!(
            "COPY {table} ({}) FROM STDIN (FORMAT binary)",
            self.names.join(", ")
        )
    }

    /// Writes a flow as a row.
    pub(super) fn put(
        &mut self,
        buffer: &mut BytesMut,
        flow: &EnrichedFlow,
        now_secs: u64,
    ) -> Result<(), Unfit> {
        raw_columns::raw_values(flow, &mut self.values);
        binary::begin(buffer, self.places.len());
        let now = Value::Number(now_secs);
        for place in &self.places {
            let value = place.from.and_then(|n| self.values.get(n)).unwrap_or(&now);
            binary::put(buffer, place.kind, place.wire, value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_raw_flows_is_there_once() {
        let names: Vec<&str> = table(FLOWS).columns.iter().map(|c| c.name).collect();
        assert_eq!(&names[..15], theirs().collect::<Vec<_>>());
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len(), "{names:?}");
        for column in raw_flows().columns {
            let held = THEIRS.iter().any(|(_, _, held)| *held == column.name);
            assert!(
                held != names[15..].contains(&column.name),
                "{}",
                column.name
            );
        }
    }
}
