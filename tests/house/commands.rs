//! Commands that the README shows, held against the binary's own help.
//!
//! Law: what a newcomer types from the README exists, each flag of it too.

use std::collections::BTreeSet;

use assert_cmd::Command;

use crate::assert_none;
use crate::tree::file;

#[test]
fn commands_of_the_readme_exist() {
    let used = commands(&file("README.md").text);
    assert!(
        used.iter().any(|(c, _)| c == "demo"),
        "the README does not show the demo: {used:?}"
    );
    assert_none("commands-exist", &unknown(&used));
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let text = "```sh\ncargo run --release -- conquer --everything\n$ flow-pipeline decode --gently A.pcap\n```\n";
    let used = commands(text);
    assert_eq!(
        used,
        [
            ("conquer".into(), vec!["--everything".into()]),
            ("decode".into(), vec!["--gently".into()])
        ]
    );
    assert_eq!(unknown(&used), ["conquer", "decode --gently"]);
    assert!(unknown(&[("decode".into(), vec!["--help".into()])]).is_empty());
    let inner = commands("```\nflow-pipeline topic tail URL --until-end --json\n```\n");
    assert_eq!(unknown(&inner), ["topic tail --json"]);
}

/// Commands shown in fenced blocks, each with its long flags.
fn commands(text: &str) -> Vec<(String, Vec<String>)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        let line = line.trim_start_matches("$ ");
        let starts = [
            "cargo run --release -- ",
            "flow-pipeline ",
            "target/release/flow-pipeline ",
        ];
        let Some(rest) = starts
            .iter()
            .find_map(|s| line.strip_prefix(s))
            .filter(|_| fenced)
        else {
            continue;
        };
        let mut words = rest
            .split_whitespace()
            .take_while(|w| !["|", ">", "&&", "#"].contains(w));
        let Some(command) = words.next() else {
            continue;
        };
        // `topic tail` is a command inside a command.
        let mut words = words.peekable();
        let is_name = |w: &&str| w.chars().all(|c| c.is_ascii_lowercase());
        let command = match words.next_if(is_name) {
            Some(inner) => format!("{command} {inner}"),
            None => command.to_owned(),
        };
        let flags = words
            .filter(|w| w.starts_with("--"))
            .map(|w| w.split('=').next().unwrap_or(w).to_owned());
        found.push((command, flags.collect()));
    }
    found
}

/// Those that the binary does not know.
fn unknown(used: &[(String, Vec<String>)]) -> Vec<String> {
    let mut found = Vec::new();
    for (command, flags) in used {
        let Some(help) = help(command) else {
            found.push(command.clone());
            continue;
        };
        let words: BTreeSet<&str> = help
            .split(|c: char| !c.is_alphanumeric() && c != '-')
            .filter(|w| w.starts_with("--"))
            .collect();
        found.extend(
            flags
                .iter()
                .filter(|f| !words.contains(f.as_str()))
                .map(|f| format!("{command} {f}")),
        );
    }
    found
}

/// The `--help` of a command and of the one inside it, if the binary has them.
fn help(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split(' ').collect();
    (1..=words.len())
        .map(|n| {
            let mut run = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
            let output = run
                .args(&words[..n])
                .arg("--help")
                .output()
                .expect("the binary starts");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            output.status.success().then_some(text)
        })
        .collect()
}
