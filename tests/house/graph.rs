//! The crate graph: which room may use which, and what never comes into reach of it.
//!
//! Law: a room's direct dependencies among ours are those of its line in `ROOMS`, and no crate of its
//! `unreachable` list is in the transitive closure of its dependencies (tests' dependencies left aside, since
//! they are not in what ships).

use std::collections::{BTreeMap, BTreeSet};

use crate::assert_none;
use crate::metadata::{Dependency, Metadata, metadata};

/// A room, and what it must not know.
struct Room {
    tag: &'static str,
    package: &'static str,
    may_use: &'static [&'static str],
    unreachable: &'static [&'static str],
}

const ROOMS: [Room; 9] = [
    Room {
        tag: "proto-alone",
        package: "flow-proto",
        may_use: &[],
        unreachable: &[
            "tokio",
            "timely",
            "differential-dataflow",
            "rusqlite",
            "axum",
            "nix",
            "socket2",
            "jiff",
        ],
    },
    Room {
        tag: "topic-alone",
        package: "flow-topic",
        may_use: &[],
        unreachable: &[
            "timely",
            "differential-dataflow",
            "rusqlite",
            "axum",
            "prost",
            "socket2",
        ],
    },
    Room {
        tag: "tables-alone",
        package: "flow-tables",
        may_use: &[],
        unreachable: &[
            "timely",
            "differential-dataflow",
            "rusqlite",
            "axum",
            "tokio",
            "prost",
            "socket2",
        ],
    },
    Room {
        tag: "state-alone",
        package: "flow-state",
        may_use: &[],
        unreachable: &[
            "timely",
            "differential-dataflow",
            "rusqlite",
            "axum",
            "prost",
            "socket2",
        ],
    },
    Room {
        tag: "peers-alone",
        package: "flow-peers",
        may_use: &[],
        unreachable: &[
            "timely",
            "differential-dataflow",
            "rusqlite",
            "axum",
            "prost",
            "tokio",
        ],
    },
    Room {
        tag: "ingest-graph",
        package: "flow-ingest",
        may_use: &["flow-proto", "flow-topic"],
        unreachable: &[
            "timely",
            "differential-dataflow",
            "rusqlite",
            "axum",
            "tokio",
        ],
    },
    Room {
        tag: "objects-graph",
        package: "flow-objects",
        may_use: &["flow-state"],
        unreachable: &[
            "timely",
            "differential-dataflow",
            "rusqlite",
            "axum",
            "prost",
            "reqwest",
            "rustls",
        ],
    },
    Room {
        tag: "dataflow-graph",
        package: "flow-dataflow",
        may_use: &["flow-proto", "flow-topic", "flow-tables", "flow-state"],
        unreachable: &["rusqlite", "axum", "hyper", "tokio"],
    },
    Room {
        tag: "sinks-graph",
        package: "flow-sinks",
        may_use: &["flow-proto", "flow-state", "flow-topic"],
        unreachable: &["timely", "differential-dataflow", "axum"],
    },
];

/// Packages that may use every room and that no room may use: the binary, the simulator, and the benchmarks.
const TOP: [&str; 4] = [
    "flow-pipeline",
    "flow-simulator",
    "flow-bench-job",
    "flow-bench-checkpoint",
];

/// Package name -> names of the packages it is built with, directly.
type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_room_uses_only_what_it_may() {
    let metadata = metadata();
    let ours: Vec<String> = metadata.ours().map(|p| p.name.clone()).collect();
    let graph = graph(&metadata);
    assert!(
        graph["flow-dataflow"].contains("timely"),
        "the graph is not read right"
    );
    assert_none("rooms-listed", &unlisted(&ours));
    for room in &ROOMS {
        assert_none(room.tag, &complaints(room, &graph, &ours));
    }
}

#[test]
fn a_forbidden_edge_is_found() {
    let cases = [
        (
            vec![("flow-sinks", "flow-dataflow")],
            "flow-sinks must not use flow-dataflow",
        ),
        (
            vec![("flow-proto", "tokio")],
            "flow-proto must not reach tokio",
        ),
        (
            vec![("flow-tables", "flow-proto")],
            "flow-tables must not use flow-proto",
        ),
        (
            vec![("flow-dataflow", "flow-bench-job")],
            "flow-dataflow must not use flow-bench-job",
        ),
        (
            vec![("flow-sinks", "a"), ("a", "b"), ("b", "timely")],
            "flow-sinks must not reach timely",
        ),
    ];
    for (edges, complaint) in cases {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph
                .entry(from.to_owned())
                .or_default()
                .insert(to.to_owned());
        }
        let ours: Vec<String> = ROOMS
            .iter()
            .map(|r| r.package)
            .chain(TOP)
            .map(str::to_owned)
            .collect();
        let found: Vec<String> = ROOMS
            .iter()
            .flat_map(|r| complaints(r, &graph, &ours))
            .collect();
        assert_eq!(found, [complaint]);
    }
    assert_eq!(
        unlisted(&["flow-proto".to_owned(), "flow-cloud".to_owned()]).len(),
        1
    );
}

#[test]
fn the_graph_leaves_tests_dependencies_out() {
    let metadata = r#"{
        "packages": [
            {"id": "a", "name": "name-a", "source": null, "manifest_path": "a/Cargo.toml"},
            {"id": "b", "name": "name-b", "source": "registry", "manifest_path": "b/Cargo.toml"},
            {"id": "c", "name": "name-c", "source": "registry", "manifest_path": "c/Cargo.toml"},
            {"id": "d", "name": "name-d", "source": "registry", "manifest_path": "d/Cargo.toml"}
        ],
        "resolve": {"nodes": [{"id": "a", "deps": [
            {"pkg": "b", "dep_kinds": [{"kind": null}]},
            {"pkg": "c", "dep_kinds": [{"kind": "dev"}]},
            {"pkg": "d", "dep_kinds": [{"kind": "dev"}, {"kind": "build"}]}
        ]}]}
    }"#;
    let metadata: Metadata = serde_json::from_str(metadata).unwrap();
    let expected = BTreeSet::from(["name-b".to_owned(), "name-d".to_owned()]);
    assert_eq!(graph(&metadata)["name-a"], expected);
}

/// Every breach of a room's line; `ours` are the packages of the workspace.
fn complaints(room: &Room, graph: &Graph, ours: &[String]) -> Vec<String> {
    let package = room.package;
    let direct = graph.get(package).cloned().unwrap_or_default();
    let not_allowed = |d: &&String| ours.contains(d) && !room.may_use.contains(&d.as_str());
    let used = direct
        .iter()
        .filter(not_allowed)
        .map(|d| format!("{package} must not use {d}"));
    let reached = closure(graph, package);
    let seen = room.unreachable.iter().filter(|u| reached.contains(**u));
    used.chain(seen.map(|u| format!("{package} must not reach {u}")))
        .collect()
}

/// Packages of ours that no line of `ROOMS` judges.
fn unlisted(ours: &[String]) -> Vec<String> {
    let judged =
        |p: &&String| TOP.contains(&p.as_str()) || ROOMS.iter().any(|r| r.package == p.as_str());
    ours.iter()
        .filter(|p| !judged(p))
        .map(|p| format!("{p} is in no line of ROOMS"))
        .collect()
}

fn closure(graph: &Graph, package: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![package.to_owned()];
    while let Some(p) = next.pop() {
        for d in graph.get(&p).into_iter().flatten() {
            if reached.insert(d.clone()) {
                next.push(d.clone());
            }
        }
    }
    reached
}

/// Normal and build dependencies, by name.
fn graph(metadata: &Metadata) -> Graph {
    let packages = metadata.packages.iter();
    let names: BTreeMap<&str, &str> = packages.map(|p| (p.id.as_str(), p.name.as_str())).collect();
    let ships = |d: &&Dependency| d.dep_kinds.iter().any(|k| k.kind.as_deref() != Some("dev"));
    let mut graph = Graph::new();
    for node in &metadata.resolve.nodes {
        let uses = node
            .deps
            .iter()
            .filter(ships)
            .map(|d| names[d.pkg.as_str()].to_owned());
        graph
            .entry(names[node.id.as_str()].to_owned())
            .or_default()
            .extend(uses);
    }
    graph
}
