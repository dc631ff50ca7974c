//! The form of files: their size, their first line, their names.
//!
//! Law: every Rust file counts, tests and examples too; a file is split along a seam that has a name before it
//! reaches the limit, not exempted.

use crate::assert_none;
use crate::tree::{File, rust_files};

/// No Rust file is longer.
const MOST_LINES: usize = 600;
/// The median Rust file is at most this long.
const MEDIAN_LINES: usize = 140;

/// From a file to its complaints.
pub(crate) type Rule = fn(&File) -> Vec<String>;

#[test]
fn files_are_small() {
    let files = rust_files();
    assert!(files.len() > 10);
    assert_none("small-files", &sizes(&files));
}

#[test]
fn a_long_file_and_a_high_median_are_found() {
    let long = File::example("a.rs", &"\n".repeat(MOST_LINES + 1));
    let middling = || File::example("b.rs", &"\n".repeat(MEDIAN_LINES + 1));
    let short = || File::example("c.rs", "\n");
    assert_eq!(sizes(&[short(), long, short()]).len(), 1);
    assert_eq!(sizes(&[short(), middling(), middling()]).len(), 1);
    assert!(sizes(&[short(), short(), middling()]).is_empty());
}

#[test]
fn every_module_says_first_what_it_is() {
    everywhere("said-first", first_line, &rust_files());
    control(
        first_line,
        "a.rs",
        "use std::fmt;\n//! Late.\n",
        "//! What it is.\n",
    );
}

#[test]
fn no_name_is_a_catch_all() {
    everywhere("no-catch-all", catch_all, &rust_files());
    control(catch_all, "src/utils.rs", "", "");
    assert_eq!(
        catch_all(&File::example("tests/common/mod.rs", "")).len(),
        1
    );
    assert!(catch_all(&File::example("src/windows.rs", "")).is_empty());
}

/// Applies a rule to every file.
pub(crate) fn everywhere(name: &str, rule: Rule, files: &[File]) {
    assert_none(name, &files.iter().flat_map(rule).collect::<Vec<_>>());
}

/// The rule finds the bad text and leaves the good one alone; the same text twice: the name alone is bad.
pub(crate) fn control(rule: Rule, path: &str, bad: &str, good: &str) {
    assert!(
        !rule(&File::example(path, bad)).is_empty(),
        "{bad:?} passes"
    );
    assert!(
        bad == good || rule(&File::example(path, good)).is_empty(),
        "{good:?} does not pass"
    );
}

fn sizes(files: &[File]) -> Vec<String> {
    let mut lengths: Vec<(usize, &str)> = files
        .iter()
        .map(|f| (f.text.lines().count(), f.path.as_str()))
        .collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2].0;
    let long = lengths.iter().filter(|l| l.0 > MOST_LINES);
    let mut found: Vec<String> = long.map(|(n, path)| format!("{path}: {n} lines")).collect();
    if median > MEDIAN_LINES {
        found.push(format!("the median file has {median} lines"));
    }
    found
}

fn first_line(file: &File) -> Vec<String> {
    let said = file.text.starts_with("//! ");
    if said {
        vec![]
    } else {
        vec![format!("{}: does not begin with `//! `", file.path)]
    }
}

fn catch_all(file: &File) -> Vec<String> {
    let names = [
        "utils", "util", "common", "misc", "helpers", "helper", "stuff",
    ];
    let mut parts = file.path.split('/').map(|p| p.trim_end_matches(".rs"));
    if parts.any(|p| names.contains(&p)) {
        vec![file.path.clone()]
    } else {
        vec![]
    }
}
