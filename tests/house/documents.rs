//! What the documents promise: invariants, links, the list of decisions.
//!
//! Law: a document that says what is no longer so is a defect of the same rank as wrong code.

use std::collections::BTreeSet;
use std::path::Path;

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
