//! `completions` and `man`: made from the command line's definition.
//!
//! Law: they name every command and flag that there is, and none that is not.

use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::failure::{Exit, Failure};
use crate::settings;

/// Prints a completion script.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut command = definition();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "flow-pipeline", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

/// Prints the manual's first page, or writes all of them into a directory.
pub(crate) fn pages(directory: Option<&Path>) -> Result<(), Failure> {
    let mut command = definition();
    command.build();
    let Some(directory) = directory else {
        return Ok(io::stdout().write_all(&page(&command)?)?);
    };
    let cannot = |error: io::Error| {
        Failure::new(Exit::Io, format!("{}: {error}", directory.display()))
            .hint("--directory names a directory that can be written")
    };
    std::fs::create_dir_all(directory).map_err(cannot)?;
    write(&command, directory).map_err(cannot)
}

/// The page of a command and those of the commands in it.
fn write(command: &Command, directory: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or("flow-pipeline");
    std::fs::write(directory.join(format!("{name}.1")), page(command)?)?;
    let mut listed = command.get_subcommands().filter(|c| c.get_name() != "help");
    listed.try_for_each(|inner| write(inner, directory))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    // The name of a page: `flow-pipeline-run`, not `run`.
    let named = match command.get_display_name() {
        Some(name) => command.clone().name(name.to_owned()),
        None => command.clone(),
    };
    Man::new(named).render(&mut page)?;
    Ok(page)
}

fn definition() -> Command {
    settings::described::<Cli>()
}
