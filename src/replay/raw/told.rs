//! Raw flows that differ, as JSON.
//!
//! Law: names are those of the columns of `raw_flows`, in every store; times and numbers are in the store's own units.

use flow_sinks::RawTexts;
use flow_sinks::columns::{Column, Kind as ColumnKind};
use flow_sinks::raw_columns::{RAW_FLOWS, raw_flows};
use serde_json::{Map, Value, json};

use super::merge::{Difference, Kind};
use crate::progress::time;

/// A difference; of one that has changed, the columns that differ.
pub(super) fn difference(sink: &str, slot_secs: u64, difference: &Difference) -> Value {
    let at = difference.at;
    let both = (difference.computed.as_ref(), difference.stored.as_ref());
    let differ = |n: usize| match (difference.kind, both) {
        (Kind::Changed, (Some(computed), Some(stored))) => computed.0.get(n) != stored.0.get(n),
        _ => true,
    };
    let side = |texts: &RawTexts| {
        let columns = raw_flows().columns.into_iter().zip(&texts.0).enumerate();
        let shown = columns.filter(|(n, _)| differ(*n));
        let named = shown
            .map(|(_, (column, text))| (column.name.to_owned(), value(&column, text.as_deref())));
        Value::Object(named.collect::<Map<_, _>>())
    };
    json!({
        "sink": sink,
        "rollup": RAW_FLOWS,
        "slot": time(slot_secs),
        "kind": difference.kind.name(),
        "key": { "topic_partition": at.partition, "topic_offset": at.offset, "flow_index": at.index },
        "computed": both.0.map(side),
        "stored": both.1.map(side),
    })
}

/// Where a flow stands and what became of it, in words.
pub(super) fn line(difference: &Difference) -> String {
    let at = difference.at;
    let side = |texts: &Option<RawTexts>| {
        let Some(texts) = texts else {
            return "none".to_owned();
        };
        let columns = raw_flows().columns.into_iter().zip(&texts.0);
        let shown = columns.filter(|(column, _)| {
            matches!(
                column.name,
                "counted" | "refused" | "bytes" | "table_version"
            )
        });
        let words = shown
            .map(|(column, text)| format!("{} {}", column.name, value(&column, text.as_deref())));
        words.collect::<Vec<_>>().join(", ")
    };
    format!(
        "partition {} offset {} index {}: {}: {} -> {}",
        at.partition,
        at.offset,
        at.index,
        difference.kind.name(),
        side(&difference.stored),
        side(&difference.computed)
    )
}

fn value(column: &Column, text: Option<&str>) -> Value {
    let Some(text) = text else {
        return Value::Null;
    };
    match column.kind {
        ColumnKind::Boolean => Value::Bool(text == "1"),
        ColumnKind::Text | ColumnKind::Country | ColumnKind::Address => text.into(),
        _ => text
            .parse::<u64>()
            .map_or_else(|_| text.into(), Value::from),
    }
}
