//! How a swap is asked for: archive the tables, leave a description, put the request; and what becomes of it.
//!
//! Law 3: nothing is in force before a checkpoint says so, whoever asks.

use flow_state::{Checkpoint, StateStore, SwapRequest, TableVersion, table_hash};
use flow_tables::{LoadReport, TableReport, TableSet};
use serde_json::{Value, json};

use crate::clock;
use crate::failure::Failure;
use crate::running::random;

/// Who asks, and for what.
pub(crate) struct Wanted<'a> {
    pub(crate) set: &'a TableSet,
    /// Rows and sources, for people.
    pub(crate) report: &'a LoadReport,
    /// The tables that they were made from.
    pub(crate) base: Option<&'a TableVersion>,
    /// Hash and archive of what the job's own configuration names, if they come from there.
    pub(crate) given: Option<(&'a str, &'a [u8])>,
    /// `command`, `SIGHUP`, `file` or `http`.
    pub(crate) by: &'a str,
    /// Slots of the past from this one on are to have them, too.
    pub(crate) from_secs: Option<u64>,
}

/// Asks for it; the number of the request.
pub(crate) fn ask(
    state: &StateStore,
    newest: Option<&Checkpoint>,
    wanted: &Wanted<'_>,
) -> Result<u64, Failure> {
    let archive = wanted.set.archive();
    let hash = table_hash(&archive);
    state.archive_table(&hash, &archive)?;
    if let Some((hash, archive)) = wanted.given {
        state.archive_table(hash, archive)?;
    }
    let kept = wanted.base.map(|base| state.table_description(&base.hash));
    let kept = kept.transpose()?.flatten();
    describe(state, &hash, (wanted.report, kept.as_deref()), wanted.by)?;
    let request = SwapRequest {
        number: 0, // it gets one
        hash,
        base: wanted.base.map(|base| base.hash.clone()),
        given: wanted.given.map(|(hash, _)| hash.to_owned()),
        asked_secs: clock::now_ns() / 1_000_000_000,
        by: wanted.by.to_owned(),
        from_secs: wanted.from_secs,
    };
    Ok(state.ask_swap(
        &request,
        newest.map_or(0, |newest| newest.swaps.decided),
        random(),
    )?)
}

/// Leaves beside archived tables what they came from: new sources, and of the description of those that they replace in
/// part, the sources of other kinds.
pub(crate) fn describe(
    state: &StateStore,
    hash: &str,
    (report, replaced): (&LoadReport, Option<&str>),
    by: &str,
) -> Result<(), Failure> {
    let replaced: Option<Value> = replaced.and_then(|text| serde_json::from_str(text).ok());
    let is_new = |source: &Value| {
        let kind = |table: &TableReport| source["kind"] == table.kind.to_string();
        report.tables.iter().any(kind)
    };
    let kept = replaced
        .iter()
        .filter_map(|about| about["sources"].as_array());
    let kept = kept.flatten().filter(|source| !is_new(source)).cloned();
    let sources = report.tables.iter().map(|table| {
        json!({ "kind": table.kind.to_string(), "source": table.name, "rows": table.rows, "bad_rows": table.bad_rows })
    });
    let about = json!({
        "archived": crate::progress::time(clock::now_ns() / 1_000_000_000),
        "by": by, "sources": sources.chain(kept).collect::<Vec<Value>>(),
    });
    Ok(state.describe_table(hash, &about.to_string())?)
}

/// The tables of a version, from the archive.
pub(crate) fn load(state: &StateStore, version: &TableVersion) -> Result<TableSet, Failure> {
    Ok(TableSet::from_archive(&state.read_table(&version.hash)?)?)
}

/// The newest version of a checkpoint's timeline.
pub(crate) fn in_force(checkpoint: &Checkpoint) -> Option<&(u64, TableVersion)> {
    checkpoint.timeline.versions.last()
}
