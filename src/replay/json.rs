//! What a comparison has found, as JSON.
//!
//! Law: names are those of the tables' columns.

use flow_proto::{Rollup, Sums};
use flow_sinks::columns::{Value as Column, address_text, key_value};
use flow_sinks::{Difference, Said};
use serde_json::{Map, Value, json};

use super::slots::Why;
use crate::progress::time;

/// A row that differs.
pub(crate) fn difference(sink: &str, difference: &Difference) -> Value {
    json!({
        "sink": sink,
        "rollup": difference.rollup.table(),
        "slot": time(difference.slot_secs),
        "kind": difference.kind().name(),
        "key": key(difference.rollup, &difference.key),
        "computed": difference.computed.map(said),
        "stored": difference.stored.map(said),
        "revision": difference.revision,
    })
}

/// What may have kept a slot from being whole; empty where nothing is known against it.
pub(crate) fn why(why: &Why) -> Map<String, Value> {
    let mut all = Map::new();
    let mut say = |name: &str, value: Value, is_said: bool| {
        if is_said {
            all.insert(name.to_owned(), value);
        }
    };
    let Why {
        refused,
        missing_partitions: missing,
        partial,
    } = why;
    say("too_early", refused.too_early.into(), refused.too_early > 0);
    say("too_late", refused.too_late.into(), refused.too_late > 0);
    say(
        "missing_partitions",
        missing.clone().into(),
        !missing.is_empty(),
    );
    say("partial", true.into(), *partial);
    all
}

/// A row's key by the names of its columns.
pub(crate) fn key(rollup: Rollup, key: &[u32]) -> Value {
    let values = rollup.values(key).map(|(dimension, words)| {
        let value = match key_value(dimension, words) {
            Column::Number(number) => Value::from(number),
            Column::Address(address) => Value::from(address_text(address)),
            Column::Text(text) => Value::from(text),
            Column::Boolean(_) | Column::Null => Value::Null,
        };
        (dimension.name().to_owned(), value)
    });
    Value::Object(values.collect())
}

fn said((sums, table_version): Said) -> Value {
    let mut all = self::sums(&sums);
    all.insert("table_version".to_owned(), table_version.into());
    Value::Object(all)
}

/// Totals by the names of their columns.
pub(crate) fn sums(sums: &Sums) -> Map<String, Value> {
    let columns = Sums::COLUMNS.into_iter().zip(sums.values());
    columns
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}
