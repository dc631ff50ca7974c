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
mod nearest;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};

use crate::failure::{Exit, Failure};
use file::Setting;

const PREFIX: &str = "FLOW_PIPELINE_";

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
    let variables = variables(environment);
    if let Some(path) = config_path(&arguments, &variables) {
        given = file::read(&path)?;
    }
    let mut command = describe(C::command());
    for setting in given
        .iter()
        .map(Ok)
        .chain(variables.iter().filter(known_elsewhere).map(Err))
    {
        command = match setting {
            Ok(from_file) => apply(command, from_file)?,
            Err((name, value)) => {
                let setting = from_variable(&command, name, value)?;
                apply(command, &setting)?
            }
        };
    }
    let matches = command
        .try_get_matches_from(arguments)
        .map_err(|error| usage(&error))?;
    C::from_arg_matches(&matches).map_err(|error| usage(&error))
}

/// Our variables, sorted by name.
fn variables(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(String, String)> {
    let mut ours: Vec<(String, String)> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    ours.sort();
    ours
}

/// The file's own name is no setting of the file, and the tests have variables of theirs.
fn known_elsewhere((name, _): &&(String, String)) -> bool {
    !["BLESS", "CONFIG", "SHARED"].contains(&&name[PREFIX.len()..])
}

/// `--config` has to be found before the command line can be read.
fn config_path(arguments: &[OsString], variables: &[(String, String)]) -> Option<PathBuf> {
    let mut rest = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = rest.next() {
        if argument == "--config" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|a| a.strip_prefix("--config=")) {
            return Some(PathBuf::from(path));
        }
    }
    let name = format!("{PREFIX}CONFIG");
    variables
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, path)| PathBuf::from(path))
}

/// Adds each flag's environment name to its help.
fn describe(command: Command) -> Command {
    let section = None::<String>;
    let mut command = command.mut_args(|arg| with_env_help(arg, section.as_deref()));
    command = command.mut_subcommands(|sub| {
        let section = sub.get_name().to_owned();
        sub.mut_args(|arg| with_env_help(arg, Some(&section)))
    });
    command
}

fn with_env_help(arg: Arg, section: Option<&str>) -> Arg {
    if arg.get_long().is_none() || ["help", "version"].contains(&arg.get_id().as_str()) {
        return arg;
    }
    let several = if takes_list(&arg) {
        ", separated by blanks"
    } else {
        ""
    };
    let note = format!("[env: {}{several}]", variable_name(section, &arg));
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(format!("{help} {note}"))
}

fn variable_name(section: Option<&str>, arg: &Arg) -> String {
    let key = arg.get_long().unwrap_or_default();
    let name = section.map_or_else(|| key.to_owned(), |section| format!("{section}__{key}"));
    format!("{PREFIX}{}", name.replace('-', "_").to_uppercase())
}

fn takes_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Flags that have a key: (section, definition).
fn keys(command: &Command) -> Vec<(Option<String>, &Arg)> {
    let settable = |arg: &&Arg| {
        arg.get_long().is_some() && !["help", "version", "config"].contains(&arg.get_id().as_str())
    };
    let top = command
        .get_arguments()
        .filter(settable)
        .map(|arg| (None, arg));
    let inner = command.get_subcommands().flat_map(|sub| {
        let section = sub.get_name().to_owned();
        sub.get_arguments()
            .filter(settable)
            .map(move |arg| (Some(section.clone()), arg))
    });
    top.chain(inner).collect()
}

/// The setting that a variable means.
fn from_variable(command: &Command, name: &str, value: &str) -> Result<Setting, Failure> {
    let all = keys(command);
    let found = all
        .iter()
        .find(|(section, arg)| variable_name(section.as_deref(), arg) == name);
    let Some((section, arg)) = found else {
        let names: Vec<String> = all
            .iter()
            .map(|(s, a)| variable_name(s.as_deref(), a))
            .collect();
        return Err(unknown(
            &format!("environment variable {name}"),
            name,
            &names,
        ));
    };
    let values = if takes_list(arg) {
        value.split_whitespace().map(str::to_owned).collect()
    } else {
        vec![value.to_owned()]
    };
    Ok(Setting {
        section: section.clone(),
        key: arg.get_long().unwrap_or_default().to_owned(),
        values,
        place: format!("environment variable {name}"),
    })
}

/// Makes the setting its flag's default; refuses names that no flag has, and values that the flag would refuse.
fn apply(command: Command, setting: &Setting) -> Result<Command, Failure> {
    let all = keys(&command);
    let found = all.iter().find(|(section, arg)| {
        *section == setting.section && arg.get_long() == Some(setting.key.as_str())
    });
    let Some((_, arg)) = found else {
        return Err(unknown_key(&all, setting));
    };
    check(arg, setting)?;
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

fn unknown_key(all: &[(Option<String>, &Arg)], setting: &Setting) -> Failure {
    let in_section = |wanted: &Option<String>| -> Vec<String> {
        all.iter()
            .filter(|(section, _)| section == wanted)
            .map(|(_, arg)| arg.get_long().unwrap_or_default().to_owned())
            .collect()
    };
    let mut sections: Vec<String> = all
        .iter()
        .filter_map(|(section, _)| section.clone())
        .collect();
    sections.dedup();
    match &setting.section {
        Some(section) if !sections.contains(section) => {
            sections.extend(in_section(&None));
            unknown(
                &format!("{}: unknown section {section}", setting.place),
                section,
                &sections,
            )
        }
        Some(section) => unknown(
            &format!(
                "{}: unknown key {} in section {section}",
                setting.place, setting.key
            ),
            &setting.key,
            &in_section(&setting.section),
        ),
        None => {
            sections.extend(in_section(&None));
            unknown(
                &format!("{}: unknown key {}", setting.place, setting.key),
                &setting.key,
                &sections,
            )
        }
    }
}

fn unknown(what: &str, name: &str, names: &[String]) -> Failure {
    let known = names.join(", ");
    let hint = nearest::nearest(name, names).map_or_else(
        || format!("known: {known}"),
        |near| format!("the nearest is {near}"),
    );
    let what = if what.contains("unknown") {
        what.to_owned()
    } else {
        format!("{what} is unknown")
    };
    Failure::new(Exit::Config, what).hint(hint)
}

/// Parses the values as the flag would, alone, so that a wrong one is blamed on its place.
fn check(arg: &Arg, setting: &Setting) -> Result<(), Failure> {
    let refuse = |why: &str| {
        Failure::new(
            Exit::Config,
            format!("{}: {}: {why}", setting.place, setting.key),
        )
        .hint(arg.get_help().map(ToString::to_string).unwrap_or_default())
    };
    if setting.values.len() != 1 && !takes_list(arg) {
        return Err(refuse("takes one value"));
    }
    let flag = matches!(arg.get_action(), ArgAction::SetTrue);
    for value in &setting.values {
        let alone = Arg::new("value")
            .value_parser(arg.get_value_parser().clone())
            .action(ArgAction::Set)
            .allow_hyphen_values(true)
            .long("value");
        let parsed = Command::new("check").no_binary_name(true).arg(alone);
        if flag && !["true", "false"].contains(&value.as_str()) {
            return Err(refuse("takes true or false"));
        }
        if let Err(error) = parsed.try_get_matches_from([format!("--value={value}")]) {
            // Its text names our stand-in flag and repeats the value; what follows is the parser's own reason.
            let text = one_paragraph(&error);
            let why = text
                .split_once("': ")
                .map_or("not a value it takes", |(_, why)| why);
            return Err(refuse(why));
        }
    }
    Ok(())
}

/// The first paragraph of clap's message, without its label.
fn one_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    first
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Prints help and versions; makes one line and a hint of anything else.
fn usage(error: &clap::Error) -> Failure {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return error
                .print()
                .map_or_else(Failure::from, |()| Failure::new(Exit::Success, ""));
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // The exit code says usage; the help itself says the rest.
            let _ = error.print();
            return Failure::new(Exit::Usage, "a command is needed");
        }
        _ => {}
    }
    let text = error.render().to_string();
    let tip = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("tip: "))
        .map(str::to_owned);
    Failure::new(Exit::Usage, one_paragraph(error))
        .hint(tip.unwrap_or_else(|| "--help lists what there is".to_owned()))
}

#[cfg(test)]
mod tests;
