//! The form of files: their size, their first line, what is never left in them.
//!
//! Law: every Rust file counts, tests and examples too; a file is split along a seam that has a name before it
//! reaches the limit, not exempted.

use crate::assert_none;
use crate::tree::{File, files, rust_files};

/// No Rust file is longer.
const MOST_LINES: usize = 600;
/// The median Rust file is at most this long.
const MEDIAN_LINES: usize = 140;

/// Sources in which time is an argument (law 10): decoders, operators, tables, stores. A follower may measure how
/// long a write took; the others may not even do that.
const CLOCKLESS: [&str; 5] = [
    "proto/src/",
    "ingest/src/wire/",
    "tables/src/",
    "dataflow/src/",
    "sinks/src/",
];

type Rule = fn(&File) -> Vec<String>;

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
fn nothing_is_left_for_later() {
    everywhere("no-promises", promises, &rust_files());
    control(
        promises,
        "a.rs",
        &format!("// {}: later\n", ["TO", "DO"].concat()),
        "// the TODOIST list\n",
    );
    control(
        promises,
        "a.rs",
        &format!("{}!(x);\n", ["d", "bg"].concat()),
        "\"dbg\"\n",
    );
    control(promises, "a.rs", "#[ignore]\n", "// ignored: \n");
}

#[test]
fn no_path_of_the_builders_machine_is_left() {
    everywhere("no-machine-paths", machine_paths, &files());
    control(
        machine_paths,
        "a.md",
        &format!("see {}main\n", ["/wo", "rk/"].concat()),
        "see ../shared\n",
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

#[test]
fn a_lint_is_switched_off_only_with_a_reason() {
    everywhere("lint-reasons", silent_allow, &rust_files());
    let bare = format!("#[{}(dead_code)]\nfn f() {{}}\n", "allow");
    control(
        silent_allow,
        "a.rs",
        &bare,
        &format!("// Read by the macro below.\n{bare}"),
    );
    let several_lines = "#[expect(\n    dead_code,\n    reason = \"read by the macro\"\n)]\n";
    assert!(silent_allow(&File::example("a.rs", several_lines)).is_empty());
    let same_line = format!("#[{}(dead_code)] // read by the macro\n", "allow");
    assert!(silent_allow(&File::example("a.rs", &same_line)).is_empty());
}

#[test]
fn time_is_an_argument() {
    let files = rust_files();
    for folder in CLOCKLESS {
        assert!(
            files.iter().any(|f| f.path.starts_with(folder)),
            "{folder} is gone"
        );
    }
    everywhere("time-is-an-argument", clocks, &files);
    let read = "let now = SystemTime::now();\n";
    assert_eq!(
        clocks(&File::example("dataflow/src/windows.rs", read)).len(),
        1
    );
    assert!(clocks(&File::example("src/main.rs", read)).is_empty());
    assert!(
        clocks(&File::example(
            "dataflow/src/windows.rs",
            "fn turn(now: u64) {}\n"
        ))
        .is_empty()
    );
}

fn everywhere(name: &str, rule: Rule, files: &[File]) {
    assert_none(name, &files.iter().flat_map(rule).collect::<Vec<_>>());
}

/// The rule finds the bad text and leaves the good one alone; the same text twice: the name alone is bad.
fn control(rule: Rule, path: &str, bad: &str, good: &str) {
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

fn promises(file: &File) -> Vec<String> {
    let words = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
    ];
    let calls = [
        ["d", "bg!("].concat(),
        ["to", "do!("].concat(),
        ["unimplemented", "!("].concat(),
    ];
    lines(file, |line| {
        let mut split = line.split(|c: char| !c.is_alphanumeric());
        split.any(|w| words.iter().any(|x| w == x))
            || calls.iter().any(|c| line.contains(c.as_str()))
            || line.trim_start().starts_with("#[ignore")
    })
}

fn machine_paths(file: &File) -> Vec<String> {
    let paths = [["/wo", "rk/"].concat(), ["/tmp/bash", "_jobs"].concat()];
    lines(file, |line| paths.iter().any(|p| line.contains(p.as_str())))
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

fn silent_allow(file: &File) -> Vec<String> {
    let switches = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        if !switches.iter().any(|s| line.starts_with(s)) {
            continue;
        }
        let rest = &lines[n..];
        let end = rest.iter().position(|l| l.contains(")]")).unwrap_or(0);
        let explained = n > 0 && lines[n - 1].starts_with("//");
        if !explained
            && !rest[..=end]
                .iter()
                .any(|l| l.contains("reason =") || l.contains("//"))
        {
            found.push(format!("{}:{}: {line}", file.path, n + 1));
        }
    }
    found
}

fn clocks(file: &File) -> Vec<String> {
    if !CLOCKLESS.iter().any(|folder| file.path.starts_with(folder)) {
        return vec![];
    }
    let measures = file.path.starts_with("sinks/");
    lines(file, |line| {
        line.contains("SystemTime::now") || (line.contains("Instant::now") && !measures)
    })
}

fn lines(file: &File, bad: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered = file.text.lines().enumerate().filter(|(_, line)| bad(line));
    numbered
        .map(|(n, line)| format!("{}:{}: {}", file.path, n + 1, line.trim()))
        .collect()
}
