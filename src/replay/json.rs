//! What a comparison has found, as JSON.
//!
//! Law: names are those of the tables' columns.

use flow_proto::{Rollup, Sums, country_code};
use flow_sinks::{Difference, Said};
use serde_json::{Map, Value, json};

use crate::progress::time;

/// A row that differs.
pub(crate) fn difference(sink: &str, difference: &Difference) -> Value {
    json!({
        "sink": sink,
        "rollup": difference.rollup.table(),
        "slot": time(difference.slot_secs),
        "kind": difference.kind().name(),
        "key": key(difference.rollup, difference.key),
        "computed": difference.computed.map(said),
        "stored": difference.stored.map(said),
        "revision": difference.revision,
    })
}

/// A row's key by the names of its columns.
pub(crate) fn key(rollup: Rollup, key: [u32; 3]) -> Value {
    let names = rollup.key_columns();
    let value = |(name, number): (&str, u32)| {
        let value = match name.ends_with("_country") {
            true => Value::from(country_code(number)),
            false => Value::from(number),
        };
        (name.to_owned(), value)
    };
    Value::Object(names.into_iter().zip(key).map(value).collect())
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
