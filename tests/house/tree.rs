//! The tree under test: its text files and what cargo knows of it.
//!
//! Law: what git would not carry (`target`, `.git`) is not part of the tree.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// A text file: path relative to the root with `/`, and its content.
pub(crate) struct File {
    /// Relative to the root.
    pub(crate) path: String,
    /// What is in it; bytes that are not UTF-8 replaced.
    pub(crate) text: String,
}

impl File {
    /// One that exists only in a negative control.
    pub(crate) fn example(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// What the tests read of `cargo metadata`.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) resolve: Resolve,
}

/// One package of the graph, ours or another's.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `None`: of this workspace.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: String,
}

/// The resolved graph.
#[derive(Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

/// A package and what it depends on.
#[derive(Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<Dependency>,
}

/// One edge.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<Kind>,
}

/// Why there is an edge: `None` normal, else `dev` or `build`.
#[derive(Deserialize)]
pub(crate) struct Kind {
    pub(crate) kind: Option<String>,
}

impl Metadata {
    /// The packages of this workspace.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|p| p.source.is_none())
    }
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the tree, ordered by path.
pub(crate) fn files() -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let entry = entry.expect("a readable folder");
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    folders.push(path);
                }
            } else {
                found.push(read(&path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// All Rust files of the tree.
pub(crate) fn rust_files() -> Vec<File> {
    files()
        .into_iter()
        .filter(|f| f.path.ends_with(".rs"))
        .collect()
}

/// One file of the tree.
pub(crate) fn file(path: &str) -> File {
    read(&root().join(path))
}

fn read(path: &PathBuf) -> File {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let path = path
        .strip_prefix(root())
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/");
    File {
        path,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// `cargo metadata` for this machine's platform, so that nothing has to be downloaded for another one.
pub(crate) fn metadata() -> Metadata {
    let version = output(Command::new("rustc").arg("-vV"));
    let host = version
        .lines()
        .find_map(|l| l.strip_prefix("host: "))
        .expect("rustc names its host");
    let arguments = [
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        host,
    ];
    let text = output(
        Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(root()),
    );
    serde_json::from_str(&text).expect("what cargo promises")
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("a command that starts");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8 on standard output")
}
