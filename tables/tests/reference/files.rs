//! The published tables, which are not part of the repository: `../shared/tables`, or `FLOW_PIPELINE_SHARED`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file or folder, or `None` with a loud line.
pub fn shared(path: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("FLOW_PIPELINE_SHARED").map(PathBuf::from);
    let shared = shared
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")));
    let path = shared.join("tables").join(path);
    if !path.exists() {
        eprintln!("SKIPPED: ../shared/tables is not here ({})", path.display());
        return None;
    }
    Some(path)
}

/// The unpacked text of a file; or `None` with a loud line.
pub fn unpacked(path: &str) -> Option<String> {
    // Names are not all UTF-8; addresses and values are.
    Some(String::from_utf8_lossy(&unpacked_bytes(&shared(path)?)).into_owned())
}

/// The unpacked bytes of a file, by another program than ours.
pub fn unpacked_bytes(path: &Path) -> Vec<u8> {
    let output = Command::new("gzip").arg("-dc").arg(path).output();
    let output = output.expect("gzip runs");
    assert!(output.status.success(), "gzip -dc {}", path.display());
    output.stdout
}
