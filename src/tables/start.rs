//! The tables of a start: what `--table` names, if it has changed since the job was given it last, and is plausible.
//!
//! Law 3: a start puts no version in place of one that stands, only after it; and a swap since then stands where the sources that the
//! configuration names have not changed.

use std::sync::Arc;

use flow_dataflow::TableShelf;
use flow_state::{Checkpoint, StateError, StateStore, table_hash};
use flow_tables::{LoadReport, TableSet};

use super::ask::{self, describe, in_force};
use super::plausible;
use crate::cli;
use crate::failure::Failure;

/// What a job begins with, or goes on with.
///
/// # Errors
/// If the state can't be read.
pub(crate) fn at_start(
    options: &cli::Run,
    state: &StateStore,
    (files, report): (TableSet, &LoadReport),
) -> Result<TableShelf, Failure> {
    let archive = files.archive();
    let named = table_hash(&archive);
    let newest = state.newest()?;
    let standing = newest
        .as_ref()
        .and_then(|newest| Some((newest, in_force(newest)?)));
    let as_named = |files| {
        let shelf = TableShelf::with_hash(state.clone(), Arc::new(files), named.clone());
        described(state, shelf, report)
    };
    let Some((newest, (_, version))) = standing else {
        return as_named(files);
    };
    let last = last_given(newest).to_owned();
    if last == named {
        return as_named(files);
    }
    state.archive_table(&named, &archive)?;
    let old = ask::load(state, version)?;
    let set = merged(state, &last, (&old, files))?;
    let changes = plausible::changes(&old, &set);
    let shelf = |set| TableShelf::new(state.clone(), Arc::new(set));
    match plausible::check(&changes, (&set, report), &options.reload.plausible) {
        Ok(()) => described(state, shelf(set).named(&named), report),
        Err(refused) => {
            let version = version.number;
            tracing::error!(
                "--table: version {version} stays in force: {}",
                refused.line()
            );
            // The same files are looked at again at the next start.
            Ok(shelf(old).named(&last))
        }
    }
}

fn described(
    state: &StateStore,
    tables: TableShelf,
    report: &LoadReport,
) -> Result<TableShelf, Failure> {
    if !report.tables.is_empty() {
        describe(state, tables.given_hash(), (report, None), "start")?;
    }
    Ok(tables)
}

/// Hash of the sources as the job was given them last: of what its configuration names. States of older releases do not
/// say; then of what is in force.
pub(super) fn last_given(newest: &Checkpoint) -> &str {
    let given = newest.swaps.given.as_deref();
    let held = || in_force(newest).map(|(_, version)| version.hash.as_str());
    given.or_else(held).unwrap_or_default()
}

/// What is in force, with what has changed in the sources since they were given last. If it is not known what they were, they
/// are all there is.
pub(super) fn merged(
    state: &StateStore,
    last: &str,
    (old, files): (&TableSet, TableSet),
) -> Result<TableSet, Failure> {
    match state.read_table(last) {
        Ok(bytes) => Ok(old
            .clone()
            .with_changes(&TableSet::from_archive(&bytes)?, files)),
        Err(StateError::Missing { .. } | StateError::Damaged { .. }) => Ok(files),
        Err(error) => Err(error.into()),
    }
}
