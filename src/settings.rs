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
pub(crate) mod nearest;
mod refuse;
mod variables;

use std::ffi::OsString;
use std::path::Path;

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

/// The commands that the file or the environment has settings for, in the order of `--help`; without those inside others.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn sections<C: CommandFactory>(
    config: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<String>, Failure> {
    let variables = variables::variables(environment);
    let path = config
        .map(Path::to_owned)
        .or_else(|| variables::config_path(&[], &variables));
    let given = path.map_or_else(|| Ok(Vec::new()), |path| file::read(&path))?;
    let command = C::command();
    let mut all = Vec::new();
    for (name, value) in variables.iter().filter(variables::is_setting) {
        all.extend(variables::from_variable(&command, name, value)?.section);
    }
    all.extend(given.into_iter().filter_map(|setting| setting.section));
    let names = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned());
    Ok(names.filter(|name| all.contains(name)).collect())
}

/// The command line's definition with the environment's names in its help.
pub(crate) fn described<C: CommandFactory>() -> Command {
    names::describe(C::command())
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
    Ok(names::change(
        command,
        setting.section.as_deref(),
        &id,
        default,
    ))
}

#[cfg(test)]
mod tests;
