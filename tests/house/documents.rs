//! What the documents promise: invariants, commands, links, the list of decisions.
//!
//! Law: a document that says what is no longer so is a defect of the same rank as wrong code.

use std::collections::BTreeSet;
use std::path::Path;

use assert_cmd::Command;

use crate::tree::{File, file, files, root};
use crate::{INVARIANTS, assert_none};

#[test]
fn invariants_are_named() {
    let said = tags(&file("ARCHITECTURE.md").text);
    let checked: BTreeSet<String> = INVARIANTS.iter().map(|t| (*t).to_owned()).collect();
    assert_eq!(
        said, checked,
        "ARCHITECTURE.md (left) and tests/house (right) differ"
    );
    let example = "- **Invariant `a-b`.** One.\nplain `c-d` and **Invariant `e`.** Two.";
    assert_eq!(
        tags(example),
        BTreeSet::from(["a-b".to_owned(), "e".to_owned()])
    );
}

#[test]
fn every_invariant_is_checked_somewhere() {
    let here = files()
        .into_iter()
        .filter(|f| f.path.starts_with("tests/house/"));
    let tests: String = here
        .filter(|f| !f.path.ends_with("main.rs"))
        .map(|f| f.text)
        .collect();
    let idle: Vec<&str> = INVARIANTS
        .into_iter()
        .filter(|tag| !tests.contains(&format!("\"{tag}\"")))
        .collect();
    assert!(idle.is_empty(), "listed, and asserted nowhere: {idle:?}");
}

#[test]
fn every_decision_is_listed() {
    let index = file("docs/adr/README.md").text;
    let names: Vec<String> = files()
        .iter()
        .filter_map(|f| f.path.strip_prefix("docs/adr/").map(str::to_owned))
        .filter(|name| name != "README.md")
        .collect();
    assert!(names.len() >= 3, "{names:?}");
    assert_none("decisions-listed", &unlisted(&index, &names));
    assert_eq!(
        unlisted(
            "0001-a.md",
            &["0001-a.md".to_owned(), "0002-b.md".to_owned()]
        ),
        ["0002-b.md"]
    );
}

#[test]
fn every_link_leads_somewhere() {
    let documents: Vec<File> = files()
        .into_iter()
        .filter(|f| f.path.ends_with(".md"))
        .collect();
    let found: Vec<String> = documents.iter().flat_map(dead_links).collect();
    assert_none("links-lead", &found);
    let example = File::example(
        "docs/x.md",
        "[a](gone.md) [b](../README.md#status) [c](https://example.org)",
    );
    assert_eq!(dead_links(&example), ["docs/x.md: gone.md"]);
}

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
}

/// Tags of sentences that begin `**Invariant `tag``.
fn tags(text: &str) -> BTreeSet<String> {
    let parts = text.split("**Invariant `").skip(1);
    parts
        .filter_map(|p| p.split_once('`').map(|(tag, _)| tag.to_owned()))
        .collect()
}

fn unlisted(index: &str, names: &[String]) -> Vec<String> {
    names
        .iter()
        .filter(|n| !index.contains(n.as_str()))
        .cloned()
        .collect()
}

/// Relative links of a document whose target is not in the tree.
fn dead_links(document: &File) -> Vec<String> {
    let folder = Path::new(&document.path).parent().unwrap_or(Path::new(""));
    let links = document
        .text
        .split("](")
        .skip(1)
        .filter_map(|p| p.split_once(')'));
    let targets = links.map(|(link, _)| link.split('#').next().unwrap_or_default());
    targets
        .filter(|t| !t.is_empty() && !t.contains("://") && !t.starts_with("mailto:"))
        .filter(|t| !root().join(folder).join(t).exists())
        .map(|t| format!("{}: {t}", document.path))
        .collect()
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
        let flags = words
            .filter(|w| w.starts_with("--"))
            .map(|w| w.split('=').next().unwrap_or(w).to_owned());
        found.push((command.to_owned(), flags.collect()));
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

/// The `--help` of a subcommand, if the binary has it.
fn help(command: &str) -> Option<String> {
    let mut run = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
    let output = run
        .args([command, "--help"])
        .output()
        .expect("the binary starts");
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
