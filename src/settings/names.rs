//! The names of settings: flag, environment variable, key of the file; and what people are told of them.
//!
//! Law: names come from the command line's definition and from nowhere else.

use clap::{Arg, ArgAction, Command, Id};

/// Begins every variable of ours.
pub(super) const PREFIX: &str = "FLOW_PIPELINE_";

/// Adds each flag's environment name to its help.
pub(super) fn describe(command: Command) -> Command {
    described(command, None)
}

fn described(command: Command, section: Option<&str>) -> Command {
    let command = command.mut_args(|arg| with_env_help(arg, section));
    command.mut_subcommands(|sub| {
        let section = section_of(section, &sub);
        described(sub, Some(&section))
    })
}

/// The section of a command inside another one: `create` of `topic` is `topic-create`.
fn section_of(outer: Option<&str>, command: &Command) -> String {
    let name = command.get_name();
    outer.map_or_else(|| name.to_owned(), |outer| format!("{outer}-{name}"))
}

/// Changes one flag of a section.
pub(super) fn change(
    command: Command,
    section: Option<&str>,
    id: &Id,
    with: impl FnOnce(Arg) -> Arg,
) -> Command {
    let Some(section) = section else {
        return command.mut_arg(id.clone(), with);
    };
    let found = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .find_map(|name| match section.strip_prefix(&name)? {
            "" => Some((name, None)),
            rest => Some((name, Some(rest.strip_prefix('-')?.to_owned()))),
        });
    match found {
        // Boxed, since each level would otherwise be a closure type of its own.
        Some((name, rest)) => {
            let with: Box<dyn FnOnce(Arg) -> Arg> = Box::new(with);
            command.mut_subcommand(name, |sub| change(sub, rest.as_deref(), id, with))
        }
        None => command,
    }
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
    let mut found = Vec::new();
    collect_keys(command, None, &mut found);
    found
}

fn collect_keys<'a>(
    command: &'a Command,
    section: Option<&str>,
    found: &mut Vec<(Option<String>, &'a Arg)>,
) {
    let settable = |arg: &&Arg| {
        arg.get_long().is_some() && !["help", "version", "config"].contains(&arg.get_id().as_str())
    };
    let own = command.get_arguments().filter(settable);
    found.extend(own.map(|arg| (section.map(str::to_owned), arg)));
    for sub in command.get_subcommands() {
        collect_keys(sub, Some(&section_of(section, sub)), found);
    }
}
