//! The stores that the tests of this folder run over: a directory, object_store's own two, and an S3 server.

// Each test file is a crate of its own and uses its part of this.
#![allow(dead_code)]

#[path = "../../../state/tests/support/mod.rs"]
pub(crate) mod records;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use flow_objects::Remote;
use flow_state::StateStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

/// A state, a way to open it once more, and what it needs to live.
pub(crate) struct Stand {
    pub(crate) name: &'static str,
    pub(crate) state: StateStore,
    pub(crate) again: Box<dyn Fn() -> StateStore + Send + Sync>,
    _folder: Option<tempfile::TempDir>,
}

/// All of them.
pub(crate) fn stands() -> Vec<Stand> {
    let mut all = vec![directory(), memory(), local()];
    all.extend(s3());
    all
}

fn directory() -> Stand {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let state = flow_objects::open(&path).unwrap();
    let held = state.clone();
    Stand {
        name: "directory",
        state,
        // A second opener of a directory is refused, so it is the same one.
        again: Box::new(move || held.clone()),
        _folder: Some(folder),
    }
}

pub(crate) fn memory() -> Stand {
    over("memory", Arc::new(InMemory::new()), None)
}

fn local() -> Stand {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    over("local", Arc::new(store), Some(folder))
}

fn over(
    name: &'static str,
    store: Arc<dyn object_store::ObjectStore>,
    folder: Option<tempfile::TempDir>,
) -> Stand {
    let again = move || {
        let remote = Remote::new(Arc::clone(&store), "a/prefix").unwrap();
        StateStore::over(Arc::new(remote), name).unwrap()
    };
    Stand {
        name,
        state: again(),
        again: Box::new(again),
        _folder: folder,
    }
}

/// Over a bucket of its own; `None`, and said so, without a server.
pub(crate) fn s3() -> Option<Stand> {
    let place = place(&bucket()?);
    let again = move || flow_objects::open(&place).unwrap();
    Some(Stand {
        name: "s3",
        state: again(),
        again: Box::new(again),
        _folder: None,
    })
}

/// The server's URL.
pub(crate) fn server() -> Option<String> {
    let found = std::env::var("FLOW_PIPELINE_TEST_S3").ok();
    if found.is_none() {
        eprintln!("SKIPPED: FLOW_PIPELINE_TEST_S3 is not set: no server to test with");
    }
    found
}

/// What `--state` is given for a bucket.
pub(crate) fn place(bucket: &str) -> PathBuf {
    let server = server().unwrap();
    PathBuf::from(format!("s3://{bucket}/a/prefix?endpoint={server}"))
}

/// Makes a bucket that nobody else has.
pub(crate) fn bucket() -> Option<String> {
    let server = server()?;
    let bucket = format!("state-{:016x}", getrandom::u64().unwrap());
    let address = server.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "PUT /{bucket} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Some(bucket)
}
