//! What is said of settings that mean nothing: the place, the reason, the nearest name; one line and a hint.
//!
//! Law: a value is never repeated, since it may be a secret; on the command line its writer has it before their eyes.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};

use super::file::Setting;
use super::names::takes_list;
use super::nearest;
use crate::failure::{Exit, Failure};

/// A key of the file that no flag has.
pub(super) fn unknown_key(all: &[(Option<String>, &Arg)], setting: &Setting) -> Failure {
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

/// A name that is none of `names`, with the nearest of them.
pub(super) fn unknown(what: &str, name: &str, names: &[String]) -> Failure {
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
pub(super) fn check(arg: &Arg, setting: &Setting) -> Result<(), Failure> {
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
pub(super) fn usage(error: &clap::Error) -> Failure {
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
