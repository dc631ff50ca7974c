//! Flags of `replay` and `verify`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use flow_proto::{Rollup, Rollups};

use super::{Cluster, Tables};
use crate::failure::{Exit, Failure};
use crate::units::When;

/// What is computed again, and how.
#[derive(Debug, Args)]
pub(crate) struct Range {
    /// The first slot: the one that holds this time (RFC 3339, or -2h).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = crate::units::when)]
    pub(crate) from: Option<When>,
    /// Slots that start before this time (RFC 3339, or -2h).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = crate::units::when)]
    pub(crate) to: Option<When>,
    /// Rollup to compare, by the name of its table, may be repeated; default: all.
    #[arg(long, value_name = "NAME")]
    pub(crate) rollup: Vec<String>,
    /// Go on where retention has deleted what a slot needs: `replay` marks such slots as partial, `verify` leaves them aside.
    #[arg(long)]
    pub(crate) partial: bool,
    /// Read no more bytes a second of the topic than this, of all partitions and processes together: 20MB, 512KiB.
    #[arg(long, value_name = "SIZE", value_parser = throttle)]
    pub(crate) throttle: Option<u64>,
    /// Worker threads of each process.
    #[arg(long, short = 'w', value_name = "N", default_value = "1", value_parser = crate::run::workers)]
    pub(crate) workers: usize,
    /// Raw flows, too: the stores have to hold them.
    #[arg(long, conflicts_with = "partial")]
    pub(crate) raw: bool,
    /// Directory for what is computed, emptied at the end, the same for all processes; default: that for temporary files.
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
    /// The processes that compute.
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

impl Range {
    /// The rollups that are compared, of those that there are.
    ///
    /// # Errors
    /// A name that is none of theirs.
    pub(crate) fn rollups(&self, all: Rollups) -> Result<Vec<Rollup>, Failure> {
        if self.rollup.is_empty() {
            return Ok(all.iter().collect());
        }
        let named = |name: &String| {
            all.named(name).ok_or_else(|| {
                let tables: Vec<&str> = all.iter().map(Rollup::table).collect();
                let what = format!("--rollup {name}: there are: {}", tables.join(", "));
                Failure::new(Exit::Usage, what)
            })
        };
        self.rollup.iter().map(named).collect()
    }
}

/// `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Where the checkpoints of the job are: a directory, or s3://BUCKET/PREFIX; the job may hold it meanwhile.
    #[arg(long, value_name = "DIR|URL", required_unless_present = "against")]
    pub(crate) state: Option<PathBuf>,
    /// Topic that the job reads.
    #[arg(long, value_name = "URL", required_unless_present = "against")]
    pub(crate) topic: Option<String>,
    /// Store to compare, may be repeated: sqlite:///FILE, postgres://… or clickhouse://….
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) sink: Vec<String>,
    /// Compare with what this store holds, and compute nothing: needs neither state nor topic.
    #[arg(long, value_name = "URL", conflicts_with_all = ["state", "topic", "partial", "throttle", "processes", "raw"])]
    pub(crate) against: Option<String>,
    /// What is computed again.
    #[command(flatten)]
    pub(crate) range: Range,
}

/// `replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Where the checkpoints of the job are: a directory, or s3://BUCKET/PREFIX; the job may hold it meanwhile.
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) state: PathBuf,
    /// Topic that the job reads.
    #[arg(long, value_name = "URL")]
    pub(crate) topic: String,
    /// Store that the job writes, to compare with, may be repeated: sqlite:///FILE, postgres://… or clickhouse://….
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) sink: Vec<String>,
    /// What is computed again.
    #[command(flatten)]
    pub(crate) range: Range,
    /// Only slots that are partial, lack a partition, or have refused flows, as `status --troubled` lists them; all there are, or
    /// those between --from and --to.
    #[arg(long)]
    pub(crate) repair: bool,
    /// The slots that `tables swap --from` has queued, with the tables that it has named; those that are not final yet stay queued.
    #[arg(long, conflicts_with_all = ["repair", "tables", "table", "sampling_rate", "into"])]
    pub(crate) queued: bool,
    /// Count what counted for the job; else every plausible flow of the slots counts, also one that came too early or too late.
    #[arg(long)]
    pub(crate) as_recorded: bool,
    /// Version of the tables to compute all slots with; else each slot's own.
    #[arg(long, value_name = "VERSION", conflicts_with = "table")]
    pub(crate) tables: Option<u32>,
    /// Tables that no job has yet, to see what they would change.
    #[command(flatten)]
    pub(crate) given: Tables,
    /// Take this sampling rate for all flows of an exporter, whatever it has sent; may be repeated.
    #[arg(long, value_name = "EXPORTER=RATE", value_parser = sampling_rate, conflicts_with = "raw")]
    pub(crate) sampling_rate: Vec<(IpAddr, u64)>,
    /// Wait until every slot of the range has retired, and every store has it.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Put what was computed in the place of what the store has, slot by slot; only slots that are final.
    #[arg(long)]
    pub(crate) apply: bool,
    /// Compare with another store than the job's, and apply to it: one that no job writes. Its tables are made if it has none.
    #[arg(long, value_name = "URL", requires = "apply", conflicts_with = "raw")]
    pub(crate) into: Option<String>,
    /// One JSON object a slot and rollup instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// How many of a slot's rows that differ are shown, those first that differ by most bytes.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) largest: usize,
}

fn throttle(text: &str) -> Result<u64, String> {
    match crate::units::size_bytes(text).map(u64::try_from)? {
        Ok(bytes) if bytes > 0 => Ok(bytes),
        _ => Err("give at least one byte a second".to_owned()),
    }
}

fn sampling_rate(text: &str) -> Result<(IpAddr, u64), String> {
    let wrong = || "give EXPORTER=RATE, as 192.0.2.1=1000".to_owned();
    let (exporter, rate) = text.split_once('=').ok_or_else(wrong)?;
    let exporter = exporter.parse().map_err(|_| wrong())?;
    match rate.parse() {
        Ok(rate @ 1..=0xffff_ffff) => Ok((exporter, rate)),
        _ => Err(wrong()),
    }
}
