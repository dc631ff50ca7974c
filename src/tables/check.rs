//! `tables check`: what a load finds in each source, and what the tables of each kind cover.
//!
//! Law 7: every row is counted as taken, kept out or odd, and the first of each are named by line.

use std::io::{self, Write};

use flow_tables::{BadRow, Gaps, TableReport, TableSet};
use serde_json::{Value, json};

use crate::cli;
use crate::failure::{Exit, Failure};

/// /8s that are named for their gaps.
const NAMED_BLOCKS: usize = 8;

/// Prints it.
pub(super) fn run(options: &cli::TablesCheck, out: &mut impl Write) -> Result<(), Failure> {
    let (set, report) = TableSet::load(&options.table, &super::fetch)?;
    match options.json {
        true => as_json(&set, &report.tables, out)?,
        false => as_table(&set, &report.tables, out)?,
    }
    let bad: u64 = report.tables.iter().map(|table| table.bad_rows).sum();
    if bad == 0 {
        return Ok(());
    }
    let what = format!("{bad} rows were kept out, as run would keep them out");
    Err(Failure::new(Exit::Different, what))
}

fn as_table(set: &TableSet, reports: &[TableReport], out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<12} {:>9} {:>6} {:>6} {:>13} {:>9} {:>8} {:>8}  source",
        "table", "rows", "bad", "odd", "contradicting", "nested", "overlaps", "values"
    )?;
    for report in reports {
        writeln!(
            out,
            "{:<12} {:>9} {:>6} {:>6} {:>13} {:>9} {:>8} {:>8}  {}",
            report.kind.to_string(),
            report.rows,
            report.bad_rows,
            report.odd_rows,
            report.contradictions,
            report.nested,
            report.overlaps,
            report.distinct_values,
            report.name
        )?;
        for (sort, rows) in [("bad", &report.bad), ("odd", &report.odd)] {
            for row in rows {
                writeln!(out, "  {sort}: {row}")?;
            }
        }
    }
    for kind in set.kinds() {
        let Some(table) = set.table(&kind) else {
            continue;
        };
        let gaps = Gaps::of(table);
        writeln!(out, "\n{kind}: {} ranges", table.range_count())?;
        writeln!(
            out,
            "  without a value: {:.2} % of the routable IPv4 addresses, {:.2} % of 2000::/3",
            gaps.v4_share * 100.0,
            gaps.v6_share * 100.0
        )?;
        let blocks = gaps.v4_blocks.iter().take(NAMED_BLOCKS);
        let blocks: Vec<String> = blocks
            .map(|(block, share)| format!("{block}.0.0.0/8 ({:.0} %)", share * 100.0))
            .collect();
        if !blocks.is_empty() {
            writeln!(out, "  most of them in: {}", blocks.join(", "))?;
        }
    }
    Ok(())
}

fn as_json(set: &TableSet, reports: &[TableReport], out: &mut impl Write) -> io::Result<()> {
    let rows = |rows: &[BadRow]| -> Vec<Value> {
        let row = |row: &BadRow| json!({ "line": row.line, "reason": row.reason });
        rows.iter().map(row).collect()
    };
    for report in reports {
        let line = json!({
            "source": report.name, "table": report.kind.to_string(), "rows": report.rows,
            "bad_rows": report.bad_rows, "bad": rows(&report.bad),
            "odd_rows": report.odd_rows, "odd": rows(&report.odd),
            "contradictions": report.contradictions, "nested": report.nested, "overlaps": report.overlaps,
            "distinct_values": report.distinct_values, "v4_addresses": report.v4_addresses,
            // Beyond what readers of JSON hold in a number.
            "v6_addresses": report.v6_addresses.to_string(),
        });
        writeln!(out, "{line}")?;
    }
    for kind in set.kinds() {
        let Some(table) = set.table(&kind) else {
            continue;
        };
        let gaps = Gaps::of(table);
        let blocks = gaps.v4_blocks.iter();
        let blocks = blocks
            .map(|(block, share)| json!({ "block": format!("{block}.0.0.0/8"), "share": share }));
        let line = json!({
            "table": kind.to_string(), "ranges": table.range_count(), "v4_gap_share": gaps.v4_share,
            "v6_gap_share": gaps.v6_share, "v4_gaps": blocks.collect::<Vec<_>>(),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
