//! The captures of real exporters beside the repository, if they are here.

use std::io::Write;
use std::path::{Path, PathBuf};

use flow_proto::Addr;

/// A datagram of a capture.
#[derive(Clone)]
pub(crate) struct Captured {
    pub(crate) source: Addr,
    pub(crate) payload: Vec<u8>,
}

/// The folder of captures; tells loudly if it is missing.
pub(crate) fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("FLOW_PIPELINE_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = shared.unwrap_or_else(beside).join("captures");
    if folder.join("manifest.json").exists() {
        return Some(folder);
    }
    // Not by a macro: the test harness would keep it for itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: ../shared/captures is not here");
    None
}

/// Every unit's name and datagrams, in feeding order; empty if the captures are not here.
pub(crate) fn units() -> Vec<(String, Vec<Captured>)> {
    let Some(folder) = folder() else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(folder.join("manifest.json")).expect("manifest");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let units = manifest.as_array().expect("a list").iter().map(|unit| {
        let text = |key: &str| unit[key].as_str().expect("text").to_owned();
        let files = unit["files"].as_array().expect("files").iter();
        let mut datagrams = Vec::new();
        for file in files {
            let path = folder.join(text("dir")).join(file.as_str().expect("name"));
            let input = std::fs::File::open(&path).expect("a file of the manifest");
            let read = flow_ingest::pcap::read(input, &mut |datagram| {
                let (source, payload) = (datagram.source, datagram.payload.to_vec());
                datagrams.push(Captured { source, payload });
                Ok(())
            });
            read.expect("readable");
        }
        (format!("{}/{}", text("origin"), text("id")), datagrams)
    });
    let units: Vec<_> = units.collect();
    assert!(
        units.len() >= 100,
        "the manifest holds {} units only",
        units.len()
    );
    units
}
