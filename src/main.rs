//! flow-pipeline: from flow datagrams to exact 5-minute rows, in one binary.
//!
//! Wiring only: the rooms do the work, this crate reads the command line and connects them.
//! Law: the panic hook is set before anything else, since a panicking worker would leave the others hanging.

mod adopt;
mod catch_up;
mod check;
mod cli;
mod clock;
mod cluster;
mod collect;
mod decode;
mod demo;
mod demo_balance;
mod demo_data;
mod demo_status;
mod exits;
mod failure;
mod http;
mod job_status;
mod last_checkpoint;
mod manual;
mod mock;
mod opened;
mod opening;
mod panic;
mod progress;
mod raw_topic;
mod replay;
mod run;
mod running;
mod schema;
mod settings;
mod signals;
mod status;
mod tables;
mod telemetry;
mod topic;
mod units;
mod watchdog;

use std::process::ExitCode;

use cli::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    panic::install();
    match settings::parse::<Cli>(std::env::args_os(), std::env::vars_os()).and_then(dispatch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    telemetry::init(&cli.log)?;
    match cli.command {
        Command::Collect(options) => collect::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Decode(options) => Ok(decode::run(&options.files, options.format)?),
        Command::Mock(options) => mock::run(&options),
        Command::Run(options) => run::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Verify(options) => replay::verify::run(&options),
        Command::Status(options) => job_status::run(&options),
        Command::Topic(command) => topic::run(&command),
        Command::Tables(command) => tables::run(&command),
        Command::Schema(command) => schema::run(&command),
        Command::Check(options) => check::run(&options, cli.config.as_deref()),
        Command::Completions(options) => manual::completions(options.shell),
        Command::Man(options) => manual::pages(options.directory.as_deref()),
    }
}
