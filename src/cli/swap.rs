//! Flags of `tables swap` and `tables list`, and those that say which tables a swap may bring.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Tables;
use crate::tables::pin::Pin;
use crate::units::When;

/// What is plausible of new tables. `--force` of whoever asks overrides all of it but the errors of a source.
#[derive(Clone, Debug, Args)]
pub(crate) struct Plausible {
    /// Refuse a table whose number of ranges differs from that of the one in force by more than this many per cent.
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) max_range_change: u16,
    /// Refuse a table that maps more than this many per cent of the addresses of a family to another value.
    #[arg(long, value_name = "PERCENT", default_value = "20", value_parser = clap::value_parser!(u16).range(0..=100))]
    pub(crate) max_address_change: u16,
    /// A look-up that has to hold in new tables, as asn:192.0.2.1=AS64500 or country:2001:db8::1=NL; may be repeated.
    #[arg(long, value_name = "KIND:IP=VALUE")]
    pub(crate) pin: Vec<Pin>,
}

/// `tables swap`.
#[derive(Debug, Args)]
pub(crate) struct TablesSwap {
    /// Where the job's checkpoints are: a directory, or s3://BUCKET/PREFIX; the job holds it meanwhile.
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) state: PathBuf,
    /// New tables; those of kinds that are not named stay as they are in force.
    #[command(flatten)]
    pub(crate) tables: Tables,
    /// What is plausible.
    #[command(flatten)]
    pub(crate) plausible: Plausible,
    /// Swap even if it is not plausible. A source that can't be read or has too many bad rows is refused all the same.
    #[arg(long)]
    pub(crate) force: bool,
    /// Slots from the one that holds this time on (RFC 3339, or -2h) are to have the tables, too: they are queued for `replay
    /// --queued --apply`.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = crate::units::when)]
    pub(crate) from: Option<When>,
    /// Only check, and say what would change.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How long to wait for the job to take it up.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = crate::units::duration)]
    pub(crate) timeout: Duration,
    /// One JSON object instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tables list`.
#[derive(Debug, Args)]
pub(crate) struct TablesList {
    /// Where the job's checkpoints are: a directory, or s3://BUCKET/PREFIX; the job may hold it meanwhile.
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) state: PathBuf,
    /// At most so many versions, the newest.
    #[arg(long, value_name = "N", default_value = "24", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) newest: u32,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a running job is told to load its tables again.
#[derive(Clone, Debug, Args)]
pub(crate) struct Reload {
    /// Look that often whether the files of --table have changed, and swap them in; SIGHUP does so at once, with or without.
    #[arg(long, value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) watch_tables: Option<Duration>,
    /// File with the token that requests to change something over --http have to bear; without it they are refused.
    #[arg(long, value_name = "FILE", requires = "http")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// What is plausible.
    #[command(flatten)]
    pub(crate) plausible: Plausible,
}
