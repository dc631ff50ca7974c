//! What `replay` prints: a line for each slot and rollup that differs, the largest of its rows below it; or JSON.
//!
//! Law: both say the same. Slots that are equal are counted, not listed.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};

use flow_sinks::columns::{Value as Held, address_text, key_value};
use flow_sinks::{Difference, DifferenceKind};
use serde_json::{Map, Value, json};

use super::json;
use super::slots::{Compared, Why};
use super::verify::{DELETED, NOT_COMPARED, tell};
use crate::cli;
use crate::failure::{Exit, Failure};
use crate::progress::time;

/// Why slots that differ were not replaced.
const LEFT_ALONE: &str = "left alone: slots that are not retired, which the job still corrects, such as no job makes, or of which the store has more than the topic";

/// The printer.
pub(super) struct Shown<'a, W: Write> {
    pub(super) options: &'a cli::Replay,
    out: W,
    pub(super) equal: u64,
    pub(super) differ: u64,
    sink: String,
    headed: bool,
    /// Of some store nothing was compared.
    nothing: bool,
    not_compared: BTreeSet<u64>,
    left_alone: BTreeSet<u64>,
    deleted: BTreeSet<u64>,
}

impl<'a, W: Write> Shown<'a, W> {
    pub(super) fn new(options: &'a cli::Replay, out: W) -> Self {
        Shown {
            options,
            out,
            equal: 0,
            differ: 0,
            sink: String::new(),
            headed: false,
            nothing: false,
            not_compared: BTreeSet::new(),
            left_alone: BTreeSet::new(),
            deleted: BTreeSet::new(),
        }
    }

    /// A store's lines begin.
    pub(super) fn begin(&mut self, sink: String) {
        self.sink = sink;
        self.headed = false;
    }

    /// Heads a store's lines, once.
    fn head(&mut self) -> Result<(), Failure> {
        if self.options.json || std::mem::replace(&mut self.headed, true) {
            return Ok(());
        }
        self.print(&self.sink.clone())?;
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
        ))
    }

    /// A line. What is to be applied is, whether anybody still reads it or not.
    pub(super) fn print(&mut self, line: &str) -> Result<(), Failure> {
        match writeln!(self.out, "{line}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe && self.options.apply => Ok(()),
            printed => Ok(printed?),
        }
    }

    /// What the store should hold of a slot is not known now.
    pub(super) fn not_compared(&mut self, slot_secs: u64) {
        self.not_compared.insert(slot_secs);
    }

    /// A slot that differs, and is not replaced.
    pub(super) fn left_alone(&mut self, slot_secs: u64) {
        self.left_alone.insert(slot_secs);
    }

    /// A slot of which the topic does not hold all any more.
    pub(super) fn deleted(&mut self, slot_secs: u64) {
        self.deleted.insert(slot_secs);
    }

    /// A slot, and what may have kept it from being whole.
    pub(super) fn slot(&mut self, compared: &Compared, why: &Why) -> Result<(), Failure> {
        if !compared.differs() {
            self.equal += 1;
            return Ok(());
        }
        self.differ += 1;
        self.head()?;
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
        largest.sort_by_key(|d| (std::cmp::Reverse(d.bytes()), d.key.clone()));
        largest.truncate(self.options.largest);
        if self.options.json {
            let largest = largest.iter().map(|d| json::difference(&self.sink, d));
            let line = json!({
                "sink": self.sink, "rollup": compared.rollup.table(), "slot": time(compared.slot_secs),
                "rows": { "added": added, "removed": removed, "changed": changed },
                "before": json::sums(&compared.stored), "after": json::sums(&compared.computed),
                "too_early": why.refused.too_early, "too_late": why.refused.too_late,
                "missing_partitions": why.missing_partitions, "partial": why.partial,
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
        if compared.stored.bytes == compared.computed.bytes
            && compared.stored.scaled_bytes != compared.computed.scaled_bytes
        {
            self.print(&format!(
                "    scaled_bytes {} -> {}",
                compared.stored.scaled_bytes, compared.computed.scaled_bytes
            ))?;
        }
        if let Some(words) = words(why) {
            self.print(&format!("    {words}"))?;
        }
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

    /// That nothing was compared of some store is no success.
    pub(super) fn conclude(&self) -> Result<(), Failure> {
        match self.nothing {
            true => Err(Failure::new(
                Exit::Unavailable,
                "no slot could be compared",
            )
            .hint("the lines before say why; a store that is behind has them when it has caught up with the job")),
            false => Ok(()),
        }
    }

    /// Closes a store's lines.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        let sink = self.sink.clone();
        self.head()?;
        let aside = !self.not_compared.is_empty() || !self.deleted.is_empty();
        if self.differ + self.equal == 0 && aside {
            self.nothing = true;
        } else if !self.options.json && self.differ == 0 {
            self.print("no difference")?;
        }
        tracing::info!(
            sink,
            equal = self.equal,
            differ = self.differ,
            "slots of all rollups compared"
        );
        tell(&sink, &std::mem::take(&mut self.not_compared), NOT_COMPARED);
        tell(&sink, &std::mem::take(&mut self.left_alone), LEFT_ALONE);
        tell(&sink, &std::mem::take(&mut self.deleted), DELETED);
        (self.equal, self.differ) = (0, 0);
        Ok(())
    }
}

/// Why a slot was not whole, in words; `None`: nothing is known against it.
fn words(why: &Why) -> Option<String> {
    let mut all = Vec::new();
    let mut say = |count: u64, what: &str| {
        if count > 0 {
            all.push(format!("{count} flows {what}"));
        }
    };
    say(why.refused.too_late, "were too late at the time");
    say(why.refused.too_early, "were too early at the time");
    if !why.missing_partitions.is_empty() {
        let list: Vec<String> = why.missing_partitions.iter().map(u32::to_string).collect();
        all.push(format!("gap in the topic, partition {}", list.join(", ")));
    }
    if why.partial {
        all.push("partial".to_owned());
    }
    (!all.is_empty()).then(|| all.join("; "))
}

/// A row that differs, in words.
fn row(difference: &Difference) -> String {
    let values = difference.rollup.values(&difference.key);
    let key: Vec<String> = values
        .map(|(dimension, words)| match key_value(dimension, words) {
            Held::Number(number) => format!("{} {number}", dimension.name()),
            Held::Address(address) => format!("{} {}", dimension.name(), address_text(address)),
            Held::Text(text) => format!("{} {text:?}", dimension.name()),
            Held::Boolean(_) | Held::Null => dimension.name().to_owned(),
        })
        .collect();
    let side = |said: Option<flow_sinks::Said>| match said {
        Some((sums, version)) => format!(
            "{} bytes ({} scaled) {} flows (tables {version})",
            sums.bytes, sums.scaled_bytes, sums.flows
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
