//! Flags of `replay` and `verify`.

use std::path::PathBuf;

use clap::Args;

use crate::units::When;

/// What is computed again.
#[derive(Debug, Args)]
pub(crate) struct Range {
    /// Where the checkpoints of the job are: a directory, or s3://BUCKET/PREFIX; the job may hold it meanwhile.
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) state: PathBuf,
    /// Topic that the job reads.
    #[arg(long, value_name = "URL")]
    pub(crate) topic: String,
    /// Store to compare with, may be repeated: sqlite:///FILE, postgres://… or clickhouse://….
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) sink: Vec<String>,
    /// The first slot: the one that holds this time (RFC 3339, or -2h).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = crate::units::when)]
    pub(crate) from: When,
    /// Slots that start before this time (RFC 3339, or -2h).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = crate::units::when)]
    pub(crate) to: When,
    /// Worker threads.
    #[arg(long, short = 'w', value_name = "N", default_value = "1", value_parser = crate::run::workers)]
    pub(crate) workers: usize,
    /// Directory for what is computed, emptied at the end; default: that for temporary files.
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}

/// `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// What is computed again.
    #[command(flatten)]
    pub(crate) range: Range,
}

/// `replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// What is computed again.
    #[command(flatten)]
    pub(crate) range: Range,
    /// Count what counted for the job; else every plausible flow of the slots counts, also one that came too early or too late.
    #[arg(long)]
    pub(crate) as_recorded: bool,
    /// Version of the tables to compute all slots with; else each slot's own.
    #[arg(long, value_name = "VERSION", conflicts_with = "table")]
    pub(crate) tables: Option<u32>,
    /// Compute with tables that no job has yet, asn=FILE or country=FILE (CSV ranges or prefixes), to see what they would change; may be repeated.
    #[arg(long, value_name = "KIND=FILE", value_parser = crate::run::table, conflicts_with = "apply")]
    pub(crate) table: Vec<(flow_tables::Kind, PathBuf)>,
    /// Wait until every slot of the range has retired, and every store has it.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Put what was computed in the place of what the store has, slot by slot; only slots that are final.
    #[arg(long)]
    pub(crate) apply: bool,
    /// One JSON object a slot and rollup instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// How many of a slot's rows that differ are shown, those first that differ by most bytes.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) largest: usize,
}
