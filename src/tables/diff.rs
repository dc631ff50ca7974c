//! `tables diff`: where two tables, or two versions of a job's tables, differ.
//!
//! Law: it compares what addresses map to; how a publisher cuts its rows is no difference.

use std::io::Write;

use flow_tables::{Change, TableSet};
use serde_json::json;

use super::compared::{Compared, kinds};
use super::traffic;
use crate::cli;
use crate::failure::{Exit, Failure};

/// Prints it.
pub(super) fn run(options: &cli::TablesDiff, out: &mut impl Write) -> Result<(), Failure> {
    let (before, after) = match &options.state {
        Some(state) => {
            let versions = super::versions(state)?;
            let load = |text: &str| match text.parse() {
                Ok(number) => super::version(&versions, Some(number)).map(|(_, set)| set),
                Err(_) => {
                    let what = format!("{text:?}: with --state give the numbers of two versions");
                    Err(Failure::new(Exit::Usage, what))
                }
            };
            (load(&options.before)?, load(&options.after)?)
        }
        None => (source(&options.before)?, source(&options.after)?),
    };
    let kinds = kinds(&before, &after);
    if kinds.is_empty() {
        let what = "there is no table of addresses in either; names are not compared";
        return Err(Failure::new(Exit::Config, what));
    }
    let compared = kinds
        .iter()
        .map(|kind| Compared::new(kind, &before, &after));
    let compared: Vec<Compared<'_>> = compared.collect();
    for found in &compared {
        for is_v4 in [true, false] {
            found.family(is_v4, options, out)?;
        }
    }
    if let Some(topic) = &options.topic {
        traffic::run((topic, options.from), &compared, (options, out))?;
    }
    match compared.iter().map(|found| found.changes.len()).sum() {
        0 => Ok(()),
        n @ 1_usize.. => Err(Failure::new(Exit::Different, format!("{n} ranges differ"))),
    }
}

fn source(text: &str) -> Result<TableSet, Failure> {
    let wrong = |what| Failure::new(Exit::Usage, format!("{text:?}: {what}"));
    let spec = cli::table_source(text).map_err(wrong)?;
    Ok(TableSet::load(&[spec], &super::fetch)?.0)
}

impl Compared<'_> {
    fn family(
        &self,
        is_v4: bool,
        options: &cli::TablesDiff,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let mut found = self.of_family(is_v4);
        let count = |of: fn(&Change) -> bool| found.iter().filter(|change| of(change)).count();
        let added = count(|change| change.before == 0);
        let removed = count(|change| change.after == 0);
        let changed = found.len() - added - removed;
        let share = self.share(is_v4);
        let family = if is_v4 { "IPv4" } else { "IPv6" };
        if options.json {
            let line = json!({
                "table": self.kind.to_string(), "family": family, "added_ranges": added,
                "removed_ranges": removed, "changed_ranges": changed, "share": share,
            });
            writeln!(out, "{line}")?;
        } else {
            writeln!(
                out,
                "{} {family}: {added} ranges added, {removed} removed, {changed} changed; {:.3} % of the addresses that have a value",
                self.kind,
                share * 100.0
            )?;
        }
        found.sort_by_key(|change| (std::cmp::Reverse(change.span()), change.first));
        for change in found.into_iter().take(options.largest) {
            self.example(change, options.json, out)?;
        }
        Ok(())
    }

    fn example(&self, change: &Change, is_json: bool, out: &mut impl Write) -> Result<(), Failure> {
        let before = self.before.text(self.kind, change.before);
        let after = self.after.text(self.kind, change.after);
        let (first, last) = (change.first, change.last);
        if is_json {
            let line = json!({
                "table": self.kind.to_string(), "first": first, "last": last, "before": before, "after": after,
            });
            writeln!(out, "{line}")?;
            return Ok(());
        }
        let prefixes = flow_tables::prefixes(first, last);
        let range = match &prefixes[..] {
            [one] => one.clone(),
            _ => format!("{first}-{last}"),
        };
        writeln!(out, "  {range:<40}  {before} -> {after}")?;
        Ok(())
    }
}
