//! What is never left in a file: promises, a machine's paths, silenced lints.
//!
//! Law: the words looked for are put together here from pieces, so that this file passes its own rules.

use crate::files::{control, everywhere};
use crate::tree::{File, files, rust_files};

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

/// Places of lines that are bad.
pub(crate) fn lines(file: &File, bad: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered = file.text.lines().enumerate().filter(|(_, line)| bad(line));
    numbered
        .map(|(n, line)| format!("{}:{}: {}", file.path, n + 1, line.trim()))
        .collect()
}
