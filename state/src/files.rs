//! Durable files: written whole under a temporary name, synced, then given their name.
//!
//! Law 5: a file under its final name is whole. A temporary name carries the attempt that wrote it, so that
//! what a dead attempt has left behind can be told from what is being written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::StateError;

/// Prefix of temporary names.
pub(crate) const TEMPORARY: &str = "tmp-";

/// Whether a name was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It is ours now.
    New,
    /// It was there before.
    Existed,
}

/// Writes `parts` under a temporary name in the folder of `target` and syncs them.
pub(crate) fn write_temporary(
    target: &Path,
    attempt: u64,
    parts: &[&[u8]],
) -> Result<PathBuf, StateError> {
    let name = target
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let temporary = target.with_file_name(format!("{TEMPORARY}{attempt:016x}-{name}"));
    let written = File::create(&temporary).and_then(|mut file| {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    });
    if let Err(source) = written {
        // A half-written file on a full disk only makes matters worse; sweeping takes it if this fails.
        let _ = fs::remove_file(&temporary);
        return Err(StateError::io("write", target)(source));
    }
    Ok(temporary)
}

/// Gives a temporary file its name, replacing what is there, and syncs the folder.
pub(crate) fn place_over(temporary: &Path, target: &Path) -> Result<(), StateError> {
    fs::rename(temporary, target).map_err(StateError::io("rename", target))?;
    sync_folder(target)
}

/// Gives a temporary file its name if that is free, removes the temporary name and syncs the folder.
pub(crate) fn place_if_absent(temporary: &Path, target: &Path) -> Result<Placed, StateError> {
    // A hard link fails if the name exists, whoever made it: the file system decides, as an object store would.
    let placed = match fs::hard_link(temporary, target) {
        Ok(()) => Placed::New,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Placed::Existed,
        Err(error) => return Err(StateError::io("create", target)(error)),
    };
    fs::remove_file(temporary).map_err(StateError::io("remove", temporary))?;
    sync_folder(target)?;
    Ok(placed)
}

/// Makes the names in a file's folder durable.
pub(crate) fn sync_folder(file: &Path) -> Result<(), StateError> {
    let folder = file.parent().unwrap_or(file);
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(StateError::io("sync", folder))
}

/// Names of the files in a folder, ascending; names that are not UTF-8 are not ours.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, StateError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(StateError::io("list", folder))? {
        let entry = entry.map_err(StateError::io("list", folder))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}
