//! What cargo knows of the workspace and its dependencies.
//!
//! Only this machine's platform is asked for, so that nothing has to be downloaded for another one.

use std::process::Command;

use serde::Deserialize;

use crate::tree::root;

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
