//! Tables for enrichment, from wherever `--table` names them.
//!
//! Law 9: a bad row is kept out, counted and told; it ends nothing.

use std::io;

use flow_dataflow::learn_texts;
use flow_objects::FetchError;
use flow_tables::{Fetched, LoadReport, TableSet, is_passed_over};

use crate::cli;
use crate::failure::{Exit, Failure};

/// Loads a job's tables; rows that were kept out are told.
///
/// # Errors
/// If a source can't be read, or is refused.
pub(crate) fn load(given: &cli::Tables) -> Result<(TableSet, LoadReport), Failure> {
    let (mut set, report) = TableSet::load(&given.table, &fetch)?;
    set.asn_order = given.order();
    learn_texts(&set).map_err(|clash| Failure::new(Exit::Config, format!("--table: {clash}")))?;
    tell(&report);
    Ok((set, report))
}

fn tell(report: &LoadReport) {
    for table in &report.tables {
        tracing::info!(
            table = %table.name, kind = %table.kind, rows = table.rows, bad = table.bad_rows, odd = table.odd_rows,
            contradictions = table.contradictions, overlaps = table.overlaps, "table loaded"
        );
        for row in &table.bad {
            tracing::warn!(table = %table.name, row = %row, "row kept out");
        }
    }
}

/// What is no file stands in an object store.
pub(crate) fn fetch(url: &str, limit_bytes: u64) -> io::Result<Fetched> {
    let wanted = |name: &str| !is_passed_over(name);
    match flow_objects::fetch(url, limit_bytes, &wanted) {
        Ok((name, bytes)) => Ok(Fetched { name, bytes }),
        Err(FetchError::Store(error)) => Err(error),
        Err(FetchError::Place(error)) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_keep_their_codes() {
        let table = vec!["asn=/nowhere.csv".parse().expect("a source")];
        let asn_order = Vec::new();
        let failure = load(&cli::Tables { table, asn_order }).expect_err("none");
        assert_eq!(failure.parts().0, Exit::Config);
    }
}
