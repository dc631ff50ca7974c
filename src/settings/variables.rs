//! Settings in the environment, and where the file is.
//!
//! Law: a variable that begins with our prefix is a setting of ours, or refused.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Command;

use super::file::Setting;
use super::names::{PREFIX, keys, takes_list, variable_name};
use super::refuse::unknown;
use crate::failure::Failure;

/// Our variables, sorted by name.
pub(super) fn variables(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(String, String)> {
    let mut ours: Vec<(String, String)> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    ours.sort();
    ours
}

/// Whether it is meant for the command line: the file's own name is not, nor are the tests' variables.
pub(super) fn is_setting((name, _): &&(String, String)) -> bool {
    let name = &name[PREFIX.len()..];
    !["BLESS", "CONFIG", "SHARED"].contains(&name) && !name.starts_with("TEST_")
}

/// `--config` has to be found before the command line can be read.
pub(super) fn config_path(
    arguments: &[OsString],
    variables: &[(String, String)],
) -> Option<PathBuf> {
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

/// The setting that a variable means.
pub(super) fn from_variable(
    command: &Command,
    name: &str,
    value: &str,
) -> Result<Setting, Failure> {
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
