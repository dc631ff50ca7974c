//! Enrichment tables on the command line, and in a job that runs.
//!
//! Law 3: which tables are in force for a slot stands in the job's checkpoints alone; everything here asks, and looks.

mod answer;
mod ask;
mod check;
mod compared;
mod diff;
pub(crate) mod list;
mod load;
mod lookup;
pub(crate) mod metrics;
mod past;
pub(crate) mod pin;
mod plausible;
pub(crate) mod reload;
mod start;
mod swap;
mod traffic;
mod watch;

use std::io;
use std::path::Path;

use flow_state::{StateStore, TableVersion};
use flow_tables::TableSet;

pub(crate) use load::{fetch, load};
pub(crate) use start::at_start;

use crate::failure::{Exit, Failure};
use crate::{cli, job_status};

/// `tables`.
pub(crate) fn run(command: &cli::TablesCommand) -> Result<(), Failure> {
    let out = &mut io::stdout().lock();
    match command {
        cli::TablesCommand::Check(options) => check::run(options, out),
        cli::TablesCommand::Lookup(options) => lookup::run(options, out),
        cli::TablesCommand::Diff(options) => diff::run(options, out),
        cli::TablesCommand::Swap(options) => swap::run(options, out),
        cli::TablesCommand::List(options) => list::run(options, out),
    }
}

/// The table versions of a job, ascending.
pub(crate) fn versions(state: &Path) -> Result<(StateStore, Vec<TableVersion>), Failure> {
    let (state, checkpoint) = job_status::newest(state)?;
    let versions = checkpoint.timeline.versions;
    let mut versions: Vec<TableVersion> =
        versions.into_iter().map(|(_, version)| version).collect();
    versions.sort_by_key(|version| version.number);
    versions.dedup_by_key(|version| version.number);
    Ok((state, versions))
}

/// One of them, loaded.
pub(crate) fn version(
    (state, versions): &(StateStore, Vec<TableVersion>),
    number: Option<u32>,
) -> Result<(u32, TableSet), Failure> {
    let found = match number {
        Some(number) => versions.iter().find(|version| version.number == number),
        None => versions.last(),
    };
    let found = found.ok_or_else(|| {
        let numbers: Vec<String> = versions.iter().map(|v| v.number.to_string()).collect();
        let asked = number.map_or_else(String::new, |number| format!(" {number}"));
        let what = format!(
            "the job has no table version{asked}; there are: {}",
            if numbers.is_empty() {
                "none".to_owned()
            } else {
                numbers.join(", ")
            }
        );
        Failure::new(Exit::Config, what)
    })?;
    Ok((found.number, ask::load(state, found)?))
}
