//! The tree under test: its text files.
//!
//! Law: what git would not carry (`target`, `.git`) is not part of the tree.

use std::path::{Path, PathBuf};

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
