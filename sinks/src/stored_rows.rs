//! The rows of a rollup as a store holds them, for comparisons.
//!
//! Law: one question for every store, made of the one definition of the columns.

use flow_proto::{Rollup, Sums, country_number};

use crate::columns::{self, Column, Kind};
use crate::look::Words;

/// One row of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// The key's three values, in the order of `Rollup::key_columns`.
    pub key: [u32; 3],
    /// Totals.
    pub sums: Sums,
    /// Version of the tables that it names; 0: none.
    pub table_version: u32,
    /// `generation << 48 | checkpoint number`.
    pub revision: u64,
}

/// The question.
pub(crate) fn statement(rollup: Rollup, slot_secs: u64, words: &Words) -> String {
    let table = columns::rollup(rollup);
    let wanted = table.columns.iter().filter(|column| !is_slot(column));
    let wanted: Vec<String> = wanted.map(|column| (words.text)(column.name)).collect();
    format!(
        "SELECT {} FROM {} WHERE slot = {}",
        wanted.join(", "),
        (words.table)(table.name),
        (words.time)(slot_secs)
    )
}

fn is_slot(column: &Column) -> bool {
    column.key && column.kind == Kind::Seconds
}

/// A row of the answer; `None` if it holds what we never write.
pub(crate) fn row(rollup: Rollup, values: &[Option<String>]) -> Option<StoredRow> {
    let table = columns::rollup(rollup);
    let columns = table.columns.iter().filter(|column| !is_slot(column));
    let mut numbers = Vec::with_capacity(values.len());
    for (column, text) in columns.zip(values) {
        let text = text.as_deref()?;
        numbers.push(match column.kind {
            Kind::Country => u64::from(country_number(text.trim_end())),
            _ => text.parse::<u64>().ok()?,
        });
    }
    let [a, b, c, sums @ .., table_version, revision] = numbers.as_slice() else {
        return None;
    };
    let narrow = |number: &u64| u32::try_from(*number).ok();
    Some(StoredRow {
        key: [narrow(a)?, narrow(b)?, narrow(c)?],
        sums: Sums::from_values(sums.try_into().ok()?),
        table_version: narrow(table_version)?,
        revision: *revision,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_asked_for_and_read() {
        let asked = statement(Rollup::Country, 300, &Words::plain());
        assert_eq!(
            asked,
            "SELECT src_country, dst_country, etype, bytes, packets, flows, scaled_bytes, scaled_packets, \
             unknown_rate_flows, table_version, revision FROM rollup_5m_country WHERE slot = 300"
        );
        let text = |values: [&str; 11]| values.map(|value| Some(value.to_owned()));
        let answer = text(["DE", "", "2048", "1", "2", "3", "4", "5", "6", "7", "8"]);
        let read = row(Rollup::Country, &answer).unwrap();
        assert_eq!(read.key, [country_number("DE"), 0, 2048]);
        assert_eq!(read.sums.values(), [1, 2, 3, 4, 5, 6]);
        assert_eq!((read.table_version, read.revision), (7, 8));
    }

    #[test]
    fn what_we_never_write_is_no_row() {
        let mut answer: Vec<_> = (0..11).map(|n| Some(n.to_string())).collect();
        assert!(row(Rollup::As, &answer).is_some());
        assert!(row(Rollup::As, &answer[..10]).is_none());
        answer[3] = Some("-1".to_owned());
        assert!(row(Rollup::As, &answer).is_none());
    }
}
