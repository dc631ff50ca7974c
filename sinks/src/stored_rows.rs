//! The rows of a rollup as a store holds them, for comparisons.
//!
//! Law: one question for every store, made of the one definition of the columns.

use std::net::IpAddr;

use flow_proto::{Addr, Rollup, Sums, address_words, country_number, learn_text};

use crate::columns::{self, Column, Kind};
use crate::look::Words;

/// One row of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// The words of the key, in the order of the rollup's dimensions.
    pub key: Vec<u32>,
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
    let (mut key, mut numbers) = (Vec::new(), Vec::with_capacity(values.len()));
    for (column, text) in columns.zip(values) {
        let text = text.as_deref()?;
        match column.kind {
            Kind::Country => key.push(country_number(text.trim_end())),
            Kind::Address => key.extend(address_words(address(text)?)),
            Kind::Text => key.extend(learn_text(text).ok()?),
            _ if column.key => key.push(text.parse().ok()?),
            _ => numbers.push(text.parse::<u64>().ok()?),
        }
    }
    let [sums @ .., table_version, revision] = numbers.as_slice() else {
        return None;
    };
    Some(StoredRow {
        key,
        sums: Sums::from_values(sums.try_into().ok()?),
        table_version: u32::try_from(*table_version).ok()?,
        revision: *revision,
    })
}

/// An address as text; PostgreSQL says of how many bits, which are all.
fn address(text: &str) -> Option<Addr> {
    let host = match text.split_once('/') {
        Some((host, "32" | "128")) => host,
        Some(_) => return None,
        None => text,
    };
    host.parse::<IpAddr>().ok().map(Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_asked_for_and_read() {
        let asked = statement(Rollup::COUNTRY, 300, &Words::plain());
        assert_eq!(
            asked,
            "SELECT src_country, dst_country, etype, bytes, packets, flows, scaled_bytes, scaled_packets, \
             unknown_rate_flows, table_version, revision FROM rollup_5m_country WHERE slot = 300"
        );
        let text = |values: [&str; 11]| values.map(|value| Some(value.to_owned()));
        let answer = text(["DE", "", "2048", "1", "2", "3", "4", "5", "6", "7", "8"]);
        let read = row(Rollup::COUNTRY, &answer).unwrap();
        assert_eq!(read.key, [country_number("DE"), 0, 2048]);
        assert_eq!(read.sums.values(), [1, 2, 3, 4, 5, 6]);
        assert_eq!((read.table_version, read.revision), (7, 8));
    }

    #[test]
    fn addresses_are_read_as_every_store_spells_them() {
        let four = Some(Addr::v4([198, 51, 100, 0]));
        let spelt = ["198.51.100.0", "198.51.100.0/32", "::ffff:198.51.100.0"];
        assert!(spelt.iter().all(|text| address(text) == four));
        assert_eq!(address("::"), Some(Addr::NONE));
        assert_eq!(address("::/128"), Some(Addr::NONE));
        assert_eq!(address("198.51.100.0/24"), None, "never written");
    }

    #[test]
    fn what_we_never_write_is_no_row() {
        let mut answer: Vec<_> = (0..11).map(|n| Some(n.to_string())).collect();
        assert!(row(Rollup::AS, &answer).is_some());
        assert!(row(Rollup::AS, &answer[..10]).is_none());
        answer[3] = Some("-1".to_owned());
        assert!(row(Rollup::AS, &answer).is_none());
    }
}
