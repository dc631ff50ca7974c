//! Flags of a job of several processes.

use std::path::PathBuf;

use clap::Args;

/// Which of the job's processes this one is, and how it finds the others. Every process gets the same flags, but for
/// `--process`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Cluster {
    /// Processes of the job; any number may follow any other on the same state.
    #[arg(long, short = 'n', value_name = "N", default_value = "1", value_parser = processes)]
    pub(crate) processes: usize,
    /// Number of this process, from 0 on; 0 puts the checkpoints and writes the rows.
    #[arg(long, short = 'p', value_name = "I", default_value = "0")]
    pub(crate) process: usize,
    /// File with one HOST:PORT a line, in the order of the processes: where each listens while the job starts.
    #[arg(long, value_name = "FILE")]
    pub(crate) hosts: Option<PathBuf>,
    /// File with a secret of 16 bytes or more by which the processes know each other.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

fn processes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=64) => Ok(n),
        _ => Err("give 1 to 64".to_owned()),
    }
}
