//! The command line of `check`, `completions` and `man`: of what is asked about the program, not of it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Also look at topic, state and sinks; nothing in them is changed.
    #[arg(long)]
    pub(crate) connect: bool,
    /// The command to check, with its flags, as in check run --topic URL …; default: each one the configuration has a section for.
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<OsString>,
}

/// `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// For which shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// `man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write flow-pipeline.1 and a page for each command into this directory, instead of the first to standard output.
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}
