//! Flags of `status`.

use std::path::PathBuf;

use clap::Args;

use crate::units::When;

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Where a job's checkpoints are: a directory, or s3://BUCKET/PREFIX; the job may hold it meanwhile.
    #[arg(long, value_name = "DIR|URL", required_unless_present = "sink")]
    pub(crate) state: Option<PathBuf>,
    /// Topic that the job reads, to say how many records it has not read yet.
    #[arg(long, value_name = "URL", requires = "state")]
    pub(crate) topic: Option<String>,
    /// Store whose table slots is shown: sqlite:///FILE, postgres://… or clickhouse://….
    #[arg(long, value_name = "URL")]
    pub(crate) sink: Option<String>,
    /// At most so many slots, the newest.
    #[arg(long, value_name = "N", default_value = "24", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) newest: u32,
    /// Slots that start at this time or later (RFC 3339, or -2h).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = crate::units::when)]
    pub(crate) from: Option<When>,
    /// Slots that start before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = crate::units::when)]
    pub(crate) to: Option<When>,
    /// Only slots that are partial, lack a partition, or have too early or too late flows: those of `replay --repair`.
    #[arg(long)]
    pub(crate) troubled: bool,
    /// One JSON object instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}
