//! The command line: every command and flag, each defined once.
//!
//! Environment names and the keys of the configuration file are derived from these definitions (`settings`).
//! Law: what does not work yet is not here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Network-flow stream processor: sFlow, NetFlow and IPFIX to exact 5-minute rows.
#[derive(Debug, Parser)]
#[command(name = "flow-pipeline", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// YAML file with a section per command and the flags' names as keys.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// What to log to standard error: a level, or directives as warn,flow_ingest=debug.
    #[arg(long, value_name = "FILTER", global = true, default_value = "info")]
    pub(crate) log: String,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the flows in capture files; no server, no configuration.
    Decode(Decode),
}

/// `decode`.
#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// Captures (pcap, pcapng) or bare datagrams, in order; templates are kept from file to file.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub(crate) format: Format,
}

/// What `decode` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON line a flow, with goflow2's field names.
    Json,
    /// Length-delimited FlowMessages.
    Protobuf,
}
