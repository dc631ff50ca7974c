//! The house's rules as tests: the crate graph, the form of files, what the documents promise.
//!
//! A rule that only good will keeps is broken by the third newcomer. Each rule here is a function from what it
//! looks at to a list of complaints; one test feeds it the tree, and its negative control feeds it a bad example.
//!
//! Law: `ARCHITECTURE.md` names exactly the invariants that are checked here (`documents::invariants_are_named`).

mod clocks;
mod commands;
mod documents;
mod faults;
mod files;
mod graph;
mod manifests;
mod metadata;
mod snippets;
mod tree;
mod words;

/// Every invariant that a test here checks, by the tag under which `ARCHITECTURE.md` states it.
const INVARIANTS: [&str; 25] = [
    "proto-alone",
    "topic-alone",
    "tables-alone",
    "state-alone",
    "objects-graph",
    "ingest-graph",
    "dataflow-graph",
    "sinks-graph",
    "rooms-listed",
    "no-unsafe",
    "peers-alone",
    "no-abomonation",
    "pinned-dataflow",
    "time-is-an-argument",
    "small-files",
    "said-first",
    "no-promises",
    "no-machine-paths",
    "no-catch-all",
    "lint-reasons",
    "decisions-listed",
    "links-lead",
    "commands-exist",
    "snippets-run",
    "faults-have-tests",
];

/// Fails with every complaint on its own line.
fn assert_none(tag: &str, complaints: &[String]) {
    assert!(INVARIANTS.contains(&tag), "{tag} is not in INVARIANTS");
    assert!(
        complaints.is_empty(),
        "{tag}:\n  {}",
        complaints.join("\n  ")
    );
}
