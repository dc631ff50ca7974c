//! Flag, environment, file, default: one value per setting, in that order of precedence.
//!
//! Names are derived from the command line's definition: `--topic` of `run` is `FLOW_PIPELINE_RUN__TOPIC` in the
//! environment and `topic` in the file's section `run`; `--log` is `FLOW_PIPELINE_LOG` and a key at the top. A value
//! from the environment or the file becomes the flag's default before the command line is read, so that it is
//! parsed, checked and shown as the flag is.
//!
//! Laws: nothing is written twice. A name or value that means nothing is refused with its place and the nearest
//! name, whichever command runs. Values from the environment or the file (they may hold secrets) are not printed.

mod file;
mod names;
mod nearest;
mod refuse;
mod variables;

use std::ffi::OsString;

use clap::{Arg, Command, CommandFactory, FromArgMatches};

use crate::failure::Failure;
use file::Setting;

/// Reads the command line with the environment and the file behind it.
///
/// # Errors
/// Usage, or configuration; `--help` and `--version` are printed and end in `Exit::Success`.
pub(crate) fn parse<C: CommandFactory + FromArgMatches>(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<C, Failure> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut given: Vec<Setting> = Vec::new();
    let variables = variables::variables(environment);
    if let Some(path) = variables::config_path(&arguments, &variables) {
        given = file::read(&path)?;
    }
    let mut command = names::describe(C::command());
    for setting in given
        .iter()
        .map(Ok)
        .chain(variables.iter().filter(variables::is_setting).map(Err))
    {
        command = match setting {
            Ok(from_file) => apply(command, from_file)?,
            Err((name, value)) => {
                let setting = variables::from_variable(&command, name, value)?;
                apply(command, &setting)?
            }
        };
    }
    let matches = command
        .try_get_matches_from(arguments)
        .map_err(|error| refuse::usage(&error))?;
    C::from_arg_matches(&matches).map_err(|error| refuse::usage(&error))
}

/// Makes the setting its flag's default; refuses names that no flag has, and values that the flag would refuse.
fn apply(command: Command, setting: &Setting) -> Result<Command, Failure> {
    let all = names::keys(&command);
    let found = all.iter().find(|(section, arg)| {
        *section == setting.section && arg.get_long() == Some(setting.key.as_str())
    });
    let Some((_, arg)) = found else {
        return Err(refuse::unknown_key(&all, setting));
    };
    refuse::check(arg, setting)?;
    let id = arg.get_id().clone();
    let default = |arg: Arg| {
        arg.required(false)
            .default_values(setting.values.clone())
            .hide_default_value(true)
    };
    Ok(match &setting.section {
        None => command.mut_arg(id, default),
        Some(section) => command.mut_subcommand(section, |sub| sub.mut_arg(id, default)),
    })
}

#[cfg(test)]
mod tests;
