//! What the manifests and the lock file must say: no unsafe code, no abomonation, exact versions of timely.
//!
//! Law: the lints stand once, in the workspace; a package that does not inherit them is not checked at all.

use crate::assert_none;
use crate::metadata::metadata;
use crate::tree::file;

#[test]
fn abomonation_is_nowhere() {
    let lock = file("Cargo.lock").text;
    assert!(
        lock.contains("name = \"timely\""),
        "Cargo.lock is not read right"
    );
    assert_none("no-abomonation", &banned(&lock));
    assert_eq!(
        banned("[[package]]\nname = \"abomonation_derive\"\n").len(),
        1
    );
}

#[test]
fn timely_and_differential_are_pinned() {
    assert_none("pinned-dataflow", &unpinned(&file("Cargo.toml").text));
    assert_eq!(
        unpinned("timely = { version = \"0.32.0\" }\ntimely = \"=0.32.0\"\n").len(),
        1
    );
}

#[test]
fn unsafe_is_forbidden_in_every_crate() {
    let root = file("Cargo.toml").text;
    assert!(
        root.contains("\nunsafe_code = \"forbid\"\n"),
        "Cargo.toml no longer forbids unsafe code"
    );
    let metadata = metadata();
    let paths = metadata.ours().map(|p| p.manifest_path.clone());
    let manifests: Vec<(String, String)> = paths.map(|p| (p.clone(), file(&p).text)).collect();
    assert!(manifests.len() > 5, "the workspace is not read right");
    assert_none("no-unsafe", &without_lints(&manifests));
    let bad = (
        "bad/Cargo.toml".to_owned(),
        "[package]\nname = \"bad\"\n".to_owned(),
    );
    assert_eq!(without_lints(&[bad]).len(), 1);
}

fn banned(lock: &str) -> Vec<String> {
    lock.lines()
        .filter(|l| l.starts_with("name = \"abomonation"))
        .map(str::to_owned)
        .collect()
}

fn unpinned(manifest: &str) -> Vec<String> {
    let line = |l: &&str| l.starts_with("timely =") || l.starts_with("differential-dataflow =");
    manifest
        .lines()
        .filter(line)
        .filter(|l| !l.contains("\"=0."))
        .map(str::to_owned)
        .collect()
}

fn without_lints(manifests: &[(String, String)]) -> Vec<String> {
    let bad = manifests
        .iter()
        .filter(|(_, text)| !text.contains("\n[lints]\nworkspace = true\n"));
    bad.map(|(path, _)| format!("{path}: lacks [lints] workspace = true"))
        .collect()
}
