//! Whether new tables look like the ones in force a day later, or like an accident.
//!
//! A source that was cut short, lost its families or holds another thing than before loads well and would be right by its own
//! lights; it is told by what it changes. Law: nothing is refused here that `force` does not let pass.

use flow_tables::{Kind, LoadReport, PrefixTable, TableSet};
use serde_json::{Value, json};

use super::compared::{Compared, kinds};
use crate::cli::Plausible;
use crate::failure::{Exit, Failure};

/// What one kind's table changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    /// Ranges before and after.
    pub(crate) ranges: [usize; 2],
    /// Part of the addresses with a value, before or after, whose value differs: IPv4, IPv6.
    pub(crate) addresses: [f64; 2],
}

impl Change {
    /// As an object.
    pub(crate) fn json(&self) -> Value {
        let [before, after] = self.ranges;
        let [v4, v6] = self.addresses;
        json!({ "kind": self.kind.to_string(), "ranges_before": before, "ranges": after,
                "ipv4_changed": v4, "ipv6_changed": v6 })
    }
}

/// What changes from one set to another, kind by kind; names are left out.
pub(crate) fn changes(old: &TableSet, new: &TableSet) -> Vec<Change> {
    let change = |kind: Kind| {
        let ranges = |set: &TableSet| set.table(&kind).map_or(0, PrefixTable::range_count);
        let compared = Compared::new(&kind, old, new);
        Change {
            ranges: [ranges(old), ranges(new)],
            addresses: [true, false].map(|is_v4| compared.share(is_v4)),
            kind,
        }
    };
    kinds(old, new).into_iter().map(change).collect()
}

/// As `check`; what is refused is let pass with a warning, if it is meant.
pub(crate) fn admit(
    changes: &[Change],
    found: (&TableSet, &LoadReport),
    (bounds, force): (&Plausible, bool),
) -> Result<(), Failure> {
    match check(changes, found, bounds) {
        Err(refused) if force => {
            tracing::warn!("forced: {}", refused.line());
            Ok(())
        }
        checked => checked,
    }
}

/// Refuses what is not plausible, by what it changes; nothing, for a job's first tables.
pub(crate) fn check(
    changes: &[Change],
    (new, report): (&TableSet, &LoadReport),
    bounds: &Plausible,
) -> Result<(), Failure> {
    if let Some(cut) = report.tables.iter().find(|table| table.is_cut) {
        return Err(refused(format!(
            "{}: its last line does not end: it may have been cut",
            cut.name
        )));
    }
    for pin in &bounds.pin {
        if let Some(found) = pin.broken(new) {
            return Err(refused(format!("--pin {pin}, and here it is {found}")));
        }
    }
    for change in changes {
        let [before, after] = change.ranges;
        // What was not there before has nothing to be compared with.
        if before > 0 {
            within(change, bounds)?;
        }
        if before > 0 && after == 0 {
            return Err(refused(format!("{}: nothing is left of it", change.kind)));
        }
    }
    Ok(())
}

fn within(change: &Change, bounds: &Plausible) -> Result<(), Failure> {
    let name = &change.kind;
    let [before, after] = change.ranges;
    let off = before.abs_diff(after).saturating_mul(100);
    let limit = bounds.max_range_change;
    if off > before.saturating_mul(usize::from(limit)) {
        return Err(refused(format!(
            "{name}: {after} ranges in place of {before}, which is more than {limit} % off (--max-range-change)"
        )));
    }
    let limit = bounds.max_address_change;
    for (family, part) in ["IPv4", "IPv6"].into_iter().zip(change.addresses) {
        if part * 100.0 > f64::from(limit) {
            return Err(refused(format!(
                "{name}: {:.1} % of its {family} addresses would have another value, at most {limit} % may \
                 (--max-address-change)",
                part * 100.0
            )));
        }
    }
    Ok(())
}

fn refused(what: String) -> Failure {
    Failure::new(Exit::Config, what)
        .hint("look at it with `tables diff`; if it is meant: `tables swap --force`, or POST /api/tables/reload?force=1")
}
