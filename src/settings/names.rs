//! The names of settings: flag, environment variable, key of the file; and what people are told of them.
//!
//! Law: names come from the command line's definition and from nowhere else.

use clap::{Arg, ArgAction, Command};

/// Begins every variable of ours.
pub(super) const PREFIX: &str = "FLOW_PIPELINE_";

/// Adds each flag's environment name to its help.
pub(super) fn describe(command: Command) -> Command {
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

pub(super) fn variable_name(section: Option<&str>, arg: &Arg) -> String {
    let key = arg.get_long().unwrap_or_default();
    let name = section.map_or_else(|| key.to_owned(), |section| format!("{section}__{key}"));
    format!("{PREFIX}{}", name.replace('-', "_").to_uppercase())
}

pub(super) fn takes_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Flags that have a key: (section, definition).
pub(super) fn keys(command: &Command) -> Vec<(Option<String>, &Arg)> {
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
