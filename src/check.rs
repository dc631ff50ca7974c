//! `check`: whether a configuration would start, without starting it.
//!
//! For the hand that edits a configuration, and for a supervisor before it starts the service. Law: it refuses what
//! the command would refuse, by the same functions, and changes nothing.

mod cluster;
mod commands;
pub(crate) mod finding;
pub(crate) mod flags;
pub(crate) mod reach;
pub(crate) mod stores;

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::cli::{self, Cli};
use crate::failure::{Exit, Failure};
use crate::settings;

/// Commands that a configuration is made for.
const CHECKED: [&str; 3] = ["collect", "mock", "run"];

/// The exit codes of several errors, in the order in which one is chosen: what somebody has to change or to repair comes
/// before what may pass by itself, so that a supervisor that starts again at the latter does not do so in vain.
const WORST: [Exit; 6] = [
    Exit::Usage,
    Exit::Config,
    Exit::Bug,
    Exit::Io,
    Exit::Taken,
    Exit::Unavailable,
];

/// Checks the command given, or each that the configuration has settings for.
pub(crate) fn run(options: &cli::Check, config: Option<&Path>) -> Result<(), Failure> {
    let mut commands: Vec<Vec<OsString>> = Vec::new();
    if options.command.is_empty() {
        let sections = settings::sections::<Cli>(config, std::env::vars_os())?;
        let known = sections
            .into_iter()
            .filter(|s| CHECKED.contains(&s.as_str()));
        commands.extend(known.map(|section| vec![section.into()]));
    } else {
        commands.push(options.command.clone());
    }
    if commands.is_empty() {
        let what = "nothing to check: no settings of collect, mock or run";
        return Err(Failure::new(Exit::Usage, what)
            .hint("name the file with --config, or give a command: check run --topic URL …"));
    }
    let out = &mut io::stdout().lock();
    let mut exits = Vec::new();
    for command in &commands {
        let name = command
            .first()
            .map(|name| name.to_string_lossy().into_owned());
        let mut found = commands::findings(command, config, options.connect);
        if options.command.is_empty() {
            found.blame_configuration();
        }
        found.print(&name.unwrap_or_default(), out)?;
        exits.extend(found.exits());
    }
    let exit = WORST.iter().find(|exit| exits.contains(exit));
    match exit.or(exits.first()) {
        None => Ok(()),
        Some(exit) => Err(Failure::new(*exit, format!("errors: {}", exits.len()))),
    }
}
