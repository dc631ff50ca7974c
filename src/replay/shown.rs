//! What `replay` prints: a line for each slot and rollup that differs, the largest of its rows below it; or JSON.
//!
//! Law: both say the same. Slots that are equal are counted, not listed.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};

use flow_proto::country_code;
use flow_sinks::{Difference, DifferenceKind, StoredSlot};
use serde_json::{Map, Value, json};

use super::json;
use super::slots::Compared;
use super::verify::{NOT_COMPARED, tell};
use crate::cli;
use crate::failure::Failure;
use crate::progress::time;

/// Why slots that differ were not replaced.
const LEFT_ALONE: &str =
    "left alone: slots that are not retired, which the job still corrects, or such as no job makes";

/// The printer.
pub(super) struct Shown<'a, W: Write> {
    options: &'a cli::Replay,
    out: W,
    equal: u64,
    differ: u64,
    not_compared: BTreeSet<u64>,
    left_alone: BTreeSet<u64>,
}

impl<'a, W: Write> Shown<'a, W> {
    pub(super) fn new(options: &'a cli::Replay, out: W) -> Self {
        Shown {
            options,
            out,
            equal: 0,
            differ: 0,
            not_compared: BTreeSet::new(),
            left_alone: BTreeSet::new(),
        }
    }

    /// Heads a store's lines.
    pub(super) fn begin(&mut self, sink: &str) -> Result<(), Failure> {
        if !self.options.json {
            self.print(sink)?;
            self.print(&format!(
                "{:<20} {:<17} {:>8} {:>8} {:>8} {:>12} {:>12} {:>18} {:>18}",
                "slot",
                "rollup",
                "added",
                "removed",
                "changed",
                "flows before",
                "flows after",
                "bytes before",
                "bytes after"
            ))?;
        }
        Ok(())
    }

    /// A line. What is to be applied is, whether anybody still reads it or not.
    fn print(&mut self, line: &str) -> Result<(), Failure> {
        match writeln!(self.out, "{line}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe && self.options.apply => Ok(()),
            printed => Ok(printed?),
        }
    }

    /// What the store should hold of a slot is not known now.
    pub(super) fn not_compared(&mut self, slot_secs: u64) {
        self.not_compared.insert(slot_secs);
    }

    /// A slot that differs, and that the job still owns.
    pub(super) fn left_alone(&mut self, slot_secs: u64) {
        self.left_alone.insert(slot_secs);
    }

    /// A slot; `known` is the store's row of it.
    pub(super) fn slot(
        &mut self,
        sink: &str,
        compared: &Compared,
        known: Option<&StoredSlot>,
    ) -> Result<(), Failure> {
        if !compared.differs() {
            self.equal += 1;
            return Ok(());
        }
        self.differ += 1;
        let count = |kinds: &[DifferenceKind]| {
            let all = compared.differences.iter();
            all.filter(|d| kinds.contains(&d.kind())).count()
        };
        let added = count(&[DifferenceKind::Missing]);
        let removed = count(&[DifferenceKind::Extra]);
        let changed = count(&[
            DifferenceKind::Changed,
            DifferenceKind::TableVersion,
            DifferenceKind::Revision,
        ]);
        let mut largest: Vec<&Difference> = compared.differences.iter().collect();
        largest.sort_by_key(|d| (std::cmp::Reverse(d.bytes()), d.key));
        largest.truncate(self.options.largest);
        if self.options.json {
            let largest = largest.iter().map(|d| json::difference(sink, d));
            let line = json!({
                "sink": sink, "rollup": compared.rollup.table(), "slot": time(compared.slot_secs),
                "rows": { "added": added, "removed": removed, "changed": changed },
                "before": json::sums(&compared.stored), "after": json::sums(&compared.computed),
                "too_early": known.map(|slot| slot.too_early), "too_late": known.map(|slot| slot.too_late),
                "unreadable": compared.unreadable, "slot_row": compared.slot_row,
                "largest": largest.collect::<Vec<_>>(),
            });
            return self.print(&line.to_string());
        }
        self.print(&format!(
            "{:<20} {:<17} {added:>8} {removed:>8} {changed:>8} {:>12} {:>12} {:>18} {:>18}",
            time(compared.slot_secs),
            compared.rollup.table(),
            compared.stored.flows,
            compared.computed.flows,
            compared.stored.bytes,
            compared.computed.bytes
        ))?;
        if compared.unreadable > 0 {
            self.print(&format!("    {} rows cannot be read", compared.unreadable))?;
        }
        if let Some((should, is)) = &compared.slot_row {
            let shown = |row: &Map<String, Value>| Value::Object(row.clone()).to_string();
            let is = is.as_ref().map_or_else(|| "none".to_owned(), shown);
            self.print(&format!("    row of slots: {is} -> {}", shown(should)))?;
        }
        for difference in largest {
            self.print(&format!("    {}", row(difference)))?;
        }
        Ok(())
    }

    /// Closes a store's lines.
    pub(super) fn end(&mut self, sink: &str) -> Result<(), Failure> {
        if !self.options.json && self.differ == 0 {
            self.print("no difference")?;
        }
        tracing::info!(
            sink,
            equal = self.equal,
            differ = self.differ,
            "slots of all rollups compared"
        );
        tell(sink, &std::mem::take(&mut self.not_compared), NOT_COMPARED);
        tell(sink, &std::mem::take(&mut self.left_alone), LEFT_ALONE);
        (self.equal, self.differ) = (0, 0);
        Ok(())
    }
}

/// A row that differs, in words.
fn row(difference: &Difference) -> String {
    let names = difference.rollup.key_columns();
    let value = |(name, number): (&str, u32)| match name.ends_with("_country") {
        true => format!("{name} {:?}", country_code(number)),
        false => format!("{name} {number}"),
    };
    let key: Vec<String> = names.into_iter().zip(difference.key).map(value).collect();
    let side = |said: Option<flow_sinks::Said>| match said {
        Some((sums, version)) => format!(
            "{} bytes {} flows (tables {version})",
            sums.bytes, sums.flows
        ),
        None => "none".to_owned(),
    };
    format!(
        "{}: {}{} -> {}",
        key.join(", "),
        side(difference.stored),
        match (difference.kind(), difference.revision) {
            (DifferenceKind::Revision, Some(revision)) => format!(" of revision {revision}"),
            _ => String::new(),
        },
        side(difference.computed)
    )
}
